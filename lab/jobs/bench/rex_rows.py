# SPDX-License-Identifier: GPL-2.0-only
"""Figures of `lab bench rex`: compare its samples, and subtract their common parts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from lab.guest.meter import CALL, LOOP, Reading
from lab.jobs.bench.figures import Figure, Group, Row, less

REX, STOCK = "rex", "stock"
EBPF, REX_IMAGE, LARGE = "ebpf", "rex", "large"

# Both kinds have these; `fill` puts entries into the maps and is not measured.
PROGRAMS = ("fill", "empty", "array", "hash", "spin", "calls")
MEASURED = PROGRAMS[1:]
# Rex alone has this.
PANICS = "panics"
# The number of operations in one run of a program.
STEPS = 16


def ebpf(name: str) -> str:
    """Return the module's name of an eBPF program."""
    return f"{EBPF}_{name}"


def rex(name: str) -> str:
    """Return the module's name of a Rex program."""
    return f"{REX_IMAGE}_{name}"


def on_rex() -> list[str]:
    """Return the programs to measure on the kernel with Rex, each pair in sequence."""
    return [LOOP, CALL, *(one(name) for name in MEASURED for one in (ebpf, rex))]


def on_stock() -> list[str]:
    """Return the programs to measure on the kernel without Rex."""
    return [LOOP, CALL, *(ebpf(name) for name in MEASURED)]


def of_panics() -> list[str]:
    """Return the programs to measure for panics, with one that returns for comparison."""
    return [LOOP, rex("empty"), rex(PANICS)]


@dataclass
class Taken:
    """All samples of one kernel: per run and subject, in nanoseconds or instructions.

    The n-th samples of `runs` were taken one after the other; so were those of
    `panics`, and of `reported`, which are panics that the kernel prints. `loads` are
    nanoseconds by the loaded file.
    """

    runs: dict[str, list[float]] = field(default_factory=dict)
    panics: dict[str, list[float]] = field(default_factory=dict)
    reported: dict[str, list[float]] = field(default_factory=dict)
    loads: dict[str, list[float]] = field(default_factory=dict)

    @classmethod
    def between(cls, shorter: Reading, longer: Reading, parts: int) -> Taken:
        """Return the differences of longer and shorter batches, divided by `parts`."""
        values = {
            name: less(longer.samples[name].ticks, taken.ticks, parts)
            for name, taken in shorter.samples.items()
        }
        return cls(values, values)


def add(reading: Reading, into: dict[str, list[float]], skip: int = 0) -> None:
    """Append a reading's nanoseconds per run, without the first `skip` samples of each program."""
    for name, values in per_run(reading).items():
        into.setdefault(name, []).extend(values[skip:])


def per_run(reading: Reading) -> dict[str, list[float]]:
    """Return the nanoseconds per run of each program."""
    return {
        name: [tick * 1e6 / reading.khz / taken.runs for tick in taken.ticks]
        for name, taken in reading.samples.items()
    }


# Compute the samples of a figure from those of all programs, named by a function for one kind.
Recipe = Callable[[Mapping[str, Sequence[float]], Callable[[str], str]], list[float]]


def _whole(name: str) -> Recipe:
    """Return the recipe for a program's run, without the loop around it."""
    return lambda runs, one: less(runs[one(name)], runs[LOOP])


def _step(name: str, without: str) -> Recipe:
    """Return the recipe for one step of a program: its excess over another, divided by `STEPS`."""
    return lambda runs, one: less(runs[one(name)], runs[one(without)], STEPS)


FIGURES: tuple[tuple[str, str, Recipe], ...] = (
    ("empty", "empty program", _whole("empty")),
    ("array", "map lookup, array of 5,000", _step("array", "empty")),
    ("hash", "map lookup, hash of 5,000", _step("hash", "empty")),
    ("spin", "spin lock pair", _step("spin", "array")),
    ("calls", "33 calls: tail calls, recursion", _whole("calls")),
)


_PATH = "The path of both"
_RUN = "Programs"
_PANIC = "A Rex program that returns, and one that panics"
_LOAD = "Loading"
_BESIDE = "eBPF without and with Rex"
_NANOSECONDS, _MILLISECONDS = "ns", "ms"
_INSTRUCTIONS, _THOUSANDS = "instructions", "thousands of instructions"


def timed(on_rex: Taken, on_stock: Taken) -> tuple[Group, ...]:
    """Return all groups of times."""
    unit = _NANOSECONDS
    kinds, kernels = (EBPF, REX_IMAGE), (STOCK, REX)
    run = _both(on_rex.runs, on_rex.runs, ebpf, rex)
    beside = _both(on_stock.runs, on_rex.runs, ebpf, ebpf)
    load, load_beside = _loads(on_rex.loads, on_stock.loads, 1e6)
    return (
        _path_group("path", unit, on_rex.runs),
        Group("run", _RUN, unit, kinds, run),
        _panic_group("panic", unit, on_rex),
        Group("load", _LOAD, _MILLISECONDS, kinds, load),
        Group("ebpf_run", _BESIDE, unit, kernels, beside),
        Group("ebpf_load", f"{_LOAD} {_BESIDE}", _MILLISECONDS, kernels, load_beside),
    )


_SEVERAL = f"{len(PROGRAMS)} programs and their maps"
_LARGE = "a large eBPF program"


def counted(first: Taken, second: Taken, on_stock: Taken) -> tuple[Group, ...]:
    """Return all groups of instruction counts; `first` and `second` are from two guests."""
    both = {name: [*first.runs[name], *second.runs[name]] for name in first.runs}
    loads = {name: [*first.loads[name], *second.loads[name]] for name in first.loads}
    unit = _INSTRUCTIONS
    kinds, kernels = (EBPF, REX_IMAGE), (STOCK, REX)
    load, load_beside = _loads(loads, on_stock.loads, 1e3)
    beside = _both(on_stock.runs, both, ebpf, ebpf)
    return (
        _path_group("count_path", unit, both),
        Group("count", _RUN, unit, kinds, _both(both, both, ebpf, rex)),
        _panic_group("count_panic", unit, Taken(both, both)),
        Group("count_load", _LOAD, _THOUSANDS, kinds, load),
        Group("ebpf_count", _BESIDE, unit, kernels, beside),
        Group("ebpf_count_load", f"{_LOAD} {_BESIDE}", _THOUSANDS, kernels, load_beside),
    )


def _loads(
    on_rex: Mapping[str, Sequence[float]], on_stock: Mapping[str, Sequence[float]], unit: float
) -> tuple[tuple[Row, ...], tuple[Row, ...]]:
    """Return rows of loads: eBPF and Rex on one kernel; eBPF on kernels without and with Rex."""
    rex, stock = (
        {name: Figure.of(value / unit for value in values) for name, values in loads.items()}
        for loads in (on_rex, on_stock)
    )
    kinds = (
        Row("programs", _SEVERAL, rex[EBPF], rex[REX_IMAGE]),
        Row(LARGE, _LARGE, rex[LARGE], None),
    )
    kernels = (
        Row("programs", _SEVERAL, stock[EBPF], rex[EBPF]),
        Row(LARGE, _LARGE, stock[LARGE], rex[LARGE]),
    )
    return kinds, kernels


def _both(
    base: Mapping[str, Sequence[float]],
    other: Mapping[str, Sequence[float]],
    base_kind: Callable[[str], str],
    other_kind: Callable[[str], str],
) -> tuple[Row, ...]:
    return tuple(
        Row(name, what, Figure.of(recipe(base, base_kind)), Figure.of(recipe(other, other_kind)))
        for name, what, recipe in FIGURES
    )


def _path_group(name: str, unit: str, runs: Mapping[str, Sequence[float]]) -> Group:
    rows = (
        Row("loop", "the loop alone", Figure.of(runs[LOOP]), None),
        Row("call", "an empty C function", Figure.of(less(runs[CALL], runs[LOOP])), None),
    )
    return Group(name, _PATH, unit, ("both",), rows)


def _panic_group(name: str, unit: str, taken: Taken) -> Group:
    returns = Figure.of(less(taken.panics[rex("empty")], taken.panics[LOOP]))
    thrown = Figure.of(less(taken.panics[rex(PANICS)], taken.panics[rex("empty")]))
    rows = [Row("thrown", "from the panic to the return", None, thrown)]
    for key, what, runs in (
        ("unreported", "a panic beyond those reported", taken.panics),
        ("reported", "a panic with its report", taken.reported),
    ):
        if runs:
            rows.append(Row(key, what, returns, Figure.of(less(runs[rex(PANICS)], runs[LOOP]))))
    return Group(name, _PANIC, unit, ("returns", "panics"), tuple(rows))
