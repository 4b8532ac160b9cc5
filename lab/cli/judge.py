# SPDX-License-Identifier: GPL-2.0-only
"""`lab judge`: judge stored observations by the current scenario."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lab.cli.run import EXIT_ERROR, EXIT_FAILED
from lab.errors import UserError
from lab.jobs.rejudge import rejudge
from lab.plain import plain
from lab.runner.catalog import catalog_of
from lab.workspace import Workspace


def judge_dossiers(
    dossiers: Annotated[list[Path], typer.Argument(help="Folders of dossiers.")],
    scenario: Annotated[
        Path | None, typer.Option(help="The scenario's file, if it was moved.")
    ] = None,
) -> None:
    """Judge stored observations again, without a virtual machine.

    Change 'expect' in a scenario and see the new verdict on a finished run. An item that
    passed has a dossier if it ran with --keep. The exit status is that of `lab run`.
    """
    catalog = catalog_of(Workspace.default())
    verdicts = set()
    wrong: list[UserError] = []
    for folder in dossiers:
        try:
            found = rejudge(folder, catalog, scenario)
        except UserError as error:
            wrong.append(error)
            continue
        verdicts.add(found.now.verdict)
        was, now = found.before.verdict, found.now.verdict
        change = "as before" if was == now else f"it was {was}"
        typer.echo(f"{now:6}  {found.before.item}  ({change})")
        for reason in found.now.reasons:
            typer.echo(plain("\n".join(f"        {line}" for line in reason.splitlines())))
    for other in wrong[:-1]:
        typer.echo(f"lab: {plain(str(other))}", err=True)
    if wrong:
        raise wrong[-1]
    if "failed" in verdicts:
        raise typer.Exit(EXIT_FAILED)
    if "error" in verdicts:
        raise typer.Exit(EXIT_ERROR)
