# SPDX-License-Identifier: GPL-2.0-only
"""The `lab` command: entry points only; the layers below do the work."""

from __future__ import annotations

import sys

import typer
from rich.console import Console

from lab import __version__
from lab.cli import check, doctor, explain, extension, judge, kernel, run, shell, soak
from lab.cli.bench import app as bench
from lab.errors import LabError

app = typer.Typer(
    help="Check on real virtual machines that a Linux kernel survives its extensions.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(kernel.app, name="kernel", help="Build, list and inspect kernels.")
app.add_typer(extension.app, name="extension", help="Create, build and list extensions.")
app.add_typer(bench.app, name="bench", help="Run benchmarks on this host.")
app.command("run")(run.run)
app.command("judge")(judge.judge_dossiers)
app.command("soak")(soak.soak)
app.command("check")(check.check)
app.command("explain")(explain.explain_logs)
app.command("schema")(check.schema)
app.command("doctor")(doctor.doctor)
app.command("shell")(shell.shell)


@app.callback(invoke_without_command=True)
def _root(
    version: bool = typer.Option(False, "--version", help="Print the lab's version."),
) -> None:
    if version:
        typer.echo(f"kextlab {__version__}")
        raise typer.Exit


def main() -> None:
    """Run the command; print an error that the lab raised on purpose without a traceback."""
    try:
        app()
    except LabError as error:
        Console(stderr=True, highlight=False, soft_wrap=True, markup=False).print(f"lab: {error}")
        sys.exit(error.exit_status)
    except KeyboardInterrupt:
        sys.exit(130)
