# SPDX-License-Identifier: GPL-2.0-only
"""Compare two counts of a round's runs: the programs' own and the kernel's.

The programs count in their map `tally`, the kernel counts in its debugfs files.
The two count independently, and must agree.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from lab.errors import InfraError
from lab.jobs.soak.plan import BEHAVIOURS, HOOKS
from lab.judge.finding import Finding
from lab.scenario.model.base import Ref

# Slots for the behaviours of one program in `tally`, as the extension defines them, and numbers
# in each slot.
PLACES, _NUMBERS = 20, 3

# Ends that the program itself causes.
_OWN_ENDS = ("panicked", "faulted", "overflowed")
_ENDS = ("returned", *_OWN_ENDS, "terminated")
# The kernel's counter of each resource that a run leaks, and the behaviour that leaks it.
_LEAKS = {
    "leaked_spin_lock": "leak_locked",
    "leaked_rcu": "leak",
    "leaked_ringbuf": "leak",
    "leaked_task": "leak",
}


@dataclass(frozen=True)
class Tally:
    """Counts of runs that began a behaviour, completed it, or had to skip it (`waived`)."""

    begun: int = 0
    through: int = 0
    waived: int = 0

    @property
    def tried(self) -> int:
        """The number of runs that may have reached the behaviour itself."""
        return self.begun - self.waived


@dataclass(frozen=True)
class RunCounts:
    """Both counts of a round's runs, by program's name.

    `tallies` are the program's own, by behaviour; `counters` are the kernel's. `stats` are the
    kernel's counters over all programs.
    """

    tallies: Mapping[str, Mapping[str, Tally]]
    counters: Mapping[str, Mapping[str, int]]
    stats: Mapping[str, int]


def parse(text: str, programs: Mapping[int, Ref]) -> RunCounts:
    """Parse the output of the step `plan.COUNTS`.

    `programs` are those of the round by the kernel's id. Raises `InfraError` if the text can't
    be parsed.
    """
    try:
        stats, progs, dump = text.split("==\n")
        return RunCounts(
            _tallies(json.loads(dump)),
            {
                programs[number].name: counters
                for number, counters in _progs(progs).items()
                if number in programs
            },
            _numbers(stats),
        )
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise InfraError(
            "the run counts of a round can't be read", details=f"{error}\n{text[:400]}"
        ) from error


def _numbers(text: str) -> dict[str, int]:
    pairs = (line.split(" ") for line in text.splitlines())
    return {name: int(value) for name, value in pairs}


def _progs(text: str) -> dict[int, dict[str, int]]:
    found: dict[int, dict[str, int]] = {}
    for block in text.split("id ")[1:]:
        number, _, rest = block.partition("\n")
        # A program that was unloaded during the read leaves only its ID.
        name, _, numbers = rest.partition("\n")
        if name.startswith("name "):
            found[int(number)] = _numbers(numbers)
    return found


def _tallies(dump: list[dict[str, list[str]]]) -> dict[str, dict[str, Tally]]:
    values = [
        int.from_bytes(bytes(int(byte, 16) for byte in entry["value"]), "little") for entry in dump
    ]
    found: dict[str, dict[str, Tally]] = {}
    for place, hook in enumerate(HOOKS):
        found[hook.name] = {}
        for number, behaviour in enumerate(BEHAVIOURS):
            at = (place * PLACES + number) * _NUMBERS
            begun, through, waived = values[at : at + _NUMBERS]
            if begun:
                found[hook.name][behaviour.name] = Tally(begun, through, waived)
    return found


def findings(run_counts: RunCounts, programs: tuple[str, ...]) -> Iterator[Finding]:
    """Check that the programs' counts and the kernel's agree, program by program.

    The counts must have been read with the gate shut and no earlier run in progress. While the
    gate is shut, new runs return at once. The watchdog may terminate a run anywhere, so any run
    that did not end as scheduled must be counted as terminated.
    """
    for name in programs:
        if name not in run_counts.counters:
            yield Finding(name, "counts of the kernel", "there are none", False)
            continue
        yield from _compare(name, run_counts.tallies[name], run_counts.counters[name])


def _compare(
    name: str, tallies: Mapping[str, Tally], counters: Mapping[str, int]
) -> Iterator[Finding]:
    def finding(what: str, expected: str, happened: int, holds: bool) -> Finding:
        return Finding(f"{name}: {what}", expected, f"it is {happened}", holds, "rex")

    lost = 0
    for end in _OWN_ENDS:
        told = sum(
            tallies[one.name].tried for one in BEHAVIOURS if one.ends == end and one.name in tallies
        )
        yield finding(end, f"at most {told}", counters[end], counters[end] <= told)
        lost += told - counters[end]
    for behaviour in BEHAVIOURS:
        tally = tallies.get(behaviour.name, Tally())
        if behaviour.ends != "returned":
            what = f"runs that completed {behaviour.name}"
            yield finding(what, "0", tally.through, tally.through == 0)
        if behaviour.ends in ("returned", "terminated"):
            lost += tally.tried - tally.through
    least = max(0, lost)
    terminated = counters["terminated"]
    yield finding("terminated", f"at least {least}", terminated, terminated >= least)
    for counter, behaviour_name in _LEAKS.items():
        tally = tallies.get(behaviour_name, Tally())
        held = tally.through <= counters[counter] <= tally.tried
        bounds = f"{tally.through} to {tally.tried}"
        yield finding(counter, bounds, counters[counter], held)


def balance(counters: Mapping[str, int]) -> Finding:
    """Check that each run ended in one way, by the kernel's counters with nothing loaded."""
    ended = sum(counters[end] for end in _ENDS)
    holds = ended == counters["runs"]
    return Finding("runs that ended", f"{counters['runs']}", f"it is {ended}", holds, "rex")
