# SPDX-License-Identifier: GPL-2.0-only
"""Common parts of the benchmarks of programs: options, figures, guests and readings."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from lab.deadline import scaled
from lab.errors import InfraError, UserError
from lab.extension.c import find_clang
from lab.extension.module import build_module
from lab.extension.rust.toolchain import find_toolchain
from lab.guest import meter
from lab.guest.guest import Guest
from lab.guest.loader import LoaderAnswer
from lab.guest.meter import Reading
from lab.jobs.bench.figures import Group
from lab.kernel.artifact import Kernel
from lab.runner.plan import REX, Planner

FLAVOR = "rex"
# Seconds on the reference host, for one request to a guest.
SECONDS = 180.0
# A kernel for several CPUs patches out its lock prefixes when it boots on one CPU. The figures
# must be those of a kernel that runs on several.
ONE_CPU = ("noreplace-smp",)
# An instruction takes 2^3 ns of the guest's time: about what emulation needs for it.
ICOUNT = 3
# The number of turns in which the samples of a guest are taken.
TURNS = 4

_COUNT_SAMPLES, _COUNT_RUNS, _COUNT_WARM = 5, 100, 64
# Divide by this to get instructions per run from the difference of `counted`'s readings.
COUNT_PARTS = _COUNT_RUNS << ICOUNT


@dataclass(frozen=True)
class SampleOptions:
    """The amounts to measure: in each of `boots` guests, `samples` batches of `runs` runs.

    `warm` more runs come before each batch. `counts`: count instructions, too.
    """

    boots: int = 3
    samples: int = 200
    # Batches are short, so that a busy host seldom takes the CPU away within one.
    runs: int = 50
    warm: int = 20
    counts: bool = True

    @property
    def batches(self) -> int:
        """The number of batches in one turn."""
        return max(1, -(-self.samples // TURNS))

    def as_data(self) -> dict[str, int]:
        """Return the amounts as plain data, for JSON."""
        return {
            "guests": self.boots,
            "brackets_in_each": self.batches * TURNS,
            "runs_in_each": self.runs,
        }


@dataclass(frozen=True)
class GroupedFigures:
    """The figures of one run in groups, and what they depend on."""

    version: ClassVar[int]

    about: dict[str, Any]
    groups: tuple[Group, ...]

    def group(self, name: str) -> Group:
        """Return a group by its name."""
        return next(group for group in self.groups if group.name == name)

    def as_data(self) -> dict[str, Any]:
        """Return the figures as plain data, for JSON."""
        return {
            "version": self.version,
            "about": self.about,
            "groups": [group.as_data() for group in self.groups],
        }


def compilers() -> dict[str, str]:
    """Return the versions of the compilers of both kinds of program."""
    return {"ebpf": find_clang()[1], "rex": find_toolchain().version}


def rex_kernel(planner: Planner, flavor: str, why: str) -> Kernel:
    """Return a flavor's kernel; raise `UserError` that says `why` if it can't run Rex programs."""
    kernel = planner.kernel(flavor)
    if not kernel.has(REX):
        raise UserError(
            f"kernel {flavor} {why}: it has no {REX}", hint=f"measure on the flavor {FLAVOR}"
        )
    return kernel


def why_no_counts(planner: Planner, options: SampleOptions) -> str:
    """Return the reason not to count instructions; empty if they are to be counted."""
    if planner.chosen_accel().name != "tcg":
        return "instructions are counted under emulation only (--accel tcg)"
    return "" if options.counts else "not asked for"


@contextlib.contextmanager
def booted(
    planner: Planner,
    kernel: Kernel,
    modules: Sequence[str],
    files: Mapping[str, Path],
    *,
    cpus: int = 1,
    icount: int | None = None,
    module_options: str = "",
    seconds: float = SECONDS,
) -> Iterator[Guest]:
    """Boot a guest with `modules` loaded and `files` pushed, by their paths in the guest.

    `icount` is that of `Shape`. Raises `UserError` for what can't be built, `BootError` and
    `InfraError`.
    """
    built = [
        build_module(planner.workspace, name, kernel, planner.cache, planner.emit)
        for name in modules
    ]
    spec = planner.guest_spec(
        kernel,
        planner.image(kernel),
        cpus=cpus,
        extra=ONE_CPU if cpus == 1 else (),
        icount=icount,
    )
    with Guest.boot(spec) as guest:
        for module in built:
            meter.install(guest, module, scaled(seconds), module_options)
        guest.push(files)
        yield guest


def call(guest: Guest, verb: str, seconds: float = SECONDS, **arguments: Any) -> LoaderAnswer:
    """Ask the loader in a guest for something that must succeed; raise `InfraError` if not."""
    answer = guest.loader.call(verb, scaled(seconds), **arguments)
    if not answer.ok:
        about = " ".join(str(one) for key, one in arguments.items() if key in ("handle", "program"))
        raise InfraError(f"{verb} {about}: {answer.problem}")
    return answer


def pin(guest: Guest, handle: str, program: str, name: str, seconds: float = SECONDS) -> None:
    """Pin a loaded program where the module finds it under `name`."""
    call(guest, "pin", seconds, handle=handle, program=program, path=meter.pin_path(name))


def read(guest: Guest, names: Sequence[str], samples: int, runs: int, warm: int) -> Reading:
    """Measure pinned programs; raise `InfraError` if one returned an error."""
    reading = meter.measure(
        guest, names, samples=samples, runs=runs, warm=warm, deadline=scaled(SECONDS)
    )
    wrong = [name for name, taken in reading.samples.items() if taken.returned != 0]
    if wrong:
        raise InfraError(f"programs failed: {', '.join(wrong)}")
    return reading


def counted(guest: Guest, names: Sequence[str]) -> tuple[Reading, Reading]:
    """Measure in a guest whose clock counts instructions: a shorter and a longer reading.

    The longer one has twice the runs in a batch. The cost of the batch itself cancels out in the
    difference; divided by `COUNT_PARTS`, the difference is instructions per run.
    """
    shorter = read(guest, names, _COUNT_SAMPLES, _COUNT_RUNS, _COUNT_WARM)
    longer = read(guest, names, _COUNT_SAMPLES, 2 * _COUNT_RUNS, _COUNT_WARM)
    return shorter, longer
