# SPDX-License-Identifier: GPL-2.0-only
"""Recognise kernel reports about leftovers of a module, and describe the leftovers.

Some reports say that something was not released: DEBUG_OBJECTS when memory
with an armed timer is freed, the profiling of allocations when a module is
unloaded, a slab cache that is destroyed with objects in it. Others are the
consequence: code or data of a module is used after it is gone. Pure functions
over reports.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from lab.oracle.console.reports import Report
from lab.oracle.modules.allocations import size_text
from lab.oracle.modules.layout import Layouts, Place


@dataclass(frozen=True)
class Cause:
    """The statement of a report about resources.

    `leak` says that the report itself is about a leak, and nothing else went
    wrong: it counts as `resources`, not as a report. `place` is the function
    that allocated the leftover, if the report names it.
    """

    text: str
    report: Report
    leak: bool
    place: str = ""


_ODEBUG = re.compile(
    r"^ODEBUG: free active \(.*?object type: (?P<type>\w+) hint: (?P<hint>\S+(?: \[[^\]]+\])?)"
)
_ALLOC_TAG = re.compile(
    r"^(?P<file>\S+):(?P<line>\d+) module (?P<module>\S+) func:(?P<function>\S+) "
    r"has (?P<bytes>\d+) allocated at module unload"
)
_CACHE_IN_USE = re.compile(
    r"Objects remaining (?:in \S+ )?on __kmem_cache_shutdown"
    r"|^kmem_cache_destroy (?P<cache>\S+): Slab cache still has objects when called from"
)
_CACHE_OF = re.compile(r"^BUG (?P<cache>\S+) \(")
_RIP = re.compile(r"^RIP: 0010:(?P<address>0x[0-9a-f]+)\b")
_FAULT = re.compile(r"^BUG: unable to handle \S+ \S+ for address: (?P<address>[0-9a-f]{16})")
_NOT_PRESENT = re.compile(r"^#PF: error_code\(0x[0-9a-f]+\) - not-present page")

_OBJECTS = {
    "timer_list": "timer",
    "hrtimer": "high-resolution timer",
    "work_struct": "work item",
}
_DELAYED_WORK = "delayed_work_timer_fn"

# The caller of a module's functions, by a function on the stack.
_CALLERS = (
    ("__hrtimer_run_queues", "a high-resolution timer"),
    ("call_timer_fn", "a timer"),
    ("__run_timers", "a timer"),
    ("process_one_work", "a work item"),
)


def causes(reports: Iterable[Report], layouts: Layouts) -> list[Cause]:
    """Return what each report says about resources, in their order."""
    return [cause for report in reports if (cause := _cause(report, layouts)) is not None]


def _cause(report: Report, layouts: Layouts) -> Cause | None:
    for text, place in _leaks(report, layouts):
        return Cause(text, report, leak=True, place=place)
    text = _used_when_gone(report, layouts)
    return Cause(text, report, leak=False) if text else None


def _leaks(report: Report, layouts: Layouts) -> Iterator[tuple[str, str]]:
    """Yield each sentence, with the function that allocated."""
    cache = ""
    for line in report.lines:
        if match := _ODEBUG.match(line):
            yield _still_armed(match, layouts), ""
        elif match := _ALLOC_TAG.match(line):
            place = f"{match['function']} ({match['module']})"
            at = f"{match['file']}:{match['line']}"
            size = size_text(int(match["bytes"]))
            yield f"{size}, allocated in {place} at {at}, are not freed", place
        elif match := _CACHE_OF.match(line):
            cache = match["cache"]
        if match := _CACHE_IN_USE.search(line):
            name = match["cache"] or cache
            yield f"objects of the slab cache {name}, which was destroyed, are not freed", ""


def _still_armed(match: re.Match[str], layouts: Layouts) -> str:
    kind = _OBJECTS.get(match["type"], f"object ({match['type']})")
    place = layouts.place(match["hint"])
    if place is None or place.function == _DELAYED_WORK:
        # The work's own function is not named.
        return "a delayed work item, in memory that was freed, is still armed"
    owner = f" of {place.module}" if place.module and place.module != "?" else ""
    return f"a {kind}{owner} (function {place.function}) is still armed"


def _used_when_gone(report: Report, layouts: Layouts) -> str:
    """Describe the use of a module's code or data that is gone; "" if there was none."""
    for line in report.lines:
        match = _RIP.match(line)
        place = layouts.place(match["address"]) if match else None
        if place is not None and place.gone:
            return f"{_code(place)}{_caller(report)}"
    # Unmapped memory is gone, also while the unload has not returned.
    absent = any(_NOT_PRESENT.search(line) for line in report.lines)
    for line in report.lines:
        match = _FAULT.match(line)
        address = int(match["address"], 16) if match else 0
        place = layouts.at(address) if absent else layouts.gone_at(address)
        if place is not None:
            return (
                f"data of the unloaded module {place.module} was used: "
                f"{place.function}{_caller(report)}"
            )
    return ""


def _code(place: Place) -> str:
    if place.module == "?":
        return f"code that is no longer there was called ({place.function})"
    return f"code of the unloaded module {place.module} was called: function {place.function}"


def _caller(report: Report) -> str:
    for function, what in _CALLERS:
        if any(re.search(rf"\b{function}\+0x", line) for line in report.lines):
            return f" (by {what})"
    return ""
