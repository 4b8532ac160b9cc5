# SPDX-License-Identifier: GPL-2.0-only
"""`lab run`: run scenarios with progress for a person, by the same runner as in pytest."""

from __future__ import annotations

import fnmatch
import time
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from lab import events
from lab.errors import LabError, UserError
from lab.jobs.session import Session
from lab.report.result import Result, explain
from lab.report.terminal import Terminal
from lab.report.time_by_part import time_by_part
from lab.runner.catalog import catalog_of
from lab.runner.run import Run
from lab.scenario.items import Item, items
from lab.scenario.load import find_files, load_scenarios
from lab.vm import slots
from lab.workspace import Workspace

EXIT_FAILED = 1
EXIT_ERROR = 3


def run(
    paths: Annotated[list[Path], typer.Argument(help="Scenario files or folders of them.")],
    kernel: Annotated[
        list[str] | None, typer.Option(help="Kernel flavor instead of the scenarios' own.")
    ] = None,
    accel: Annotated[str, typer.Option(help="auto, kvm or tcg.")] = "auto",
    only: Annotated[
        str | None,
        typer.Option(
            help="Run only this item, or those whose ID contains these words or matches this glob."
        ),
    ] = None,
    repeat: Annotated[int, typer.Option(min=1, help="Number of runs of each item.")] = 1,
    jobs: Annotated[
        int,
        typer.Option(
            "--jobs", "-j", min=0, help="Guests at a time; 0: as many as the host allows."
        ),
    ] = 0,
    gdb: Annotated[
        bool,
        typer.Option("--gdb", help="Stop before the first step, with a gdb stub to attach to."),
    ] = False,
    cold: Annotated[
        bool, typer.Option("--cold", help="Boot each guest instead of forking a booted one.")
    ] = False,
    keep: Annotated[
        bool, typer.Option("--keep", help="Write a dossier for passed items, too.")
    ] = False,
) -> None:
    """Run scenarios and print verdicts."""
    workspace = Workspace.default()
    chosen = select(workspace, paths, kernel, only) * repeat
    out = Console(highlight=False, soft_wrap=True)
    with Terminal(out) as progress:
        bus = events.Bus(progress)
        session = Session.create(
            workspace=workspace, accel=accel, emit=bus, keep=keep or gdb, cold=cold
        )
        if gdb:
            if len(chosen) != 1:
                raise UserError(
                    f"--gdb takes one item, and {len(chosen)} were chosen",
                    hint="choose it with --only",
                )
            session.attempts.gdb = True
            session.attempts.on_guest = lambda run: _wait_for_gdb(run, progress)
        start = time.monotonic()
        results: list[Result] = []
        interrupted = False
        try:
            for result in session.run_all(chosen, jobs or slots.capacity(256)):
                results.append(result)
                if result.verdict != "passed":
                    progress.print(explain(result) + "\n")
        except KeyboardInterrupt:
            interrupted = True
    _summary(out, results, len(chosen), time.monotonic() - start, interrupted)
    verdicts = {result.verdict for result in results}
    if interrupted:
        raise typer.Exit(130)
    if "failed" in verdicts:
        raise typer.Exit(EXIT_FAILED)
    if "error" in verdicts:
        raise typer.Exit(EXIT_ERROR)


def select(
    workspace: Workspace, paths: list[Path], flavors: list[str] | None, only: str | None
) -> list[Item]:
    """Return the items of scenario files.

    Checks all files first, and raises one `UserError` with the errors of all files.
    """
    catalog = catalog_of(workspace)
    found: list[Item] = []
    errors: list[str] = []
    for path in paths:
        for file in find_files(path):
            try:
                for scenario in load_scenarios(file, catalog):
                    found += items(scenario, flavors)
            except LabError as error:
                errors.append(str(error))
    if errors:
        raise UserError("\n".join(errors))
    if only is not None:
        # An ID may contain brackets, which a glob would read as a set of characters.
        exact = [item for item in found if item.id == only]
        found = exact or [
            item for item in found if only in item.id or fnmatch.fnmatch(item.id, only)
        ]
    if not found:
        raise UserError(
            "no item to run" + (f" matches {only!r}" if only else ""),
            hint="`lab check PATH --list` lists items with their IDs",
        )
    return found


def _wait_for_gdb(run: Run, progress: Terminal) -> None:
    assert run.guest is not None
    machine = run.guest.machine
    vmlinux = run.plan.kernel.vmlinux
    progress.print(gdb_line(vmlinux, machine.gdb_socket))
    progress.pause()
    input("Attach gdb, then press Enter to run the first step ")
    progress.resume()


def gdb_line(vmlinux: Path | None, socket: Path | None) -> str:
    """Return the command line that attaches gdb to a guest, with symbols if there are any."""
    symbols = f" {vmlinux}" if vmlinux else ""
    return f"gdb{symbols} -ex 'target remote {socket}'"


def _summary(
    out: Console, results: list[Result], total: int, seconds: float, interrupted: bool
) -> None:
    counts = Counter(result.verdict for result in results)
    parts = [f"{counts[verdict]} {verdict}" for verdict in ("passed", "failed", "error")]
    left = total - len(results)
    if left:
        parts.append(f"{left} not run")
    word = "interrupted: " if interrupted else ""
    style = "green" if counts["passed"] == total else "red"
    out.print(f"{word}{', '.join(parts)} in {seconds:.1f} s", style=style)
    timed = [result.parts for result in results if result.parts]
    if timed:
        out.print(time_by_part(timed), style="dim")
