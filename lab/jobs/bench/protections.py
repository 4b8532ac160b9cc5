# SPDX-License-Identifier: GPL-2.0-only
"""Measure the cost of Rex's protections when nothing goes wrong, and calls against eBPF's.

`docs/benchmarks.md` describes the method. If you change the meaning of a figure, change the
description too, and raise `VERSION`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from lab import events
from lab.deadline import scaled
from lab.errors import InfraError
from lab.extension.c import build_c
from lab.extension.rust.build import build_rust
from lab.guest import kills, meter
from lab.guest.guest import Guest
from lab.jobs.bench import common
from lab.jobs.bench import protections_rows as rows
from lab.jobs.bench.about import about
from lab.jobs.bench.common import (
    COUNT_PARTS,
    FLAVOR,
    ICOUNT,
    SECONDS,
    TURNS,
    GroupedFigures,
    SampleOptions,
)
from lab.jobs.bench.figures import less
from lab.jobs.bench.protections_rows import BARE, CHECKED, DEPTHS, EBPF, FRAMES, KNOBS, Taken
from lab.jobs.bench.rex_rows import add
from lab.runner.plan import Planner

# Version of the JSON. Raise it when a figure changes its meaning or is removed.
VERSION = 1

C_OBJECT, RUST_IMAGE, EMPTY_IMAGE = "bench_depth", "bench_depth", "bench"
UNPROTECTED = "/sys/kernel/debug/rex/unprotected"
# Kernels that check the stack have this file.
STACKS = "/sys/kernel/debug/rex/stacks"

# The kernel's default budget, and one with a tenth of its ticks. A loop of _LOOPS iterations is
# timed with each, _LOOP_RUNS times.
_BUDGET_MS, _LONG_BUDGET_MS = 10, 100
_TICK_MS, _LONG_TICK_MS = 2.5, 25.0
_LOOPS, _LOOP_RUNS = 30_000_000, 5


@dataclass(frozen=True)
class ProtectionsOptions(SampleOptions):
    """The amounts to measure."""


@dataclass(frozen=True)
class ProtectionsFigures(GroupedFigures):
    """The figures of one run."""

    version = VERSION

    why_no_stack_check: str = ""
    why_no_counts: str = ""

    def as_data(self) -> dict[str, Any]:
        """Return the figures as plain data, for JSON."""
        return super().as_data() | {
            "why_no_stack_check": self.why_no_stack_check,
            "why_no_instruction_counts": self.why_no_counts,
        }


@dataclass
class _Subject:
    """A guest with all programs pinned in it; `checks` is true if its kernel checks the stack."""

    guest: Guest
    checks: bool

    def protect(self, but: int) -> None:
        """Switch all protections on, except those with bits in `but`."""
        _run(self.guest, f"echo {but} > {UNPROTECTED}")

    def run(self, names: list[str], samples: int, runs: int, warm: int) -> meter.Reading:
        """Measure; raise `InfraError` if a program returned an error."""
        return common.read(self.guest, names, samples, runs, warm)


@dataclass
class ProtectionsBenchmark:
    """One benchmark: makes builds, boots guests, and takes the figures."""

    planner: Planner
    options: ProtectionsOptions
    flavor: str = FLAVOR
    emit: events.Emit = events.ignore

    def measure(self) -> ProtectionsFigures:
        """Build what is needed, and measure.

        Raises `UserError` for what can't be built or measured, `BootError` and `InfraError`.
        """
        common.rex_kernel(self.planner, self.flavor, "can't be measured")
        why_no_counts = common.why_no_counts(self.planner, self.options)
        total = self.options.boots + (not why_no_counts)
        self.emit(events.StageStarted("protections", "runs", total))
        times = Taken()
        checks = False
        for boot in range(self.options.boots):
            with self._guest() as subject:
                checks = subject.checks
                self._time(subject, times)
            self.emit(events.StageProgress("protections", "runs", boot + 1, total))
        found = rows.groups(times, "ns")
        if not why_no_counts:
            with self._guest(ICOUNT) as subject:
                found += rows.groups(_counted(subject), "instructions", "count_")
            self.emit(events.StageProgress("protections", "runs", total, total))
        why = "" if checks else "the kernel does not check the stack in each function"
        return ProtectionsFigures(self._about(), found, why, why_no_counts)

    def _time(self, subject: _Subject, into: Taken) -> None:
        """Time all programs, and the empty one without each protection, in alternation."""
        options = self.options
        depths = rows.of_depths(subject.checks)
        for _ in range(TURNS):
            add(subject.run(depths, options.batches, options.runs, options.warm), into.depths)
            for knob in (0, *KNOBS):
                subject.protect(knob)
                reading = subject.run(
                    [meter.LOOP, rows.EMPTY], options.batches, options.runs, options.warm
                )
                add(reading, into.knobs.setdefault(knob, {}))
            subject.protect(0)

    @contextlib.contextmanager
    def _guest(self, icount: int | None = None) -> Iterator[_Subject]:
        """Boot a guest with one CPU, modules loaded and programs pinned."""
        planner, cache, emit = self.planner, self.planner.cache, self.emit
        workspace = planner.workspace
        kernel = planner.kernel(self.flavor)
        paths = {
            EBPF: build_c(workspace, C_OBJECT, kernel, cache, emit).path,
            CHECKED: build_rust(workspace, RUST_IMAGE, cache, emit).path,
            "rex": build_rust(workspace, EMPTY_IMAGE, cache, emit).path,
        }
        files = {kind: f"/root/{kind}" for kind in paths}
        pushed = {files[kind]: path for kind, path in paths.items()}
        modules = [meter.MODULE, kills.MODULE]
        with common.booted(planner, kernel, modules, pushed, icount=icount) as guest:
            subject = _Subject(guest, "yes" in _run(guest, f"[ ! -e {STACKS} ] || echo yes"))
            _pin(subject, files)
            yield subject

    def _about(self) -> dict[str, Any]:
        return about(self.planner, (self.flavor,)) | {
            "compilers": common.compilers(),
            "samples": self.options.as_data(),
        }


def _pin(subject: _Subject, files: dict[str, str]) -> None:
    """Load and pin all programs, and end the loader, whose statistics slow down each run."""
    levels = [f"level_{depth}" for depth in DEPTHS]
    indexed = [f"indexed_{depth}" for depth in DEPTHS]
    own = [f"frames_{depth}" for depth in FRAMES]
    _load(subject, EBPF, files[EBPF], ["level_0", *levels, *indexed, *own])
    # The kernel empties an array of programs when no file descriptor or pin refers to it any more.
    for name in ("levels", "indexed"):
        common.call(subject.guest, "pin", handle=EBPF, map=name, path=meter.pin_path(name))
    _load(subject, CHECKED, files[CHECKED], levels)
    _load(subject, "rex", files["rex"], ["empty"], autoload="empty")
    if subject.checks:
        subject.protect(rows.STACK_CHECKS)
        _load(subject, BARE, files[CHECKED], levels)
        subject.protect(0)
    subject.guest.end_loader(scaled(SECONDS))


def _load(
    subject: _Subject, kind: str, path: str, programs: list[str], autoload: str | None = None
) -> None:
    common.call(subject.guest, "load", handle=kind, path=path, autoload=autoload)
    for name in programs:
        common.pin(subject.guest, kind, name, f"{kind}_{name}")


def _run(guest: Guest, command: str) -> str:
    done = guest.run(command, scaled(SECONDS))
    if done.status != 0:
        raise InfraError(f"`{command}` failed in the guest", details=done.stderr)
    return done.stdout


def _counted(subject: _Subject) -> Taken:
    """Count the same in instructions per run. The cost of a batch itself is subtracted."""
    taken = Taken(_between(subject, rows.of_depths(subject.checks)))
    for knob in (0, *KNOBS):
        subject.protect(knob)
        taken.knobs[knob] = _between(subject, [meter.LOOP, rows.EMPTY])
    subject.protect(0)
    taken.ticks = _ticks(subject.guest)
    taken.per_second = 1000 / _TICK_MS
    return taken


def _between(subject: _Subject, names: list[str]) -> dict[str, list[float]]:
    shorter, longer = common.counted(subject.guest, names)
    return {
        name: less(longer.samples[name].ticks, taken.ticks, COUNT_PARTS)
        for name, taken in shorter.samples.items()
    }


def _ticks(guest: Guest) -> list[float]:
    """Return the instructions of one tick, from a loop interrupted by ten times as many ticks."""
    often, seldom = (_busy(guest, budget) for budget in (_BUDGET_MS, _LONG_BUDGET_MS))
    return [
        (more - fewer) / (more / (_TICK_MS * 1e6) - fewer / (_LONG_TICK_MS * 1e6)) / (1 << ICOUNT)
        for more, fewer in zip(often, seldom, strict=True)
    ]


def _busy(guest: Guest, budget_ms: int) -> tuple[int, ...]:
    """Return the times of the loop with this budget.

    The first run is dropped: the ticks get the distance of the new budget only during it.
    """
    _run(guest, f"echo {budget_ms} > /proc/sys/kernel/rex/budget_ms")
    return kills.busy(guest, _LOOPS, 1 + _LOOP_RUNS, scaled(SECONDS))[1:]
