# SPDX-License-Identifier: GPL-2.0-only
"""The oracle of pending timers and work items whose code is gone. Trust: COUNTER.

The kernel's tracepoints show which ones were started. The memory of the timer or work item
itself shows whether it is still armed; its first fields are the same from 5.15 to 7.x
(include/linux/timer_types.h, workqueue_types.h). A high-resolution timer that is armed is in
/proc/timer_list. Pure functions over these texts.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from lab.oracle.modules.allocations import Allocation
from lab.oracle.modules.layout import Layouts, Place

Kind = Literal["timer", "high-resolution timer", "delayed work item", "work item"]

# The kernel's own function that a delayed work item's timer runs.
DELAYED_WORK = "delayed_work_timer_fn"

_EVENT = re.compile(r"^ *\S.* \[\d+\] \S+ +\d+\.\d+: (?P<event>\w+): (?P<fields>.*)$")
_FIELD = re.compile(r"(?P<name>\w+)=(?P<value>\S+)")
_TIMER_LIST = re.compile(r"^ #\d+: <\S+>, (?P<function>\S+), S:")

# struct timer_list: two links, the time, the function, flags. struct work_struct: state, two
# links, the function. struct delayed_work: a work_struct, then a timer_list.
_TIMER = struct.Struct("<4Q")
_WORK = struct.Struct("<4Q")
_PENDING = 1
# Bytes to read from `Candidate.address` on.
PEEK_BYTES = _WORK.size + _TIMER.size


@dataclass(frozen=True)
class Candidate:
    """A timer or work item that was started, and may still be armed.

    `address` is where to read `PEEK_BYTES` of it. `function` is as the kernel printed it.
    """

    kind: Kind
    address: int
    function: str


@dataclass(frozen=True)
class Armed:
    """A timer or work item that will run a function of a module that is gone."""

    kind: Kind
    place: Place

    def __str__(self) -> str:
        article = f"a {self.kind}"
        if self.place.module == "?":
            return f"{article} that calls {self.place} is still armed"
        return f"{article} of {self.place.module} (function {self.place.function}) is still armed"


def candidates(trace: str) -> list[Candidate]:
    """Return the timers and work items that a trace shows as started, each once, in order."""
    found: dict[Candidate, None] = {}
    for event, fields in _events(trace):
        function = fields.get("function", "")
        if event == "timer_start" and function.startswith(DELAYED_WORK):
            address = _address(fields.get("timer")) - _WORK.size
            found[Candidate("delayed work item", address, "")] = None
        elif event == "timer_start":
            found[Candidate("timer", _address(fields.get("timer")), function)] = None
        elif event == "workqueue_queue_work":
            found[Candidate("work item", _address(fields.get("struct")), function)] = None
    return [one for one in found if one.address > 0]


def armed(candidate: Candidate, memory: bytes | None, layouts: Layouts) -> Armed | None:
    """Return what is still armed at a candidate's address, by its memory.

    None if it is not armed, if its function is not gone, or if the memory was reused.
    """
    if memory is None or len(memory) < PEEK_BYTES:
        return None
    if candidate.kind == "timer":
        _, previous, _, function = _TIMER.unpack_from(memory)
        waits = previous != 0 and _same(candidate.function, function, layouts)
    elif candidate.kind == "delayed work item":
        state, _, _, function = _WORK.unpack_from(memory)
        _, previous, _, _ = _TIMER.unpack_from(memory, _WORK.size)
        waits = previous != 0 and bool(state & _PENDING)
    else:
        state, _, _, function = _WORK.unpack_from(memory)
        waits = bool(state & _PENDING) and _same(candidate.function, function, layouts)
    # The memory also holds addresses of the kernel's own functions, without names.
    place = layouts.gone_at(function)
    return Armed(candidate.kind, place) if waits and place is not None else None


def _same(printed: str, address: int, layouts: Layouts) -> bool:
    """Return whether an address is the function that the kernel printed, by name or address."""
    if printed.startswith("0x"):
        return int(printed, 16) == address
    place = layouts.at(address)
    return place is not None and place.function == printed


def high_resolution(timer_list: str, layouts: Layouts) -> list[Armed]:
    """Return the high-resolution timers in /proc/timer_list whose function is gone."""
    found = []
    for line in timer_list.splitlines():
        match = _TIMER_LIST.match(line)
        place = layouts.place(match["function"]) if match else None
        if place is not None and place.gone:
            found.append(Armed("high-resolution timer", place))
    return found


def per_cpu(trace: str) -> list[Allocation]:
    """Return the per-CPU memory that a trace shows as allocated and not freed."""
    live: dict[str, Allocation] = {}
    for event, fields in _events(trace):
        pointer = fields.get("ptr", "")
        if event == "percpu_free_percpu":
            live.pop(pointer, None)
        elif event == "percpu_alloc_percpu":
            size, caller = int(fields.get("size", "0")), fields.get("call_site", "")
            live[pointer] = Allocation("per-CPU", 1, size, "", (caller,))
    return list(live.values())


def overrun(stats: str) -> int:
    """Return how many events the trace buffers lost, from their `stats` files."""
    return sum(
        int(line.split(":")[1])
        for line in stats.splitlines()
        if re.match(r"^(?:overrun|dropped events): \d+$", line)
    )


def _events(trace: str) -> Iterator[tuple[str, dict[str, str]]]:
    for line in trace.splitlines():
        match = _EVENT.match(line)
        if match:
            yield match["event"], dict(_FIELD.findall(match["fields"]))


def _address(text: str | None) -> int:
    try:
        return int(text or "", 16)
    except ValueError:
        return 0


def sentences(found: Iterable[Armed]) -> list[str]:
    """Describe what is armed, each sentence once."""
    return list(dict.fromkeys(str(one) for one in found))
