# SPDX-License-Identifier: GPL-2.0-only
"""`lab bench start`: measure how long guests take to start."""

from __future__ import annotations

import dataclasses
import json
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from lab import events
from lab.cache import Cache
from lab.guest.forks import Forks
from lab.jobs.bench.start import StartFigures, bench_start
from lab.report.terminal import Terminal
from lab.runner.plan import Planner
from lab.workspace import Workspace

# The parts of a start, in the order of time.
PARTS = ("QEMU", "load", "boot", "unpark", "SSH", "command")


def start(
    kernel: Annotated[str, typer.Option(help="Kernel flavor.")] = "stock",
    accel: Annotated[str, typer.Option(help="auto, kvm or tcg.")] = "auto",
    turns: Annotated[int, typer.Option(min=1, help="Cold boots; each comes with four forks.")] = 5,
    guests: Annotated[int, typer.Option(min=1, help="Forks in the throughput test.")] = 40,
    as_json: Annotated[bool, typer.Option("--json", help="Print figures as JSON.")] = False,
) -> None:
    """Measure how long guests take to start: forks, cold boots and virtme-ng, and the parts."""
    out = Console(highlight=False)
    with Terminal(Console(stderr=True, highlight=False, soft_wrap=True)) as progress:
        emit = events.Bus(progress)
        planner = Planner(Workspace.default(), Cache.default(emit), accel, emit)
        built = planner.kernel(kernel)
        spec = planner.guest_spec(built, planner.image(built))
        forks = Forks(planner.cache, emit=emit)
        found = bench_start(spec, built.bzimage, forks, turns=turns, guests=guests, emit=emit)
    if as_json:
        data = dataclasses.asdict(found)
        data["targets"] = [dataclasses.asdict(target) for target in found.judged()]
        typer.echo(json.dumps(data))
        return
    out.print(_parts(found))
    out.print(_targets(found))


def _parts(found: StartFigures) -> Table:
    table = Table("seconds, medians", "fork", "cold boot", box=None, pad_edge=False)
    both = (found.fork, found.cold)
    for name in PARTS:
        if any(name in one.parts for one in both):
            table.add_row(name, *(_seconds(one.parts.get(name)) for one in both))
    table.add_row("to the first SSH command", *(_seconds(one.median) for one in both))
    return table


def _targets(found: StartFigures) -> Table:
    table = Table("target", "required", "measured", "", box=None, pad_edge=False)
    for one in found.judged():
        if one.measured is None:
            table.add_row(one.what, one.asked, "-", found.why_no_vng)
        else:
            verdict = "[green]met[/]" if one.met else "[red]missed[/]"
            table.add_row(one.what, one.asked, f"{one.measured:.2f} {one.unit}", verdict)
    return table


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
