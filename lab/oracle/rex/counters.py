# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's counters of native (Rex) programs, against a baseline. Trust: COUNTER.

Pure functions over the texts of `FILES`, with lines `NAME NUMBER`. `stats` counts
events since boot. `ledger` counts the resources that programs hold at this moment:
none between two runs, so that a resource that stays there has leaked. A kernel that
can't run native programs has neither file. If a file disappears, or there is only
one of the two, that is an `InfraError`.

`stacks` is a canary: the number of bytes at the lower end of each stack that were
never written to, with lines `cpu 0 depth 0 untouched 57320`. Below them is an
unmapped page, so that an overflow faults. A kernel without this file still has the
other two.
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

# The minimum of untouched bytes at the low end of a stack. The kernel reserves 8 KiB there
# for its own work on top of a run. If less than this is left, it is a failure.
STACK_MARGIN = 1 << 10

_STACK = re.compile(r"^cpu (\d{1,5}) depth (\d{1,3}) untouched (\d{1,10})$", re.A)


@dataclass(frozen=True)
class Snapshot:
    """The counters since boot and the resources that are held, at one moment.

    `untouched` has the untouched bytes of each stack, by CPU and depth of nesting; None if
    the kernel does not report them. There are no stacks before the first program is loaded.
    """

    counters: Mapping[RexCounter, int]
    held: Mapping[RexResource, int]
    untouched: Mapping[tuple[int, int], int] | None = field(default_factory=dict)


def snapshot(files: Mapping[str, str | None]) -> Snapshot | None:
    """Parse the texts of `FILES` (None: can't be read); return None if the kernel has none.

    Unknown names belong to a later kernel, and are left out. Raises `InfraError` if a
    known name is missing, or a line is malformed.
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
    """Return the increase of each counter; empty for a kernel that has none.

    Raises `InfraError` if the files appeared or disappeared, or if a counter decreased.
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


# The ends of runs that `stats` and the programs both count. Not `refused`: only one of the
# two counts nested runs.
_ENDINGS: tuple[RexCounter, ...] = ("returned", "panicked", "faulted", "terminated", "overflowed")


def check_counted(counted: Mapping[str, int], rose: Mapping[RexCounter, int]) -> None:
    """Raise `InfraError` if more runs were counted for programs than for all of them.

    `counted` are runs by outcome, as the programs' own files have them; `rose` is the result
    of `increase`. If all counters began at zero, a write to rex/reset leaves no other trace.
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
    """Return what is held beyond the baseline: `rex spin_lock 1`. Raises as `increase`."""
    if not _comparable(baseline, now):
        return []
    assert baseline is not None
    assert now is not None
    more = {what: count - baseline.held[what] for what, count in now.held.items()}
    return [f"rex {what} {count}" for what, count in more.items() if count > 0]


def near_overflow_stacks(baseline: Snapshot | None, now: Snapshot | None) -> list[str]:
    """Return the stacks with fewer than `STACK_MARGIN` untouched bytes, with what is left.

    Raises as `increase`, and if the kernel no longer reports stacks.
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
    """Return increased counters and held resources as evidence; an empty list if none."""
    rose: dict[str, int] = {name: value for name, value in increase(baseline, now).items() if value}
    held, stacks = left_held(baseline, now), near_overflow_stacks(baseline, now)
    if not rose and not held and not stacks:
        return []
    words = ", ".join(f"{name} by {value}" for name, value in rose.items()) or "nothing"
    summary = f"counters of Rust programs rose: {words}"
    if held:
        summary += f"; still held: {', '.join(held)}"
    if stacks:
        summary += f"; left of stacks: {', '.join(stacks)}"
    data: dict[str, object] = {"held": held, **rose}
    if now is not None and now.untouched:
        data["untouched"] = min(now.untouched.values())
    return [Evidence("rex", summary, data)]
