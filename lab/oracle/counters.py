# SPDX-License-Identifier: GPL-2.0-only
"""The counter oracle: the kernel's own counters against a baseline. Trust: COUNTER.

Pure functions over the texts of the guest's files (`FILES`, `GAUGE_FILES`).
A counter that a kernel does not have is left out. If a file that every kernel
has can't be read, that is an `InfraError`, never a pass.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lab.errors import InfraError
from lab.oracle.evidence import Evidence
from lab.words import Counter, Gauge

_TAINT = "/proc/sys/kernel/tainted"

# The file of each counter, and the first version that has it. The first two are in
# every kernel that the lab builds; a kernel without the others has fewer counters.
_COUNTERS: dict[Counter, str] = {
    "oops": "/sys/kernel/oops_count",  # 6.2
    "warn": "/sys/kernel/warn_count",  # 6.2
    "soft-lockup": "/sys/kernel/softlockup_count",  # 6.16
    "hard-lockup": "/sys/kernel/hardlockup_count",  # 6.16
    "rcu-stall": "/sys/kernel/rcu_stall_count",  # 6.16
    "hung-task": "/proc/sys/kernel/hung_task_detect_count",  # 6.14
}
_REQUIRED: tuple[Counter, ...] = ("oops", "warn")

FILES: tuple[str, ...] = (_TAINT, *_COUNTERS.values())
GAUGE_FILES: tuple[str, ...] = ("/proc/meminfo",)


@dataclass(frozen=True)
class TaintFlag:
    """A bit of the taint mask. `fatal`: something went wrong in the kernel."""

    letter: str
    meaning: str
    fatal: bool = False


# kernel/panic.c; the number of a bit is its place.
TAINT_FLAGS: tuple[TaintFlag, ...] = (
    TaintFlag("P", "proprietary module"),
    TaintFlag("F", "module was force loaded"),
    TaintFlag("S", "CPU out of specification"),
    TaintFlag("R", "module was force unloaded", fatal=True),
    TaintFlag("M", "machine check", fatal=True),
    TaintFlag("B", "bad page", fatal=True),
    TaintFlag("U", "set by a program"),
    TaintFlag("D", "oops or BUG", fatal=True),
    TaintFlag("A", "ACPI table overridden"),
    TaintFlag("W", "warning", fatal=True),
    TaintFlag("C", "staging driver"),
    TaintFlag("I", "firmware workaround"),
    TaintFlag("O", "module from outside the tree"),
    TaintFlag("E", "unsigned module"),
    TaintFlag("L", "soft lockup", fatal=True),
    TaintFlag("K", "live patched"),
    TaintFlag("X", "auxiliary, set by a distribution"),
    TaintFlag("T", "randomised structures"),
    TaintFlag("N", "test module"),
    TaintFlag("J", "user-space firmware control"),
)


@dataclass(frozen=True)
class Snapshot:
    """The taint mask and the counters at one moment."""

    taint: int
    counters: Mapping[Counter, int] = field(default_factory=dict)


def snapshot(files: Mapping[str, str | None]) -> Snapshot:
    """Parse the texts of `FILES`; None stands for a file that can't be read."""
    counters = {}
    for name, path in _COUNTERS.items():
        text = files.get(path)
        if text is None and name not in _REQUIRED:
            continue
        counters[name] = _number(path, text)
    return Snapshot(_number(_TAINT, files.get(_TAINT)), counters)


def modules_ran(now: Snapshot) -> bool:
    """Return whether a module from outside the kernel's tree was ever loaded.

    All modules under test are out of tree; the flag stays when they are unloaded.
    """
    return any(flag.letter == "O" for flag in flags(now.taint))


def flags(mask: int) -> list[TaintFlag]:
    """Return the flags of a taint mask; an unknown bit counts as fatal."""
    found = []
    for bit in range(mask.bit_length()):
        if mask >> bit & 1:
            known = bit < len(TAINT_FLAGS)
            found.append(
                TAINT_FLAGS[bit] if known else TaintFlag(f"[{bit}]", "unknown flag", fatal=True)
            )
    return found


def added(baseline: Snapshot, now: Snapshot) -> list[TaintFlag]:
    """Return the flags that were set since the baseline. The kernel never clears a flag."""
    return flags(now.taint & ~baseline.taint)


def new_taint(baseline: Snapshot, now: Snapshot) -> str:
    """Return the letters of the new fatal flags, "" if there are none."""
    return "".join(flag.letter for flag in added(baseline, now) if flag.fatal)


def increase(baseline: Snapshot, now: Snapshot) -> dict[str, int]:
    """Return the increase of each counter that both snapshots have.

    Raises `InfraError` if a counter decreased: then it is not the same kernel.
    """
    changes: dict[str, int] = {}
    for name, before in baseline.counters.items():
        after = now.counters.get(name)
        if after is None:
            raise InfraError(f"the counter {name} can no longer be read in the guest")
        if after < before:
            raise InfraError(f"the counter {name} went from {before} to {after}")
        changes[name] = after - before
    return changes


def evidence(baseline: Snapshot, now: Snapshot) -> list[Evidence]:
    """Return new taint and increased counters as evidence; an empty list if nothing changed."""
    found = []
    new = added(baseline, now)
    if new:
        letters = "".join(flag.letter for flag in new)
        names = [flag.meaning for flag in new]
        data = {"flags": letters, "names": names, "fatal": any(flag.fatal for flag in new)}
        found.append(Evidence("taint", f"new taint: {', '.join(names)}", data))
    rose = {name: value for name, value in increase(baseline, now).items() if value}
    if rose:
        words = ", ".join(f"{name} by {value}" for name, value in rose.items())
        found.append(Evidence("counters", f"counters rose: {words}", rose))
    return found


def gauges(files: Mapping[str, str | None]) -> dict[Gauge, float]:
    """Return amounts of memory in KiB from /proc/meminfo."""
    text = files.get("/proc/meminfo")
    sizes: dict[str, float] = {}
    for line in (text or "").splitlines():
        name, colon, rest = line.partition(":")
        words = rest.split()
        if colon and words and words[0].isdigit():
            sizes[name.strip()] = float(words[0])
    try:
        return {
            "slab": sizes["Slab"],
            "percpu": sizes["Percpu"],
            "vmalloc": sizes["VmallocUsed"],
            "used": sizes["MemTotal"] - sizes["MemAvailable"],
        }
    except KeyError as error:
        raise InfraError(f"the guest's /proc/meminfo has no {error.args[0]}") from error


def _number(path: str, text: str | None) -> int:
    if text is None:
        raise InfraError(f"{path} can't be read in the guest")
    try:
        return int(text.strip())
    except ValueError as error:
        raise InfraError(f"{path} holds no number in the guest: {text.strip()[:60]!r}") from error
