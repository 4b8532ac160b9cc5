# SPDX-License-Identifier: GPL-2.0-only
"""Join the lines of one record.

A record whose text has newlines is printed as several lines, each with the
prefix. The kernel's reports name tasks, and a task chooses its name: up to 15
bytes, newlines among them. The kernel prints all lines of a record at once, so
they follow each other on the console, with the same caller and the same time.

If a name follows a record's head, and the text that the kernel prints after the
name is known, too, the lines between are joined by a space.
A line that is complete without the next is passed on at once; later lines of the
same record are marked (`Line.part`), so that they begin no report. The same holds
for text that the kernel quotes, such as a mount option.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from lab.oracle.console.lines import Line, Origin

# The bytes of a task's name, which limit its newlines.
NAME_BYTES = 15
# A guest controls how many records have many lines.
MAX_INNER = 20_000
# Seconds between two lines of a caller that may belong to one record. The kernel gives both
# the same time; tools that print a log again may not.
_SPAN = 0.1


@dataclass(frozen=True)
class _Named:
    """A record with a name in it: the patterns before and after the name."""

    head: re.Pattern[str]
    tail: re.Pattern[str]
    bare: re.Pattern[str]  # the tail without a name before it
    # Only the time separates the rest of the record from another record.
    last: bool = False
    # The greatest length of a line between the two.
    most: int = NAME_BYTES


def _named(head: str, tail: str, *, last: bool = False) -> _Named:
    named = re.compile(f"^.{{0,{NAME_BYTES}}}?{tail}")
    return _Named(re.compile(f"^{head}"), named, re.compile(f"^{tail}"), last)


_NAMED = (
    _named(
        r"INFO: task ",
        r":[0-9]+ (?:is )?blocked (?:in I/O wait |on \S+ )*for more than ",
    ),
    _named(
        r"(?:(?:NMI )?watchdog: )?BUG: soft lockup - CPU#[0-9]+ stuck for [0-9]+s! \[",
        r":[0-9]+\]$",
    ),
    _named(
        r"BUG: scheduling (?:while atomic|in a non-blocking section): ",
        r"/[0-9]+/0x[0-9a-f]+$",
    ),
    _named(
        r"CPU: [0-9]+ (?:UID: [0-9]+ )?PID: [0-9]+ Comm: ",
        r" (?:Kdump: loaded )?(?:Not tainted|Tainted: )",
    ),
    _named(r"task:", r" *state:\S"),
    _named(r"note: ", r"\[[0-9]+\] exited with "),
    _named(r"BUG: Bad [\w -]+ in process ", r" +(?:pfn|pte|pmd|pud|p4d|pgd):"),
    _named(r"(?:Memory cgroup out|Out) of memory: Killed process [0-9]+ \(", r"\) total-vm:"),
    _named(rf"WARNING: (?=.{{0,{NAME_BYTES}}}$)", r"/[0-9]+ still has locks held!"),
    _named(r"in_atomic\(\): .*, name: ", r"$", last=True),
)
# A quote that is open at the end of a line, and closed at the end of another.
_QUOTED = _Named(
    re.compile(r"^.*[\s=(]['\"][^'\"]*$"),
    re.compile(r"^[^'\"]*['\"]\W*$"),
    re.compile(r"^['\"]\W*$"),
    last=True,
    most=1024,
)
_HEADS = re.compile("|".join(one.head.pattern for one in _NAMED))
# A record that begins with the name, if that ends with a newline.
_NAMELESS = re.compile(r"^ ?invoked oom-killer: ")


class Joiner:
    """A joiner of the lines of records. It holds back at most a record's head and 15 lines."""

    def __init__(self) -> None:
        self._held: list[Line] = []
        self._kind: _Named | None = None
        self._last: Line | None = None
        # The head was complete without the next lines, and was passed on.
        self._out = False
        #: The first lines that were taken for a part of an earlier record.
        self.inner: list[Line] = []

    def take(self, line: Line) -> Iterator[Line]:
        """Take the next line; yield the lines that are now known to be whole."""
        kind, first = self._kind, self._last
        if kind is not None and first is not None and self._goes_on(kind, first, line):
            if kind.tail.match(line.text):
                yield from self._join(line)
                return
            if len(line.text) <= kind.most and len(self._held) <= NAME_BYTES:
                self._last = line
                self._held.append(line)
                return
        yield from self.flush()
        if line.origin is not Origin.KERNEL:
            yield line
            return
        if _NAMELESS.match(line.text):
            line = replace(line, text=f"? {line.text.lstrip()}")
        self._kind = _kind_of(line.text)
        line = self._with_name(line)
        self._last = line if self._kind else None
        self._out = self._kind is None or self._whole(line)
        if self._out:
            yield line
        else:
            self._held.append(line)

    def flush(self) -> Iterator[Line]:
        """Yield what is held back, as it came."""
        held, self._held = self._held, []
        self._kind = self._last = None
        yield from held

    def _goes_on(self, kind: _Named, last: Line, line: Line) -> bool:
        """Return True if a line may be more of the record whose last line is known."""
        # After a complete record another one of its form is more likely than a name in that
        # form: all lines of a record have the same time.
        again = self._out and bool(kind.head.match(line.text))
        return _follows(last, line, kind.last or again)

    def _with_name(self, line: Line) -> Line:
        """Insert a name if none is left: one of only control characters is not shown."""
        head = self._kind.head.match(line.text) if self._kind else None
        if self._kind is None or head is None or self._kind.last:
            return line
        rest = line.text[head.end() :]
        nameless = self._kind.bare.match(rest)
        return replace(line, text=f"{head[0]}?{rest}") if nameless else line

    def _whole(self, line: Line) -> bool:
        kind = self._kind
        if kind is None or kind.last:
            return True
        head = kind.head.match(line.text)
        return head is not None and bool(kind.tail.match(line.text[head.end() :]))

    def _join(self, line: Line) -> Iterator[Line]:
        held, self._held = self._held, []
        if len(self.inner) < MAX_INNER:
            self.inner += [*(held if self._out else held[1:]), line]
        if self._out:
            for one in [*held, line]:
                yield replace(one, part=True)
        else:
            yield replace(held[0], text=" ".join(one.text for one in [*held, line]))
            self._out = True
        self._last = line


def _kind_of(text: str) -> _Named | None:
    if _HEADS.match(text):
        return next((one for one in _NAMED if one.head.match(text)), None)
    return _QUOTED if _QUOTED.head.match(text) else None


def _follows(before: Line, line: Line, same_time: bool) -> bool:
    """Return True if a line can belong to the same record as the line before it."""
    if line.origin is not Origin.KERNEL or line.caller != before.caller:
        return False
    if line.stamp is None or before.stamp is None:
        return line.stamp is before.stamp
    if same_time or not line.caller:
        return line.stamp == before.stamp
    return 0 <= line.stamp - before.stamp <= _SPAN
