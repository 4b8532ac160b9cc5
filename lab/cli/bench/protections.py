# SPDX-License-Identifier: GPL-2.0-only
"""`lab bench protections`: measure the cost of the kernel's protections without faults."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from lab.cli.bench.output import JsonFile, take
from lab.cli.bench.rex import show_groups
from lab.jobs.bench.common import FLAVOR
from lab.jobs.bench.protections import (
    ProtectionsBenchmark,
    ProtectionsFigures,
    ProtectionsOptions,
)


def protections(
    kernel: Annotated[str, typer.Option(help="Kernel flavor, with Rex.")] = FLAVOR,
    accel: Annotated[str, typer.Option(help="auto, kvm or tcg.")] = "auto",
    boots: Annotated[int, typer.Option(min=1, help="Guests.")] = 3,
    samples: Annotated[int, typer.Option(min=1, help="Batches per program and guest.")] = 200,
    runs: Annotated[int, typer.Option(min=1, max=10000, help="Runs per batch.")] = 50,
    counts: Annotated[bool, typer.Option(help="Count instructions, too (emulation).")] = True,
    as_json: JsonFile = None,
) -> None:
    """Measure calls at depths of 1 to 33 against eBPF, runs without each protection, and ticks."""
    options = ProtectionsOptions(boots=boots, samples=samples, runs=runs, counts=counts)
    take(
        accel,
        as_json,
        lambda planner, emit: ProtectionsBenchmark(planner, options, kernel, emit).measure(),
        show,
    )


def show(found: ProtectionsFigures, out: Console) -> None:
    """Print all figures as tables: medians, with the 5th to the 95th percentile."""
    show_groups(found.about, found.groups, out)
    for what, why in (
        ("stack checks", found.why_no_stack_check),
        ("instruction counts", found.why_no_counts),
    ):
        if why:
            out.print(f"No {what}: {why}.")
