# SPDX-License-Identifier: GPL-2.0-only
"""The host's side of `extensions/modules/bench`, which measures runs of tc programs."""

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
# Subjects that are not programs: the loop alone, and a call of an empty C function in it.
LOOP, CALL = "loop", "call"


@dataclass(frozen=True)
class Samples:
    """The ticks of the time-stamp counter that each batch of a subject took.

    A batch is `runs` runs in a row. `returned` is the return value of the last run.
    """

    ticks: tuple[int, ...]
    runs: int
    returned: int


@dataclass(frozen=True)
class Reading:
    """The samples of each subject: the n-th samples of all subjects were taken together."""

    khz: int
    samples: dict[str, Samples]


def pin_path(name: str) -> str:
    """Return the path at which the module finds a pinned program under `name`."""
    return f"{BPF_FS}/{name}"


def install(guest: Guest, module: Path, deadline: Deadline, options: str = "") -> None:
    """Load this or another module. Raises `InfraError` if the guest does not accept it."""
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
    """Run `LOOP`, `CALL` or pinned programs: `samples` batches of `runs` runs each.

    `warm` runs before each batch do not count. Raises `InfraError` if the
    module refuses, and the errors of a command.
    """
    words = [subject if subject in (LOOP, CALL) else pin_path(subject) for subject in subjects]
    order = shlex.quote(f"{samples} {runs} {warm} {' '.join(words)}")
    done = guest.run(f"echo {order} > {FOLDER}/run && cat {FOLDER}/results", deadline)
    if done.status != 0:
        raise InfraError("the module bench measured nothing", details=done.stderr)
    reading = parse(done.stdout, runs)
    if list(reading.samples) != list(subjects):
        raise InfraError("the module bench measured other subjects", details=done.stdout[:400])
    return reading


def parse(text: str, runs: int) -> Reading:
    """Return the module's results. Raises `InfraError` for malformed text."""
    head, _, rest = text.partition("\n")
    try:
        word, khz = head.split()
        if word != "tsc_khz":
            raise ValueError(head)
        samples = {}
        for line in rest.splitlines():
            name, returned, *ticks = line.split()
            # The name without the folder in which the program is pinned.
            samples[name.rpartition("/")[2]] = Samples(
                tuple(int(tick) for tick in ticks), runs, int(returned)
            )
        if int(khz) <= 0 or len({len(one.ticks) for one in samples.values()}) != 1:
            raise ValueError("not the same number of samples for each subject")
    except ValueError as error:
        raise InfraError("the module bench gave a malformed answer", details=str(error)) from error
    return Reading(int(khz), samples)
