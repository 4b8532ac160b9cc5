# SPDX-License-Identifier: GPL-2.0-only
"""Compare Rex with eBPF, and eBPF on kernels with and without Rex.

The programs are `extensions/c/bench_ops.bpf.c` and its control in Rust,
`extensions/rust/bench`. `docs/benchmarks.md` describes the method. If you
change the meaning of a figure, change the description too, and raise `VERSION`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from lab import events
from lab.deadline import Deadline, scaled
from lab.errors import InfraError
from lab.extension.c import build_c
from lab.extension.rust.build import build_rust
from lab.guest import meter
from lab.guest.guest import Guest
from lab.jobs.bench import common
from lab.jobs.bench import rex_rows as rows
from lab.jobs.bench.about import about
from lab.jobs.bench.common import (
    COUNT_PARTS,
    ICOUNT,
    SECONDS,
    TURNS,
    GroupedFigures,
    SampleOptions,
)
from lab.jobs.bench.figures import Group
from lab.jobs.bench.rex_rows import LARGE, PANICS, PROGRAMS, REX, STOCK, Taken, add
from lab.kernel.artifact import Kernel
from lab.runner.plan import Planner

# Version of the JSON. Raise it when a figure changes its meaning or is removed.
VERSION = 1

C_OBJECT, RUST_IMAGE, LARGE_OBJECT = "bench_ops", "bench", "search_payload_short"
ENTRIES, AT_A_TIME = 5000, 100  # entries of a map; entries added by one run of `fill`

# The kernel prints at most this many reports of panics in five seconds.
PRINTED = 40
# The first reports also pay for translated code and touched memory that later ones reuse.
_PRINTED_WARM = 8

# A load of the large program takes seconds under emulation: one per this many of the others.
_LARGE_LOADS = 4
_COUNT_LOADS = 5


@dataclass(frozen=True)
class RexOptions(SampleOptions):
    """The amounts to measure, with `loads` of each object in each guest."""

    boots: int = 5
    loads: int = 8

    def as_data(self) -> dict[str, int]:
        """Return the amounts as plain data, for JSON."""
        return super().as_data() | {"loads_in_each": self.loads}


@dataclass(frozen=True)
class RexFigures(GroupedFigures):
    """The figures of one run. `repeated`: two guests counted the same instructions."""

    version = VERSION

    repeated: bool | None
    why_no_counts: str = ""

    def as_data(self) -> dict[str, Any]:
        """Return the figures as plain data, for JSON."""
        return super().as_data() | {
            "instruction_counts_repeat": self.repeated,
            "why_no_instruction_counts": self.why_no_counts,
        }


@dataclass
class _Subject:
    """A guest with the programs in it: eBPF's under `ebpf_NAME`, Rex's under `rex_NAME`."""

    guest: Guest
    kernel: Kernel
    files: dict[str, str]

    def load_once(self, kind: str, deadline: Deadline) -> float:
        """Load and unload one file; return the time of the load, in nanoseconds."""
        duration = self._load(kind, deadline)
        self.guest.loader.call("unload", deadline, handle=kind)
        return duration

    def _load(self, kind: str, deadline: Deadline, autoload: str | None = None) -> float:
        chosen = autoload or (None if kind == LARGE else ",".join(PROGRAMS))
        answer = self.guest.loader.call(
            "load", deadline, handle=kind, path=self.files[kind], autoload=chosen
        )
        if not answer.ok:
            raise InfraError(f"{self.kernel.flavor}: {kind} not loaded: {answer.problem}")
        return float(answer["duration_ns"])

    def keep(self, deadline: Deadline) -> None:
        """Load and pin all programs, fill their maps, and end the loader.

        The loader turns on the kernel's statistics of programs, which slow down each run.
        """
        kinds = [kind for kind in self.files if kind != LARGE]
        for kind in kinds:
            names = PROGRAMS if kind == rows.EBPF else (*PROGRAMS, PANICS)
            self._load(kind, deadline, ",".join(names))
            for name in names:
                common.pin(self.guest, kind, name, f"{kind}_{name}")
        # The kernel empties an array of programs when no file descriptor or pin refers to it.
        self.guest.loader.call(
            "pin", deadline, handle=rows.EBPF, map="next", path=meter.pin_path("next")
        )
        self.guest.end_loader(deadline)
        times = ENTRIES // AT_A_TIME
        fill = [f"{kind}_fill" for kind in kinds]
        meter.measure(self.guest, fill, samples=1, runs=times, warm=0, deadline=deadline)

    def programs(self) -> list[str]:
        """Return the programs to measure in this guest, in order."""
        return rows.on_rex() if self.kernel.flavor == REX else rows.on_stock()

    def run(self, names: list[str], samples: int, runs: int, warm: int) -> meter.Reading:
        """Measure; raise `InfraError` if a program returned an error."""
        return common.read(self.guest, names, samples, runs, warm)

    def panic_in_print(self) -> meter.Reading:
        """Measure the first panics of a kernel, one by one. It reports all of them."""
        names = [meter.LOOP, rows.rex(PANICS)]
        reading = self.run(names, PRINTED, 1, 0)
        console = self.guest.machine.console
        scaled(15).poll(
            lambda: console.text().count(": panicked on CPU") >= PRINTED,
            f"the kernel's reports of {PRINTED} panics",
        )
        return reading


@dataclass
class RexBenchmark:
    """One benchmark: makes builds, boots guests, and takes the figures."""

    planner: Planner
    options: RexOptions
    emit: events.Emit = events.ignore
    _total: int = 0

    def measure(self) -> RexFigures:
        """Build what is needed, and measure.

        Raises `UserError` for what can't be built, `BootError` and `InfraError`.
        """
        on_rex, on_stock = Taken(), Taken()
        steps = self.options.boots * (self.options.loads + 1 + TURNS)
        self._stage("loads and runs", steps)
        for boot in range(self.options.boots):
            done = boot * (self.options.loads + 1 + TURNS)
            with self._guest(REX) as rex, self._guest(STOCK) as stock:
                both = ((rex, on_rex), (stock, on_stock))
                self._load(both, done)
                for subject, _ in both:
                    subject.keep(scaled(SECONDS))
                add(rex.panic_in_print(), on_rex.reported, _PRINTED_WARM)
                self._run(both, done + self.options.loads + 1)
        found = rows.timed(on_rex, on_stock)
        counted, repeated, why = self._counts()
        return RexFigures(self._about(), (*found, *counted), repeated, why)

    def _load(self, both: Sequence[tuple[_Subject, Taken]], done: int) -> None:
        """Load everything, alternating between the kernels; do not count the first load of each."""
        for turn in range(self.options.loads + 1):
            for kind in (rows.EBPF, rows.REX_IMAGE, LARGE):
                # This load is so long that it needs no warm-up.
                if kind == LARGE and turn >= max(1, self.options.loads // _LARGE_LOADS):
                    continue
                for subject, taken in both:
                    if kind in subject.files:
                        duration = subject.load_once(kind, scaled(SECONDS))
                        if turn > 0 or kind == LARGE:
                            taken.loads.setdefault(kind, []).append(duration)
            self._progress("loads and runs", done + turn + 1)

    def _run(self, both: Sequence[tuple[_Subject, Taken]], done: int) -> None:
        """Run everything, alternating between the kernels; the panics apart, because they print."""
        options = self.options
        for turn in range(TURNS):
            for subject, taken in both:
                names = subject.programs()
                add(subject.run(names, options.batches, options.runs, options.warm), taken.runs)
                if subject.kernel.flavor == REX:
                    # The kernel prints the first 40 reports only, all of them in the warm-up.
                    warm = max(options.warm, PRINTED)
                    panics = subject.run(rows.of_panics(), options.batches, options.runs, warm)
                    add(panics, taken.panics)
            self._progress("loads and runs", done + turn + 1)

    def _counts(self) -> tuple[tuple[Group, ...], bool | None, str]:
        """Count instructions, in two guests of the kernel with Rex and in one of stock.

        Returns the groups, whether both guests with Rex counted the same, and the reason if
        nothing was counted.
        """
        if why := common.why_no_counts(self.planner, self.options):
            return (), None, why
        found: list[Taken] = []
        self._stage("instructions", 3)
        for turn, flavor in enumerate((REX, REX, STOCK)):
            with self._guest(flavor, icount=ICOUNT) as subject:
                loads = _counted_loads(subject)
                subject.keep(scaled(SECONDS))
                found.append(_counted(subject))
                found[-1].loads = loads
            self._progress("instructions", turn + 1)
        first, second, stock = found
        return rows.counted(first, second, stock), first.runs == second.runs, ""

    @contextlib.contextmanager
    def _guest(self, flavor: str, icount: int | None = None) -> Iterator[_Subject]:
        """Boot a guest with one CPU, the module loaded and the files pushed."""
        planner, cache, emit = self.planner, self.planner.cache, self.emit
        workspace = planner.workspace
        kernel = planner.kernel(flavor)
        # Both kernels get the same file, because the kernels are compared.
        stock = planner.kernel(STOCK)
        paths = {
            rows.EBPF: build_c(workspace, C_OBJECT, stock, cache, emit).path,
            LARGE: build_c(workspace, LARGE_OBJECT, stock, cache, emit).path,
        }
        if flavor == REX:
            paths[rows.REX_IMAGE] = build_rust(workspace, RUST_IMAGE, cache, emit).path
        files = {kind: f"/root/{path.name}" for kind, path in paths.items()}
        pushed = {files[kind]: path for kind, path in paths.items()}
        with common.booted(planner, kernel, [meter.MODULE], pushed, icount=icount) as guest:
            yield _Subject(guest, kernel, files)

    def _about(self) -> dict[str, Any]:
        """Return what the figures depend on, as plain data."""
        return about(self.planner, (REX, STOCK)) | {
            "compilers": common.compilers(),
            "samples": self.options.as_data(),
        }

    def _stage(self, stage: str, total: int) -> None:
        self._total = total
        self.emit(events.StageStarted("rex", stage, total))

    def _progress(self, stage: str, done: int) -> None:
        self.emit(events.StageProgress("rex", stage, done, self._total))


def _counted_loads(subject: _Subject) -> dict[str, list[float]]:
    """Count the instructions of each load. They include those of interrupts, so they vary."""
    loads: dict[str, list[float]] = {}
    for kind in subject.files:
        times = 1 if kind == LARGE else _COUNT_LOADS + 1
        taken = [subject.load_once(kind, scaled(SECONDS)) for _ in range(times)]
        loads[kind] = [one / (1 << ICOUNT) for one in (taken if kind == LARGE else taken[1:])]
    return loads


def _counted(subject: _Subject) -> Taken:
    """Count instructions per run. The cost of a batch itself is subtracted."""
    names = subject.programs()
    if subject.kernel.flavor == REX:
        names.append(rows.rex(PANICS))
    return Taken.between(*common.counted(subject.guest, names), parts=COUNT_PARTS)
