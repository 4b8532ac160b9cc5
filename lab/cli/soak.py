# SPDX-License-Identifier: GPL-2.0-only
"""`lab soak`: random Rust extensions in one guest, with traffic and hotplug, for minutes."""

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

# Characters of a command that is shown, and those that are longer.
LONGEST = 100
_COMMAND = re.compile(f"`([^`]{{{LONGEST + 1},}})`")
_SILENT = "the guest no longer answers"
# The outcomes of a hook that was reached and ran nothing: they are not among the runs.
NOT_RUN = ("refused", "disabled")


def soak(
    minutes: Annotated[
        float, typer.Option(min=0.01, help="How long rounds are begun, by the host's clock.")
    ] = 10.0,
    seed: Annotated[
        int | None, typer.Option(min=0, help="What the rounds are drawn from; random if not said.")
    ] = None,
    kernel: Annotated[str, typer.Option(help="Kernel flavor.")] = FLAVOR,
    cpus: Annotated[int, typer.Option(min=1, max=16, help="Virtual CPUs.")] = 4,
    only: Annotated[
        int | None, typer.Option("--round", min=1, help="Only this round, in a fresh guest.")
    ] = None,
    without: Annotated[
        list[str] | None,
        typer.Option(
            help="Switch a protection of the kernel off, to see that it is noticed: "
            + ", ".join(PROTECTIONS)
            + ". May be said again. What stands behind another one is not missed alone: state "
            "behind the ledger, the guard behind the check of the stack (docs/soak.md)."
        ),
    ] = None,
    beyond: Annotated[
        bool,
        typer.Option("--beyond", help="Also loop where the kernel says that it can't end them."),
    ] = False,
    accel: Annotated[str, typer.Option(help="auto, kvm or tcg.")] = "auto",
    cold: Annotated[
        bool, typer.Option("--cold", help="Boot the guest instead of forking a booted one.")
    ] = False,
    as_json: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write all figures there as JSON.")
    ] = None,
) -> None:
    """Random Rust extensions that loop, panic, overflow, leak and behave, while the lab watches."""
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
    """The result with long commands cut in what is said of it: its dossier has them whole."""
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
    """The figures of a soak, a line each; of what is not known it says just that."""
    rounds = f"{len(done.rounds)} round" + ("s" if len(done.rounds) != 1 else "")
    unknown, totals = done.unknown, done.totals
    if not done.rounds:
        return [rounds]
    if len(unknown) == len(done.rounds):
        return [
            f"{rounds}; what ran is not known: {_SILENT}",
            "the kernel's books: not known, for the same reason",
        ]
    ends = _counted(totals, [end for end in OUTCOMES if end not in NOT_RUN]) or "none"
    kept = _counted(totals, NOT_RUN)
    lines = [f"{rounds}, {totals['runs']:,} runs: {ends}" + (f"; not run: {kept}" if kept else "")]
    lines += [
        f"what ran in round {number} is not known, nor in these figures: {_SILENT}"
        for number in unknown
    ]
    given = {name: totals[name] for name in totals if name.startswith(("released_", "leaked_"))} | {
        name: totals[name] for name in ("repaired", "ledger_full", "deferred")
    }
    lines.append("the kernel's books: " + ", ".join(f"{name} {n:,}" for name, n in given.items()))
    if done.behaviours:
        shown = ", ".join(f"{name} {count:,}" for name, count in done.behaviours.items())
        lines.append(f"behaviours begun, where they could be counted: {shown}")
    if done.latency_max_ns is not None and done.latency_max_rounds is not None:
        first, last = done.latency_max_rounds
        where = f"round {last}" if first == last else f"one of the rounds {first} to {last}"
        lines.append(
            f"longest from a budget's end to the run's: {done.latency_max_ns / 1e6:.1f} ms, in "
            f"{where} (by the guest's clock, which goes on while a busy host has its CPU)"
        )
    if done.slopes:
        shown = ", ".join(f"{name} {rate:+.2f}" for name, rate in done.slopes.items())
        lines.append(f"KiB per round: {shown}")
    return lines


def _counted(totals: Counter[str], names: Iterable[str]) -> str:
    return ", ".join(f"{totals[name]:,} {name}" for name in names if totals[name])
