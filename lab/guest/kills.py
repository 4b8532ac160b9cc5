# SPDX-License-Identifier: GPL-2.0-only
"""The host's end of `extensions/modules/kill`: runs that never return, timed in the guest."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

from lab.deadline import Deadline
from lab.errors import InfraError
from lab.guest.guest import Guest

MODULE = "kill"
FOLDER = "/sys/kernel/debug/kextlab_kill"
STATS = "/sys/kernel/debug/rex"
# The last of two: the emulator's CPUs take turns, and where instructions are its clock the
# first one has a turn before each of them. The neighbour of one that never lets go is to have it.
CPU = 1
# What the module is loaded with there: it says why.
TURNS = "turns=1"
BUSY = "busy"
_COUNT = re.compile(r"^(\w+) (\d+)$", re.MULTILINE)


@dataclass(frozen=True)
class Kills:
    """How long runs took, each in nanoseconds; how many the kernel counts as terminated.

    `kernel_max` is the kernel's own figure of the longest latency in nanoseconds, None if
    it has none.
    """

    took: tuple[int, ...]
    terminated: int
    kernel_max: int | None


def kill(
    guest: Guest,
    context: str,
    program: str,
    *,
    runs: int,
    delay: int,
    seed: int,
    deadline: Deadline,
) -> Kills:
    """Run a pinned program in a context of the module's, each time after up to `delay` ns.

    Raises `InfraError` if the module refuses, and what running a command
    raises: `CommandTimeout` for a run that is not ended.
    """
    _run(guest, f"echo 1 > {STATS}/reset", deadline)
    order = shlex.quote(f"{context} {runs} {delay} {seed} {program}")
    script = f"echo {order} > {FOLDER}/run && cat {FOLDER}/results"
    text = _run(guest, f"taskset {1 << CPU:x} sh -c {shlex.quote(script)}", deadline)
    counts = dict(_COUNT.findall(_run(guest, f"cat {STATS}/stats", deadline)))
    took = parse(text)
    if len(took) != runs or "terminated" not in counts:
        raise InfraError("the module kill answered something else", details=text[:400])
    longest = counts.get("latency_max_ns")
    return Kills(took, int(counts["terminated"]), None if longest is None else int(longest))


def busy(guest: Guest, loops: int, runs: int, deadline: Deadline) -> tuple[int, ...]:
    """How long it takes to count to `loops` with interrupts on, in nanoseconds, `runs` times."""
    order = shlex.quote(f"{BUSY} {runs} {loops} 0 -")
    return parse(_run(guest, f"echo {order} > {FOLDER}/run && cat {FOLDER}/results", deadline))


def parse(text: str) -> tuple[int, ...]:
    """The module's results in nanoseconds. Raises `InfraError` for text that is none."""
    try:
        took = []
        for line in text.splitlines():
            nanoseconds, _returned = (int(word) for word in line.split())
            took.append(nanoseconds)
    except ValueError as error:
        raise InfraError("the module kill answered something else", details=str(error)) from error
    return tuple(took)


def _run(guest: Guest, command: str, deadline: Deadline) -> str:
    done = guest.run(command, deadline)
    if done.status != 0:
        raise InfraError("no kill was measured", details=f"{command}\n{done.stderr}")
    return done.stdout
