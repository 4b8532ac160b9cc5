# SPDX-License-Identifier: GPL-2.0-only
"""`lab bench kill`: measure how long the kernel takes to end a program that never returns."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from lab.cli.bench.output import JsonFile, take
from lab.jobs.bench.common import FLAVOR
from lab.jobs.bench.kill import KillBenchmark, KillFigures, KillOptions
from lab.jobs.bench.kill_rows import Latency, tick_ms


def kill(
    kernel: Annotated[str, typer.Option(help="Kernel flavor, with Rex.")] = FLAVOR,
    accel: Annotated[str, typer.Option(help="auto, kvm or tcg.")] = "auto",
    kills: Annotated[int, typer.Option(min=1, max=10000, help="Kills in each context.")] = 200,
    budget: Annotated[
        int, typer.Option(min=1, max=1000, help="Budget of a run, in milliseconds.")
    ] = 10,
    as_json: JsonFile = None,
) -> None:
    """Measure the time from the end of a budget until the kernel has its CPU back, per context."""
    options = KillOptions(kills=kills, budget_ms=budget)
    take(
        accel,
        as_json,
        lambda planner, emit: KillBenchmark(planner, options, kernel, emit).measure(),
        show,
    )


def show(found: KillFigures, out: Console) -> None:
    """Print all figures as tables, one for each clock."""
    about, options = found.about, found.options
    kernels = ", ".join(one["release"] for one in about["kernels"].values())
    tick = tick_ms(options.budget_ms)
    out.print(f"{about['accelerator']}, {about['host']['cpu']}; {kernels}")
    out.print(f"{options.kills} kills each; budget {options.budget_ms} ms, tick {tick:g} ms\n")
    for title, clock in (
        ("Latency by the guest's clock, ms", "clock"),
        ("Latency by instructions of 8 ns, which no host disturbs, ms", "icount"),
    ):
        if any(getattr(row, clock) is not None for row in found.rows):
            out.print(_table(found, title, clock))
            out.print()
    if found.why_no_icount:
        out.print(f"No latency by instructions: {found.why_no_icount}.")


def _table(found: KillFigures, title: str, clock: str) -> Table:
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    table.add_column("", min_width=28)
    columns = ("minimum", "median", "99 %", "maximum", "bound", "beyond")
    for column in columns:
        table.add_column(column, justify="right")
    for row in found.rows:
        latency: Latency | None = getattr(row, clock)
        if latency is None:
            continue
        figures = (latency.minimum, latency.median, latency.p99, latency.maximum, row.bound_ms)
        beyond = f"[red]{latency.beyond}[/]" if latency.beyond else "0"
        table.add_row(row.case.what, *(f"{one:.2f}" for one in figures), beyond)
    return table
