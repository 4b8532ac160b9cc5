# SPDX-License-Identifier: GPL-2.0-only
"""`lab soak`: run random Rust extensions in one guest, with traffic and hotplug, for minutes."""

from __future__ import annotations

import json
import re
import secrets
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from lab import events
from lab.atomic import atomic_write
from lab.cache import Cache
from lab.cli.bench.output import need_writable
from lab.cli.run import EXIT_ERROR, EXIT_FAILED
from lab.errors import UserError
from lab.guest.forks import Forks
from lab.jobs.soak import scenario_file
from lab.jobs.soak.options import FLAVOR, PROTECTIONS, SoakOptions, SoakResult
from lab.jobs.soak.run import Soak
from lab.report.result import Result, explain
from lab.report.terminal import Terminal
from lab.runner.plan import Planner
from lab.words import OUTCOMES
from lab.workspace import Workspace

# The maximum number of characters of a command that is shown, and a pattern of longer ones.
LONGEST = 100
_COMMAND = re.compile(f"`([^`]{{{LONGEST + 1},}})`")
_SILENT = "the guest no longer answers"
# The outcomes of a hook that was reached but ran no program: they do not count as runs.
NOT_RUN = ("refused", "disabled")


def soak(
    minutes: Annotated[
        float,
        typer.Option(min=0.01, help="Start new rounds for this many minutes of the host's clock."),
    ] = 10.0,
    seed: Annotated[int | None, typer.Option(min=0, help="Random seed; default: random.")] = None,
    kernel: Annotated[str, typer.Option(help="Kernel flavor.")] = FLAVOR,
    cpus: Annotated[int, typer.Option(min=1, max=16, help="Virtual CPUs.")] = 4,
    only: Annotated[
        int | None, typer.Option("--round", min=1, help="Run only this round, in a fresh guest.")
    ] = None,
    without: Annotated[
        list[str] | None,
        typer.Option(
            help="Switch off a protection of the kernel, to see that a soak fails without it: "
            + ", ".join(PROTECTIONS)
            + ". Repeatable. Disabling a fallback alone has no effect: `state` backs up `ledger`, "
            "`guard` backs up `stack` (docs/soak.md)."
        ),
    ] = None,
    beyond: Annotated[
        bool,
        typer.Option("--beyond", help="Also loop where the kernel can't end a loop."),
    ] = False,
    accel: Annotated[str, typer.Option(help="auto, kvm or tcg.")] = "auto",
    cold: Annotated[
        bool, typer.Option("--cold", help="Boot the guest instead of forking a booted one.")
    ] = False,
    as_json: Annotated[
        Path | None,
        typer.Option("--json", metavar="FILE", help="Write the figures to this file as JSON."),
    ] = None,
) -> None:
    """Run random Rust extensions that loop, panic, overflow, leak and behave in one guest."""
    for name in without or ():
        if name not in PROTECTIONS:
            raise UserError(
                f"--without {name}: no such protection", hint=f"one of {', '.join(PROTECTIONS)}"
            )
    chosen = secrets.randbelow(1 << 32) if seed is None else seed
    order = SoakOptions(chosen, minutes, kernel, cpus, only, tuple(without or ()), beyond)
    if as_json is not None:
        need_writable(as_json)
    out = Console(highlight=False, soft_wrap=True)
    with Terminal(out) as progress:
        emit = events.Bus(progress)
        progress.print(f"soak: {order.line()}")
        cache = Cache.default(emit)
        planner = Planner(Workspace.default(), cache, accel, emit)
        done = Soak(planner, Forks(cache, cold, emit), order, emit).run()
    if as_json is not None:
        atomic_write(as_json, json.dumps(done.as_data(), indent=1) + "\n")
    _show(done, out)
    if done.verdict == "failed":
        raise typer.Exit(EXIT_FAILED)
    if done.verdict == "error":
        raise typer.Exit(EXIT_ERROR)
    if done.interrupted:
        raise typer.Exit(130)


def _show(done: SoakResult, out: Console) -> None:
    if done.result is not None:
        out.print(explain(shortened(done.result)) + "\n", markup=False)
        last = done.rounds[-1]["round"]
        out.print(f"only that round:  {done.options.line(only=last)}", markup=False)
        if done.file is not None:
            out.print(f"to cut it down:   {scenario_file.line(done.file)}", markup=False)
        out.print()
    for line in figures(done):
        out.print(line, markup=False)
    if done.result is None:
        for reason in done.reasons:
            out.print(f"  {reason}", markup=False)
    word = "interrupted, so far " if done.interrupted else ""
    style = {"passed": "green", "failed": "red"}.get(done.verdict, "magenta")
    seed = done.options.seed
    out.print(f"{word}{done.verdict} in {done.seconds:.0f} s, seed {seed}", style=style)


def shortened(result: Result) -> Result:
    """Return the result with long commands cut in its texts; its dossier has them in full."""
    return replace(
        result,
        reasons=tuple(_cut(reason) for reason in result.reasons),
        evidence=tuple(
            {**one, "summary": _cut(str(one.get("summary", "")))} for one in result.evidence
        ),
    )


def _cut(text: str) -> str:
    return _COMMAND.sub(lambda found: f"`{found[1][: LONGEST - 3]}...`", text)


def figures(done: SoakResult) -> list[str]:
    """Return the figures of a soak as lines; unknown figures are named as unknown."""
    rounds = f"{len(done.rounds)} round" + ("s" if len(done.rounds) != 1 else "")
    unknown, totals = done.unknown, done.totals
    if not done.rounds:
        return [rounds]
    if len(unknown) == len(done.rounds):
        return [
            f"{rounds}; unknown what ran: {_SILENT}",
            "the kernel's counts: unknown, for the same reason",
        ]
    ends = _counted(totals, [end for end in OUTCOMES if end not in NOT_RUN]) or "none"
    kept = _counted(totals, NOT_RUN)
    lines = [f"{rounds}, {totals['runs']:,} runs: {ends}" + (f"; not run: {kept}" if kept else "")]
    lines += [
        f"unknown what ran in round {number}, which these figures leave out: {_SILENT}"
        for number in unknown
    ]
    given = {name: totals[name] for name in totals if name.startswith(("released_", "leaked_"))} | {
        name: totals[name] for name in ("repaired", "ledger_full", "deferred")
    }
    lines.append("the kernel's counts: " + ", ".join(f"{name} {n:,}" for name, n in given.items()))
    if done.behaviours:
        shown = ", ".join(f"{name} {count:,}" for name, count in done.behaviours.items())
        lines.append(f"behaviours started (if counted): {shown}")
    if done.latency_max_ns is not None and done.latency_max_rounds is not None:
        first, last = done.latency_max_rounds
        where = f"round {last}" if first == last else f"one of the rounds {first} to {last}"
        lines.append(
            "longest time from the end of a budget to the end of the run: "
            f"{done.latency_max_ns / 1e6:.1f} ms, in {where} "
            "(guest's clock; it also runs while a busy host does not run the guest)"
        )
    if done.slopes:
        shown = ", ".join(f"{name} {rate:+.2f}" for name, rate in done.slopes.items())
        lines.append(f"KiB per round: {shown}")
    return lines


def _counted(totals: Counter[str], names: Iterable[str]) -> str:
    return ", ".join(f"{totals[name]:,} {name}" for name in names if totals[name])
