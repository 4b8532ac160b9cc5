# SPDX-License-Identifier: GPL-2.0-only
"""A guest's counts and objects before the first step, and their difference after the last."""

from __future__ import annotations

from dataclasses import dataclass

from lab.guest.guest import Guest
from lab.oracle import counters as counters_oracle
from lab.oracle.evidence import Evidence
from lab.oracle.inventory import bpf_objects
from lab.oracle.inventory.bpf_objects import BpfObjects
from lab.oracle.rex import counters as rex_oracle
from lab.runner.census import Census
from lab.words import RexCounter

# The files that the baseline and what is left are read from.
COUNTER_FILES = (*counters_oracle.FILES, *rex_oracle.FILES)


@dataclass
class Baseline:
    """The objects and counters of the guest before the first step."""

    counters: counters_oracle.Snapshot
    bpf_objects: BpfObjects
    rex: rex_oracle.Snapshot | None
    console_mark: int
    # None: named objects of the kernel are not compared (a soak's guest lives too long).
    census: Census | None = None


@dataclass
class Aftermath:
    """The difference between a guest after the steps and its baseline."""

    left: list[str]  #: leftover objects, by name
    bpf_objects: dict[str, int]  #: the increase of BPF objects, by kind
    rex: dict[RexCounter, int]  #: the increase of the counters of native programs
    near_overflow_stacks: list[str]  #: stacks of native programs that nearly overflowed
    taint: str  #: letters of new fatal taint flags
    counters: dict[str, int]  #: the increase of the kernel's counters
    evidence: list[Evidence]
    deferred: bool = False  #: the kernel will still free some of the leftovers


def take_baseline(guest: Guest, census: Census | None = None) -> Baseline:
    """Read the baseline. What can't be read is an `InfraError`: no oracle without one."""
    files = guest.read_files(COUNTER_FILES)
    return Baseline(
        counters_oracle.snapshot(files),
        census.bpf_objects if census else bpf_objects.parse(guest.bpf_objects()),
        rex_oracle.snapshot(files),
        guest.machine.console.count,
        census,
    )
