# SPDX-License-Identifier: GPL-2.0-only
"""`lab bench rex`: compare the cost of programs in Rust with the same programs in eBPF."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from lab.cli.bench.output import JsonFile, take
from lab.jobs.bench.figures import Figure, Group, Row
from lab.jobs.bench.rex import RexBenchmark, RexFigures, RexOptions


def rex(
    accel: Annotated[str, typer.Option(help="auto, kvm or tcg.")] = "auto",
    boots: Annotated[int, typer.Option(min=1, help="Guests of each kernel.")] = 5,
    samples: Annotated[int, typer.Option(min=1, help="Batches per program and guest.")] = 200,
    runs: Annotated[int, typer.Option(min=1, max=10000, help="Runs per batch.")] = 50,
    loads: Annotated[int, typer.Option(min=1, help="Loads of each object and guest.")] = 8,
    counts: Annotated[bool, typer.Option(help="Count instructions, too (emulation).")] = True,
    as_json: JsonFile = None,
) -> None:
    """Compare Rex with eBPF: running, panicking, loading; and eBPF with and without Rex."""
    options = RexOptions(boots=boots, samples=samples, runs=runs, loads=loads, counts=counts)
    take(accel, as_json, lambda planner, emit: RexBenchmark(planner, options, emit).measure(), show)


def show(found: RexFigures, out: Console) -> None:
    """Print all figures as tables: medians, with the 5th to the 95th percentile."""
    show_groups(found.about, found.groups, out)
    if found.repeated is None:
        out.print(f"No instruction counts: {found.why_no_counts}.")
    elif found.repeated:
        out.print("Both guests counted the same instructions.")
    else:
        out.print("[red]The guests did not count the same instructions.[/]")


def show_groups(about: Mapping[str, Any], groups: Iterable[Group], out: Console) -> None:
    """Print the host and kernels of a measurement, and each group as a table."""
    kernels = ", ".join(one["release"] for one in about["kernels"].values())
    out.print(f"{about['accelerator']}, {about['host']['cpu']}; {kernels}; medians, 5 to 95 %\n")
    for group in groups:
        out.print(_table(group))
        out.print()


def _table(group: Group) -> Table:
    """Return a table of a group's figures, with their spread and the ratio of two columns."""
    table = Table(
        title=f"{group.title}, {group.unit}", title_justify="left", box=None, pad_edge=False
    )
    table.add_column("", min_width=31)
    for column in group.columns:
        table.add_column(column, justify="right")
        table.add_column("")
    compared = len(group.columns) > 1
    if compared:
        table.add_column("ratio", justify="right")
    for row in group.rows:
        cells = [*_cells(row.base), *(_cells(row.other) if compared else ())]
        table.add_row(row.what, *cells, *([_ratio(row)] if compared else []))
    return table


def _cells(figure: Figure | None) -> tuple[str, str]:
    if figure is None:
        return "-", ""
    if figure.exact:
        return _number(figure.median), "exactly"
    if figure.samples == 1:
        return _number(figure.median), ""
    return _number(figure.median), f"{_number(figure.low)} to {_number(figure.high)}"


def _number(value: float) -> str:
    """Format a number with three significant digits, from 1000 on as a whole number."""
    return f"{value:,.0f}" if abs(value) >= 1000 or value == int(value) else f"{value:.3g}"


def _ratio(row: Row) -> str:
    return "" if row.ratio is None else f"{row.ratio:.2f}"
