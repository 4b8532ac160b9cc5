# SPDX-License-Identifier: GPL-2.0-only
"""`lab bench rex`: what programs in Rust cost, beside the same in eBPF."""

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
    samples: Annotated[int, typer.Option(min=1, help="Brackets of each program and guest.")] = 200,
    runs: Annotated[int, typer.Option(min=1, max=10000, help="Runs in a bracket.")] = 50,
    loads: Annotated[int, typer.Option(min=1, help="Loads of each object and guest.")] = 8,
    counts: Annotated[bool, typer.Option(help="Count instructions, too (emulation).")] = True,
    as_json: JsonFile = None,
) -> None:
    """Rex and eBPF side by side: running, panicking, loading; and eBPF without Rex beside it."""
    options = RexOptions(boots=boots, samples=samples, runs=runs, loads=loads, counts=counts)
    take(accel, as_json, lambda planner, emit: RexBenchmark(planner, options, emit).measure(), show)


def show(found: RexFigures, out: Console) -> None:
    """All figures as tables, medians with the 5th to the 95th percentile."""
    show_groups(found.about, found.groups, out)
    if found.repeated is None:
        out.print(f"No instruction counts: {found.why_no_counts}.")
    elif found.repeated:
        out.print("Two runs counted the same instructions.")
    else:
        out.print("[red]Two runs did not count the same instructions.[/]")


def show_groups(about: Mapping[str, Any], groups: Iterable[Group], out: Console) -> None:
    """Where it was measured, and each group as a table."""
    kernels = ", ".join(one["release"] for one in about["kernels"].values())
    out.print(f"{about['accelerator']}, {about['host']['cpu']}; {kernels}; medians, 5 to 95 %\n")
    for group in groups:
        out.print(_table(group))
        out.print()


def _table(group: Group) -> Table:
    """A group's figures with their spread and, where two are compared, their ratio."""
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
    """Three figures that matter, and no thousandths of what is counted in thousands."""
    return f"{value:,.0f}" if abs(value) >= 1000 or value == int(value) else f"{value:.3g}"


def _ratio(row: Row) -> str:
    return "" if row.ratio is None else f"{row.ratio:.2f}"
