# SPDX-License-Identifier: GPL-2.0-only
"""Measure how long a program that never returns keeps its CPU beyond its budget.

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
from lab.extension.rust.build import build_rust
from lab.guest import kills, meter
from lab.guest.guest import Guest
from lab.jobs.bench import common
from lab.jobs.bench import kill_rows as rows
from lab.jobs.bench.about import about
from lab.jobs.bench.common import FLAVOR, ICOUNT
from lab.jobs.bench.kill_rows import CASES, Case, Latency, Row
from lab.runner.plan import Planner

# Version of the JSON. Raise it when a figure changes its meaning or is removed.
VERSION = 1

IMAGE = "bench_kill"
CLOCK, COUNTED = "clock", "icount"
_SECONDS = 60.0
_PATH_RUNS = 100
# The other CPU is still busy with the shell that started the runs. Under a clock that counts
# instructions, its work delays this CPU, too.
_WARM = 10


@dataclass(frozen=True)
class KillOptions:
    """The amounts to measure: `kills` runs of each case, each with a budget of `budget_ms`.

    `seed` draws the waits before the runs.
    """

    kills: int = 200
    budget_ms: int = 10
    seed: int = 1

    @property
    def tick_ns(self) -> int:
        """The time between two watchdog ticks of a CPU, in nanoseconds."""
        return int(rows.tick_ms(self.budget_ms) * rows.MILLISECOND)

    @property
    def seconds(self) -> float:
        """The time limit for the kills of one case."""
        longest = self.budget_ms + (rows.NEIGHBOURS_TICKS + 2) * rows.tick_ms(self.budget_ms)
        return _SECONDS + 4 * (_WARM + self.kills) * longest / 1000


@dataclass(frozen=True)
class KillFigures:
    """All figures of one run.

    `path_ns` is the time of reading the clocks and calling a program that returns, by clock.
    """

    about: dict[str, Any]
    options: KillOptions
    rows: tuple[Row, ...]
    path_ns: dict[str, float]
    why_no_icount: str = ""

    def row(self, name: str) -> Row:
        """Return a row by its case's name."""
        return next(row for row in self.rows if row.case.name == name)

    def as_data(self) -> dict[str, Any]:
        """Return the figures as plain data, for JSON."""
        return {
            "version": VERSION,
            "about": self.about,
            "unit": "ms",
            "budget_ms": self.options.budget_ms,
            "tick_ms": rows.tick_ms(self.options.budget_ms),
            "kills": self.options.kills,
            "path_ns": self.path_ns,
            "rows": [row.as_data() for row in self.rows],
            "why_no_icount": self.why_no_icount,
        }


@dataclass
class KillBenchmark:
    """One benchmark: ends programs in one guest per clock, and measures how long that takes."""

    planner: Planner
    options: KillOptions
    flavor: str = FLAVOR
    emit: events.Emit = events.ignore

    def measure(self) -> KillFigures:
        """Build what is needed, and measure.

        Raises `UserError` for what can't be built or measured, `BootError` and `InfraError`.
        """
        common.rex_kernel(self.planner, self.flavor, "ends no programs")
        clocks: list[tuple[str, int | None]] = [(CLOCK, None)]
        why = ""
        if self.planner.chosen_accel().name == "tcg":
            clocks.append((COUNTED, ICOUNT))
        else:
            why = "instructions are a clock under emulation only (--accel tcg)"
        taken: dict[str, dict[str, Latency]] = {}
        paths = {}
        for name, icount in clocks:
            self.emit(events.StageStarted("kill", name, len(CASES)))
            with self._guest(icount) as guest:
                paths[name] = self._path(guest)
                taken[name] = {}
                for done, case in enumerate(CASES, 1):
                    taken[name][case.name] = self._case(guest, case)
                    self.emit(events.StageProgress("kill", name, done, len(CASES)))
        found = tuple(
            Row(case, self._bound(case), *(self._of(taken, one, case) for one in (CLOCK, COUNTED)))
            for case in CASES
        )
        return KillFigures(about(self.planner, (self.flavor,)), self.options, found, paths, why)

    def _bound(self, case: Case) -> float:
        return case.bound_ms(rows.tick_ms(self.options.budget_ms))

    @staticmethod
    def _of(taken: dict[str, dict[str, Latency]], clock: str, case: Case) -> Latency | None:
        return taken[clock][case.name] if clock in taken else None

    def _case(self, guest: Guest, case: Case) -> Latency:
        options = self.options
        found = kills.kill(
            guest,
            case.context,
            meter.pin_path(case.program),
            runs=_WARM + options.kills,
            delay=options.tick_ns,
            seed=options.seed,
            deadline=scaled(options.seconds),
        )
        if found.terminated != len(found.took):
            raise InfraError(
                f"{case.what}: {len(found.took)} runs, and the kernel ended {found.terminated}"
            )
        return Latency.of(
            found.took[_WARM:], options.budget_ms, self._bound(case), found.kernel_max
        )

    def _path(self, guest: Guest) -> float:
        """Return the median time of a program that returns at once, in nanoseconds."""
        found = kills.kill(
            guest,
            "task",
            meter.pin_path(rows.EMPTY),
            runs=_PATH_RUNS,
            delay=0,
            seed=self.options.seed,
            deadline=scaled(_SECONDS),
        )
        return float(sorted(found.took)[len(found.took) // 2])

    @contextlib.contextmanager
    def _guest(self, icount: int | None) -> Iterator[Guest]:
        """Boot a guest with two CPUs, the module loaded and all programs pinned."""
        planner, cache, emit = self.planner, self.planner.cache, self.emit
        kernel = planner.kernel(self.flavor)
        image = build_rust(planner.workspace, IMAGE, cache, emit).path
        target = f"/root/{image.name}"
        with common.booted(
            planner,
            kernel,
            [kills.MODULE],
            {target: image},
            cpus=2,
            icount=icount,
            module_options="" if icount is None else kills.TURNS,
            seconds=_SECONDS,
        ) as guest:
            # Keep reports in the kernel's log: printing to the console turns interrupts off.
            quiet = "echo 1 > /proc/sys/kernel/printk"
            budget = f"echo {self.options.budget_ms} > /proc/sys/kernel/rex/budget_ms"
            done = guest.run(f"{quiet} && {budget}", scaled(_SECONDS))
            if done.status != 0:
                raise InfraError("the guest's budget can't be set", details=done.stderr)
            _pin(guest, target)
            yield guest


def _pin(guest: Guest, path: str) -> None:
    """Load and pin the programs, and end the loader, whose statistics slow down each run."""
    common.call(guest, "load", _SECONDS, handle=IMAGE, path=path)
    for name in rows.PROGRAMS:
        common.pin(guest, IMAGE, name, name, _SECONDS)
    guest.end_loader(scaled(_SECONDS))
