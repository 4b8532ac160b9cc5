# SPDX-License-Identifier: GPL-2.0-only
"""The host's side of `extensions/modules/kill`, which times runs that never return."""

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
# CPU 1 of two. The emulator runs its CPUs in turns; where instructions are its clock, CPU 0 is
# the first in each round. So CPU 0, the neighbour of a CPU that never returns, gets its turn.
CPU = 1
# The module's parameter for such a machine; its source says why.
TURNS = "turns=1"
BUSY = "busy"
_COUNT = re.compile(r"^(\w+) (\d+)$", re.MULTILINE)


@dataclass(frozen=True)
class Kills:
    """The duration of each run in nanoseconds, and the kernel's count of terminated runs.

    `kernel_max` is the longest latency in nanoseconds that the kernel itself measured, or
    None if it measures none.
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
    """Run a pinned program in one of the module's contexts, each time after up to `delay` ns.

    Raises `InfraError` if the module refuses, and the errors of a command:
    `CommandTimeout` for a run that the kernel does not end.
    """
    _run(guest, f"echo 1 > {STATS}/reset", deadline)
    order = shlex.quote(f"{context} {runs} {delay} {seed} {program}")
    script = f"echo {order} > {FOLDER}/run && cat {FOLDER}/results"
    text = _run(guest, f"taskset {1 << CPU:x} sh -c {shlex.quote(script)}", deadline)
    counts = dict(_COUNT.findall(_run(guest, f"cat {STATS}/stats", deadline)))
    took = parse(text)
    if len(took) != runs or "terminated" not in counts:
        raise InfraError("the module kill gave an unexpected answer", details=text[:400])
    longest = counts.get("latency_max_ns")
    return Kills(took, int(counts["terminated"]), None if longest is None else int(longest))


def busy(guest: Guest, loops: int, runs: int, deadline: Deadline) -> tuple[int, ...]:
    """Count to `loops` with interrupts on, `runs` times; return each duration in nanoseconds."""
    order = shlex.quote(f"{BUSY} {runs} {loops} 0 -")
    return parse(_run(guest, f"echo {order} > {FOLDER}/run && cat {FOLDER}/results", deadline))


def parse(text: str) -> tuple[int, ...]:
    """Return the module's results in nanoseconds. Raises `InfraError` for malformed text."""
    try:
        took = []
        for line in text.splitlines():
            nanoseconds, _returned = (int(word) for word in line.split())
            took.append(nanoseconds)
    except ValueError as error:
        raise InfraError("the module kill gave a malformed answer", details=str(error)) from error
    return tuple(took)


def _run(guest: Guest, command: str, deadline: Deadline) -> str:
    done = guest.run(command, deadline)
    if done.status != 0:
        raise InfraError("no kill was measured", details=f"{command}\n{done.stderr}")
    return done.stdout
