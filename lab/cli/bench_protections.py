# SPDX-License-Identifier: GPL-2.0-only
"""`lab bench protections`: what the kernel's protections cost when nothing goes wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from lab import events
from lab.cache import Cache
from lab.cli.bench_rex import WIDTH, aside_of, group_table
from lab.drivers.bench_protections import FLAVOR, BenchProtections, Plan, ProtectionsBench
from lab.report.terminal import Terminal
from lab.runner.plan import Planner


def protections(
    kernel: Annotated[str, typer.Option(help="Kernel flavor, with Rex.")] = FLAVOR,
    accel: Annotated[str, typer.Option(help="auto, kvm or tcg.")] = "auto",
    boots: Annotated[int, typer.Option(min=1, help="Guests.")] = 3,
    samples: Annotated[int, typer.Option(min=1, help="Brackets of each program and guest.")] = 200,
    runs: Annotated[int, typer.Option(min=1, max=10000, help="Runs in a bracket.")] = 50,
    counts: Annotated[bool, typer.Option(help="Count instructions, too (emulation).")] = True,
    as_json: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write the figures there as JSON.")
    ] = None,
) -> None:
    """Calls beside eBPF's at depths of 1 to 33; runs without this or that protection; ticks."""
    aside = None if as_json is None else aside_of(as_json)
    with Terminal(Console(stderr=True, highlight=False, soft_wrap=True)) as progress:
        emit = events.Bus(progress)
        planner = Planner(Cache.default(emit), accel, emit)
        plan = Plan(boots=boots, samples=samples, runs=runs, counts=counts)
        found = BenchProtections(planner, plan, kernel, emit).measure()
    if as_json is not None and aside is not None:
        aside.write_text(json.dumps(found.as_data(), indent=1) + "\n")
        aside.replace(as_json)
    out = Console(highlight=False)
    if not out.is_terminal:
        out.width = WIDTH
    show(found, out)


def show(found: ProtectionsBench, out: Console) -> None:
    """All figures as tables, medians with the 5th to the 95th percentile."""
    about = found.about
    kernels = ", ".join(one["release"] for one in about["kernels"].values())
    out.print(f"{about['accelerator']}, {about['host']['cpu']}; {kernels}; medians, 5 to 95 %\n")
    for group in found.groups:
        out.print(group_table(group))
        out.print()
    for what, why in (
        ("stack checks", found.why_no_stack_check),
        ("instruction counts", found.why_no_counts),
    ):
        if why:
            out.print(f"No {what}: {why}.")
