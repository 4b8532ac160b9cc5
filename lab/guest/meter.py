# SPDX-License-Identifier: GPL-2.0-only
"""The host's end of `extensions/modules/bench`: runs of tc programs, measured in the guest."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.deadline import Deadline
from lab.errors import InfraError
from lab.guest.guest import Guest

MODULE = "bench"
FOLDER = "/sys/kernel/debug/kextlab_bench"
BPF_FS = "/sys/fs/bpf"
# Subjects that are no programs: the loop alone, and a call of an empty C function in it.
LOOP, CALL = "loop", "call"


@dataclass(frozen=True)
class Samples:
    """Ticks of the time-stamp counter that a subject's brackets took; what its last run returned.

    A bracket is `runs` runs in a row.
    """

    ticks: tuple[int, ...]
    runs: int
    returned: int


@dataclass(frozen=True)
class Reading:
    """The samples of each subject, in step: the n-th ones were taken beside each other."""

    khz: int
    samples: dict[str, Samples]


def pin_path(name: str) -> str:
    """Where a program is pinned, so that the module finds it under `name`."""
    return f"{BPF_FS}/{name}"


def install(guest: Guest, module: Path, deadline: Deadline, options: str = "") -> None:
    """Load a module, this one or another. Raises `InfraError` if the guest does not take it."""
    target = f"/root/{module.name}"
    guest.push({target: module}, deadline)
    done = guest.run(f"insmod {target} {options}".rstrip(), deadline)
    if done.status != 0:
        raise InfraError(f"the guest does not load the module {module.stem}", details=done.stderr)


def measure(
    guest: Guest,
    subjects: Sequence[str],
    *,
    samples: int,
    runs: int,
    warm: int,
    deadline: Deadline,
) -> Reading:
    """Run `LOOP`, `CALL` or pinned programs: `samples` brackets of `runs` runs each.

    `warm` runs before each bracket do not count. Raises `InfraError` if the
    module refuses, and what running a command raises.
    """
    words = [subject if subject in (LOOP, CALL) else pin_path(subject) for subject in subjects]
    order = shlex.quote(f"{samples} {runs} {warm} {' '.join(words)}")
    done = guest.run(f"echo {order} > {FOLDER}/run && cat {FOLDER}/results", deadline)
    if done.status != 0:
        raise InfraError("the module bench measured nothing", details=done.stderr)
    reading = parse(done.stdout, runs)
    if list(reading.samples) != list(subjects):
        raise InfraError("the module bench measured something else", details=done.stdout[:400])
    return reading


def parse(text: str, runs: int) -> Reading:
    """The module's results. Raises `InfraError` for text that is none."""
    head, _, rest = text.partition("\n")
    try:
        word, khz = head.split()
        if word != "tsc_khz":
            raise ValueError(head)
        samples = {}
        for line in rest.splitlines():
            name, returned, *ticks = line.split()
            # The name that it was given, without where it is pinned.
            samples[name.rpartition("/")[2]] = Samples(
                tuple(int(tick) for tick in ticks), runs, int(returned)
            )
        if int(khz) <= 0 or len({len(one.ticks) for one in samples.values()}) != 1:
            raise ValueError("not the same number of samples for each subject")
    except ValueError as error:
        raise InfraError("the module bench answered something else", details=str(error)) from error
    return Reading(int(khz), samples)
