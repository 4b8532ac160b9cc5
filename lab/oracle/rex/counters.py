# SPDX-License-Identifier: GPL-2.0-only
"""The books that the kernel keeps of native (Rex) programs, against a baseline. Trust: COUNTER.

Pure functions over the texts of `FILES`, lines `NAME NUMBER`. `stats` counts
what happened since boot, `ledger` what programs hold at this moment: between
two runs that is nothing, so that what stays there is lost. A kernel that can't
run native programs has neither file; one that had them and lost them, or has
only one, is an `InfraError`.

`stacks` says how many bytes at the lower end of each stack nobody has written to
since it was made, lines `cpu 0 depth 0 untouched 57320`: the canary. What lies below
is an unmapped page, so that whoever came there is known. A kernel without the
file has books all the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from lab.errors import InfraError
from lab.oracle.evidence import Evidence
from lab.words import REX_COUNTERS, REX_RESOURCES, RexCounter, RexResource

_Word = TypeVar("_Word", bound=str)

FOLDER = "/sys/kernel/debug/rex"
STATS, LEDGER, STACKS = f"{FOLDER}/stats", f"{FOLDER}/ledger", f"{FOLDER}/stacks"
FILES: tuple[str, ...] = (STATS, LEDGER, STACKS)

# Bytes of a stack's end that no run may have come to, nor what the kernel did on top of
# it: the kernel keeps 8 KiB free of programs for that, and this much of it was too much.
STACK_MARGIN = 1 << 10

_STACK = re.compile(r"^cpu (\d{1,5}) depth (\d{1,3}) untouched (\d{1,10})$", re.A)


@dataclass(frozen=True)
class Snapshot:
    """The counters since boot, and what is held, at one moment.

    `untouched` has the bytes of each stack, by CPU and depth of nesting; None if the kernel
    does not say. There is none before the first program is loaded.
    """

    counters: Mapping[RexCounter, int]
    held: Mapping[RexResource, int]
    untouched: Mapping[tuple[int, int], int] | None = field(default_factory=dict)


def snapshot(files: Mapping[str, str | None]) -> Snapshot | None:
    """The books from the texts of `FILES` (None: can't be read); None if the kernel has none.

    Names that nobody knows are a later kernel's, and left out. Raises
    `InfraError` if one that is known is missing, or a line is malformed.
    """
    stats, ledger = files.get(STATS), files.get(LEDGER)
    if stats is None and ledger is None:
        return None
    return Snapshot(
        _numbers(STATS, stats, REX_COUNTERS),
        _numbers(LEDGER, ledger, REX_RESOURCES),
        _stacks(files.get(STACKS)),
    )


def _stacks(text: str | None) -> dict[tuple[int, int], int] | None:
    if text is None:
        return None
    found: dict[tuple[int, int], int] = {}
    for line in text.splitlines():
        match = _STACK.match(line)
        place = (int(match[1]), int(match[2])) if match else (-1, -1)
        if match is None or place in found:
            raise InfraError(f"{STACKS} has a malformed line in the guest: {line[:60]!r}")
        found[place] = int(match[3])
    return found


def _numbers(path: str, text: str | None, words: Iterable[_Word]) -> dict[_Word, int]:
    if text is None:
        raise InfraError(f"{path} can't be read in the guest")
    found: dict[str, int] = {}
    for line in text.splitlines():
        name, _, number = line.partition(" ")
        if not name or not (number.isascii() and number.isdigit()) or name in found:
            raise InfraError(f"{path} has a malformed line in the guest: {line[:60]!r}")
        found[name] = int(number)
    missing = [word for word in words if word not in found]
    if missing:
        raise InfraError(f"{path} has no line for {', '.join(missing)} in the guest")
    return {word: found[word] for word in words}


def increase(baseline: Snapshot | None, now: Snapshot | None) -> dict[RexCounter, int]:
    """How much each counter rose; empty for a kernel that keeps no such books.

    Raises `InfraError` if the books came or went, or if a counter went backwards.
    """
    if not _comparable(baseline, now):
        return {}
    assert baseline is not None
    assert now is not None
    changes: dict[RexCounter, int] = {}
    for name, before in baseline.counters.items():
        after = now.counters[name]
        if after < before:
            raise InfraError(
                f"the counter {name} of {STATS} went from {before} to {after}",
                hint="did the scenario write to rex/reset?",
            )
        changes[name] = after - before
    return changes


# The ends of runs that both count. Not `refused`: only one of the two counts nested runs.
_ENDINGS: tuple[RexCounter, ...] = ("returned", "panicked", "faulted", "terminated", "overflowed")


def check_counted(counted: Mapping[str, int], rose: Mapping[RexCounter, int]) -> None:
    """Raise `InfraError` if more runs were counted for programs than for all of them.

    `counted` are runs by outcome, as the programs' own files have them; `rose` is what
    `increase` gave. A write to rex/reset shows no other trace where all began at zero.
    """
    for word in _ENDINGS:
        count = counted.get(word, 0)
        if count and count > rose.get(word, 0):
            raise InfraError(
                f"{STATS} counts {rose.get(word, 0)} runs that {word}, the programs' own "
                f"files at least {count}",
                hint="did the scenario write to rex/reset?",
            )


def left_held(baseline: Snapshot | None, now: Snapshot | None) -> list[str]:
    """What is held now and was not at the baseline: `rex spin_lock 1`. Raises as `increase`."""
    if not _comparable(baseline, now):
        return []
    assert baseline is not None
    assert now is not None
    more = {what: count - baseline.held[what] for what, count in now.held.items()}
    return [f"rex {what} {count}" for what, count in more.items() if count > 0]


def near_overflow_stacks(baseline: Snapshot | None, now: Snapshot | None) -> list[str]:
    """The stacks of which less than `STACK_MARGIN` bytes were left, and how much.

    Raises as `increase`, and if the kernel no longer tells.
    """
    if not _comparable(baseline, now):
        return []
    assert baseline is not None
    assert now is not None
    if (baseline.untouched is None) != (now.untouched is None):
        raise InfraError(f"{STACKS} can be read only at times in the guest")
    return [
        f"{left} bytes of CPU {cpu}'s at depth {depth}"
        for (cpu, depth), left in (now.untouched or {}).items()
        if left < STACK_MARGIN
    ]


def _comparable(baseline: Snapshot | None, now: Snapshot | None) -> bool:
    if (baseline is None) != (now is None):
        when = "can no longer" if now is None else "could not at first"
        raise InfraError(f"the files in {FOLDER} {when} be read in the guest")
    return now is not None


def evidence(baseline: Snapshot | None, now: Snapshot | None) -> list[Evidence]:
    """What rose and what is still held, as evidence; an empty list if there is nothing."""
    rose: dict[str, int] = {name: value for name, value in increase(baseline, now).items() if value}
    held, stacks = left_held(baseline, now), near_overflow_stacks(baseline, now)
    if not rose and not held and not stacks:
        return []
    words = ", ".join(f"{name} by {value}" for name, value in rose.items()) or "nothing"
    summary = f"of native programs rose: {words}"
    if held:
        summary += f"; still held: {', '.join(held)}"
    if stacks:
        summary += f"; of stacks were left: {', '.join(stacks)}"
    data: dict[str, object] = {"held": held, **rose}
    if now is not None and now.untouched:
        data["untouched"] = min(now.untouched.values())
    return [Evidence("rex", summary, data)]
