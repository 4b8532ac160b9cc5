# SPDX-License-Identifier: GPL-2.0-only
"""The books of a round: what its programs set out to do, and what the kernel says became of it.

The programs count into their map `tally`, the kernel into its debugfs files.
Neither knows of the other, and both have to fit.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from lab.errors import InfraError
from lab.jobs.soak.plan import BEHAVIOURS, HOOKS
from lab.judge.finding import Finding
from lab.scenario.model.base import Ref

# Places for behaviours of a program in `tally`, as the extension has them, and numbers in each.
PLACES, _NUMBERS = 20, 3

# The ends that are the program's own doing, and what a run has held that leaks.
_OWN_ENDS = ("panicked", "faulted", "overflowed")
_ENDS = ("returned", *_OWN_ENDS, "terminated")
_LEAKS = {
    "leaked_spin_lock": "leak_locked",
    "leaked_rcu": "leak",
    "leaked_ringbuf": "leak",
    "leaked_task": "leak",
}


@dataclass(frozen=True)
class Tally:
    """Runs that began a behaviour, came through it, and could not do it just then."""

    begun: int = 0
    through: int = 0
    waived: int = 0

    @property
    def tried(self) -> int:
        """Runs that may have come to the behaviour itself."""
        return self.begun - self.waived


@dataclass(frozen=True)
class Books:
    """By program's name: its tallies by behaviour, and the kernel's counters; `stats` of all."""

    tallies: Mapping[str, Mapping[str, Tally]]
    counters: Mapping[str, Mapping[str, int]]
    stats: Mapping[str, int]


def parse(text: str, programs: Mapping[int, Ref]) -> Books:
    """The books from what the step `soak_plan.BOOKS` printed.

    `programs` are those of the round by the kernel's id. Raises `InfraError` for a text
    that is something else.
    """
    try:
        stats, progs, dump = text.split("==\n")
        return Books(
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
            "the books of a round can't be read", details=f"{error}\n{text[:400]}"
        ) from error


def _numbers(text: str) -> dict[str, int]:
    pairs = (line.split(" ") for line in text.splitlines())
    return {name: int(value) for name, value in pairs}


def _progs(text: str) -> dict[int, dict[str, int]]:
    found: dict[int, dict[str, int]] = {}
    for block in text.split("id ")[1:]:
        number, _, rest = block.partition("\n")
        # Of one that went while it was read there is no more than the id.
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


def findings(books: Books, programs: tuple[str, ...]) -> Iterator[Finding]:
    """Whether the programs' books and the kernel's fit, program by program.

    Only for books that were read when the gate was shut and no run of before was under
    way: others come and go, and return. A run may be ended for its time anywhere; so
    whoever did not end as he set out to must be among the terminated.
    """
    for name in programs:
        if name not in books.counters:
            yield Finding(name, "books of the kernel", "there are none", False)
            continue
        yield from _fit(name, books.tallies[name], books.counters[name])


def _fit(name: str, tallies: Mapping[str, Tally], counters: Mapping[str, int]) -> Iterator[Finding]:
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
            what = f"runs that came through {behaviour.name}"
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
    """Whether each run ended in one way, by the kernel's counters when nothing is loaded."""
    ended = sum(counters[end] for end in _ENDS)
    holds = ended == counters["runs"]
    return Finding("runs that ended", f"{counters['runs']}", f"it is {ended}", holds, "rex")
