# SPDX-License-Identifier: GPL-2.0-only
"""The commands of `lab bench`."""

from __future__ import annotations

import typer

from lab.cli.bench.kill import kill
from lab.cli.bench.protections import protections
from lab.cli.bench.rex import rex
from lab.cli.bench.start import start

app = typer.Typer(no_args_is_help=True)


@app.callback()
def _root() -> None:
    """Run benchmarks on this host."""


app.command("start")(start)
app.command("rex")(rex)
app.command("kill")(kill)
app.command("protections")(protections)
