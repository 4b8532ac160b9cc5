# SPDX-License-Identifier: GPL-2.0-only
"""Figures of `lab bench protections`: compare its samples, and subtract their common parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lab.guest.meter import LOOP
from lab.jobs.bench.figures import Figure, Group, Row, less

# Depths of calls. eBPF's limits are 33 tail calls, and 7 nested calls of its own functions.
DEPTHS = (1, 2, 4, 7, 8, 16, 32, 33)
FRAMES = (1, 2, 4, 7)

# Prefixes of pinned programs: eBPF's; Rex's with the check of the stack, and without it.
EBPF, CHECKED, BARE = "ebpf", "checked", "bare"
# Programs that make no call.
NO_CALL, EMPTY = f"{EBPF}_level_0", "rex_empty"

# Bits of /sys/kernel/debug/rex/unprotected that a run or a tick reads.
KNOBS = {
    1: "the ledger",
    2: "the redirection of faults",
    4: "the repair of the CPU's state",
    8: "the watchdog",
    15: "all of them",
}
# The bit that the kernel reads when it loads a program.
STACK_CHECKS = 16

Samples = Mapping[str, Sequence[float]]


def level(kind: str, depth: int) -> str:
    """Return the module's name of a program that makes `depth` nested calls."""
    return f"{kind}_level_{depth}"


def frames(depth: int) -> str:
    """Return the module's name of an eBPF program that calls functions of its own."""
    return f"{EBPF}_frames_{depth}"


def indexed(depth: int) -> str:
    """Return the module's name of an eBPF program that looks up each of its tail calls."""
    return f"{EBPF}_indexed_{depth}"


def of_depths(has_checks: bool) -> list[str]:
    """Return the programs to measure for calls; those that are compared are neighbours."""
    kinds = (EBPF, CHECKED, BARE) if has_checks else (EBPF, CHECKED)
    names = [LOOP, NO_CALL, EMPTY]
    for depth in DEPTHS:
        names += [*(level(kind, depth) for kind in kinds), indexed(depth)]
        if depth in FRAMES:
            names.append(frames(depth))
    return names


@dataclass
class Taken:
    """All samples, per run, in nanoseconds or instructions.

    The n-th samples of `depths` were taken one after the other. `knobs` are by the bits that were
    switched off, 0 for none. `ticks` are instructions of one tick; `per_second` is the number of
    ticks.
    """

    depths: dict[str, list[float]] = field(default_factory=dict)
    knobs: dict[int, dict[str, list[float]]] = field(default_factory=dict)
    ticks: list[float] = field(default_factory=list)
    per_second: float = 0.0


_CALLS = {1: "1 call"}


def _calls(depth: int) -> str:
    return _CALLS.get(depth, f"{depth} calls")


def groups(taken: Taken, unit: str, prefix: str = "") -> tuple[Group, ...]:
    """Return all groups of one unit; their names begin with `prefix`."""
    found = [
        Group(
            f"{prefix}depth", "Runs with calls: tail calls, recursion", unit, (EBPF, "rex"),
            tuple(_run(taken.depths, depth, EBPF, CHECKED) for depth in DEPTHS),
        ),
        Group(
            f"{prefix}levels", "Calls alone: tail calls, recursion", unit, (EBPF, "rex"),
            tuple(
                _alone(taken.depths, depth, level(EBPF, depth), level(CHECKED, depth))
                for depth in DEPTHS
            ),
        ),
        Group(
            f"{prefix}indexed", "Calls alone: tail calls by index, recursion", unit, (EBPF, "rex"),
            tuple(
                _alone(taken.depths, depth, indexed(depth), level(CHECKED, depth))
                for depth in DEPTHS
            ),
        ),
        Group(
            f"{prefix}frames", "Calls alone: eBPF's functions, recursion", unit, (EBPF, "rex"),
            tuple(
                _alone(taken.depths, depth, frames(depth), level(CHECKED, depth))
                for depth in FRAMES
            ),
        ),
    ]  # fmt: skip
    if level(BARE, 1) in taken.depths:
        rows = tuple(_run(taken.depths, depth, BARE, CHECKED) for depth in DEPTHS)
        columns = ("without", "with")
        found.append(Group(f"{prefix}stack_check", "The check of the stack", unit, columns, rows))
    found.append(_protections(taken, unit, prefix))
    if taken.ticks:
        found.append(_ticks(taken, unit, prefix))
    return tuple(found)


def _run(runs: Samples, depth: int, base: str, other: str) -> Row:
    """Return a row of whole runs, without the loop around them."""
    figures = (Figure.of(less(runs[level(kind, depth)], runs[LOOP])) for kind in (base, other))
    return Row(str(depth), _calls(depth), *figures)


def _alone(runs: Samples, depth: int, ebpf: str, rex: str) -> Row:
    """Return a row of calls alone: runs minus those of the same kind's program without calls."""
    base = Figure.of(less(runs[ebpf], runs[NO_CALL]))
    other = Figure.of(less(runs[rex], runs[EMPTY]))
    return Row(str(depth), _calls(depth), base, other)


def _protections(taken: Taken, unit: str, prefix: str) -> Group:
    def figure(knob: int) -> Figure:
        return Figure.of(less(taken.knobs[knob][EMPTY], taken.knobs[knob][LOOP]))

    rows = tuple(Row(str(knob), what, figure(knob), figure(0)) for knob, what in KNOBS.items())
    title = "A run of the empty program"
    return Group(f"{prefix}protections", title, unit, ("without", "with"), rows)


def _ticks(taken: Taken, unit: str, prefix: str) -> Group:
    one = Figure.of(taken.ticks)
    second = Figure.of(tick * taken.per_second for tick in taken.ticks)
    rows = (
        Row("tick", "a tick", one, None),
        Row("second", f"{taken.per_second:g} ticks: a second", second, None),
    )
    return Group(f"{prefix}ticks", "The watchdog's ticks on a CPU", unit, ("all",), rows)
