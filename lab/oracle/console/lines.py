# SPDX-License-Identifier: GPL-2.0-only
"""A serial console's bytes -> lines, each with the prefix that the kernel put before it.

The kernel writes its records to the console as

    <PRIORITY>[    1.234567][  T123] text

where each part but the text can be missing: the priority is there with
`console_msg_format=syslog`, the time with `printk.time=1`, the caller (task
T123, or CPU C1 outside of tasks) with CONFIG_PRINTK_CALLER. Programs write to
the same line, in any form they like.

A record that begins a line owns the rest of that line: the kernel writes no two
records on one line, so a later prefix is text that others chose. A record may
follow a program's unfinished line. All readers of the console take
their lines from here, so all of them have this guard.

The evidence for the writer of a line, and its limits:

- Text without the kernel's prefix was written by a program, once it is known
  which prefix this kernel uses.
- With the priority, text that a program wrote to /dev/kmsg is marked: the kernel
  never lets a program use facility 0, its own.
- Without the priority, a line from /dev/kmsg looks like the kernel's own.
- A program that writes to the serial device itself, or code in the kernel, can
  print any prefix, and can leave a line unfinished so that it owns the next
  record. The console alone proves nothing against that: see `lab.oracle.console.kmsg`.

Only the time in the prefix can change while a kernel runs. A line that differs
only in that is still the kernel's; its `shaped` is false.
"""

from __future__ import annotations

import enum
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, replace

from lab.oracle.console.mixing import is_mixed, parts

# The kernel's longest record is 1 KiB, with its prefix 1,100 bytes. This much of an endless
# line is kept: the beginning of a record, else the end.
MAX_LINE = 4096
_KEPT = 2048

_PRIORITY = r"<(?P<priority>0|[1-9][0-9]{0,2})>"
_STAMP = r"\[ {0,5}(?P<stamp>[0-9]{1,7}\.[0-9]{6})\]"
_CALLER = r"\[ {0,5}(?P<caller>[CT][0-9]{1,10})\]"
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f-\x9f]")
# Text that looks like a prefix to a person, with any characters in it.
_LOOSE = re.compile(r"(?:<\d{1,3}>\s*)?\[\s*(?:\d+\.\d+|[CT]\d+)\](?:\s*\[\s*[CT]\d+\])?\s?")


class Origin(enum.Enum):
    """The writer of a line, as far as the console shows it."""

    KERNEL = "kernel"  # the kernel's prefix, with facility 0 where priorities are shown
    USER = "user"  # a program, through /dev/kmsg
    TEXT = "text"  # no prefix of the kernel


@dataclass(frozen=True)
class Line:
    """A line of the console."""

    number: int  #: from 1, over the whole console
    at: float  #: seconds on the host's clock
    text: str  #: without the prefix
    origin: Origin = Origin.KERNEL
    stamp: float | None = None  #: seconds on the kernel's clock
    caller: str = ""  #: `T123` (a task) or `C1` (a CPU), "" if the console does not show it
    shaped: bool = True  #: the prefix has the expected parts
    part: bool = False  #: a later line of the record before it (`lab.oracle.console.records`)
    damage: str = ""  #: a defect of the line, by which text of the kernel may be lost


@dataclass(frozen=True)
class Shape:
    """The parts that the kernel's prefix has."""

    priority: bool
    stamp: bool
    caller: bool

    @classmethod
    def of_kernel(cls, options: Mapping[str, str], boot_args: Sequence[str]) -> Shape:
        """Return the shape that follows from a kernel's configuration and boot arguments."""
        stamp = options.get("CONFIG_PRINTK_TIME") == "y"
        priority = False
        for argument in boot_args:
            name, _, value = argument.partition("=")
            if name == "printk.time":
                stamp = value.lower() in ("", "1", "y", "yes", "on")
            elif name == "console_msg_format":
                priority = value == "syslog"
        return cls(priority, stamp, options.get("CONFIG_PRINTK_CALLER") == "y")

    @property
    def empty(self) -> bool:
        return not (self.priority or self.stamp or self.caller)

    def pattern(self) -> re.Pattern[str]:
        """Return the prefix as a pattern; of a shape without any part it matches nothing at all."""
        priority = _PRIORITY if self.priority else ""
        stamp = _STAMP if self.stamp else ""
        caller = _CALLER if self.caller else ""
        # Without time and caller the kernel leaves out the space too.
        return re.compile(priority + stamp + caller + (" ?" if stamp or caller else ""))

    def patterns(self) -> tuple[tuple[re.Pattern[str], bool], ...]:
        """Return the prefixes that this kernel can write; True marks the one expected.

        The longer one comes first: the shorter one may match its beginning.
        """
        both = replace(self, stamp=True), replace(self, stamp=False)
        return tuple((one.pattern(), one == self) for one in both if one == self or not one.empty)


_OTHER_CALLER = _CALLER.replace("caller", "other")
_ANY = re.compile(f"(?:{_PRIORITY})?(?:{_STAMP}(?:{_CALLER})?|{_OTHER_CALLER}) ?")
# The rest of a prefix of priority and time when the time is switched off.
_BARE = re.compile(_PRIORITY)
_ANY_PARTS = tuple(
    parts(priority, True, caller) for priority in (True, False) for caller in (True, False)
)
_BANNER = re.compile(r"^(?P<prefix>.*?)Linux version [0-9]+\.[0-9]+")
# A guest controls how often it writes something like a prefix.
_INSIDE = re.compile(rf"{_LOOSE.pattern}|<\d{{1,3}}>\s?")
_MOST_INSIDE = 64


class Splitter:
    """A splitter of a stream into lines; they do not depend on how the stream is chunked.

    If no `shape` is given, the first `Linux version` line shows it. Until then each
    prefix that a kernel could write counts as a prefix; after that a program can't
    change the shape. `prefixed` says that the stream is known to have prefixes of
    some shape: then a line without one is a program's, from the first line on.
    `before` is the number of lines that precede the stream: its own are counted from there.
    """

    def __init__(
        self, shape: Shape | None = None, *, prefixed: bool = False, before: int = 0
    ) -> None:
        self.shape = shape
        self._patterns = shape.patterns() if shape else ((_ANY, True),)
        self._prefixes = (parts(*astuple(shape)),) if shape else _ANY_PARTS
        self._shaped = shape is not None or prefixed
        # True once the time was switched on or off; until then it is expected only at the start.
        self._changed = False
        self._buffer = bytearray()
        self._cut = self._owned = False
        self._begun = 0.0
        self._number = before

    def feed(self, data: bytes, at: float) -> Iterator[Line]:
        """Yield the lines that `data`, which arrived at `at`, completes."""
        position = 0
        while position < len(data):
            if not self._buffer:
                self._begun = at
            end = data.find(b"\n", position)
            stop = len(data) if end < 0 else end
            room = MAX_LINE - len(self._buffer)
            if stop - position > room:
                self._buffer += data[position : position + room]
                self._shorten()
                position += room
                continue
            self._buffer += data[position:stop]
            position = stop + 1
            if end >= 0:
                yield from self._line()

    def finish(self) -> Iterator[Line]:
        """Yield the unfinished line at the end of the stream, if there is one."""
        if self._buffer:
            yield from self._line()

    def _shorten(self) -> None:
        """Make room in a line that does not end."""
        if not self._owned:
            found = self._first(_decode(self._buffer))
            self._owned = found is not None and found[0].start() < MAX_LINE - _KEPT
        if self._owned:
            self._cut = True
            del self._buffer[_KEPT:]
        else:
            del self._buffer[: MAX_LINE - _KEPT]

    def _line(self) -> Iterator[Line]:
        raw = _decode(self._buffer).strip("\r")
        self._buffer.clear()
        self._number += 1
        if self.shape is None:
            self._learn(clean(raw))
        cut, self._cut, self._owned = self._cut, False, False
        for line in self._parts(raw):
            yield replace(line, damage="longer than any record") if cut else line

    def _first(self, raw: str) -> tuple[re.Match[str], bool] | None:
        """Return the prefix that begins a record; True if it has the shape expected."""
        for pattern, expected in self._patterns:
            found = pattern.match(raw)
            if found:
                return found, expected
        if self.shape is not None and self.shape.empty:
            return None
        # A program may leave its line unfinished; the kernel's record then follows on that line.
        inside = [
            (found, expected)
            for pattern, expected in self._patterns
            if (expected or self._changed)
            # A priority alone is too often text of a program.
            and pattern.pattern != _BARE.pattern
            and (found := pattern.search(raw))
        ]
        return min(inside, key=lambda one: one[0].start(), default=None)

    def _parts(self, raw: str) -> Iterator[Line]:
        found = self._first(raw)
        if found is not None and _is_broken(raw, found[0].start()):
            found = None
        before = clean(raw[: found[0].start()] if found else raw)
        if before or found is None:
            origin = Origin.TEXT if self._shaped else Origin.KERNEL
            damage = (
                "two writers' bytes are mixed"
                if any(is_mixed(before, prefix) for prefix in self._prefixes)
                else ""
            )
            yield Line(self._number, self._begun, before, origin, damage=damage)
        if found is None:
            return
        match, expected = found
        self._shaped = True
        self._changed = self._changed or not expected
        groups = match.groupdict()
        if self.shape is None and groups.get("priority"):
            self._patterns = ((_ANY, True), (_BARE, False))
        # The pattern of all shapes has two places for the caller, of which one is used.
        yield Line(
            self._number,
            self._begun,
            clean(raw[match.end() :]),
            _origin(groups.get("priority")),
            float(groups["stamp"]) if groups.get("stamp") else None,
            groups.get("caller") or groups.get("other") or "",
            shaped=expected,
        )

    def _learn(self, text: str) -> None:
        banner = _BANNER.match(text)
        if banner is None:
            return
        # A boot loader may have left text on the line.
        prefixes = list(_ANY.finditer(banner["prefix"]))
        groups = prefixes[-1].groupdict() if prefixes else {}
        caller = groups.get("caller") or groups.get("other")
        priority = bool(groups.get("priority")) or bool(
            re.search(r"<[0-9]{1,3}>$", banner["prefix"])
        )
        self.shape = Shape(priority, bool(groups.get("stamp")), bool(caller))
        self._patterns = self.shape.patterns()
        self._prefixes = (parts(*astuple(self.shape)),)
        self._shaped = True


def clean(text: str) -> str:
    """Return the text without control characters and escape sequences."""
    return _CONTROL.sub("", text)


def without_prefix(text: str) -> str | None:
    """Return the text after what looks like a prefix, valid or not; None if there is none."""
    found = _LOOSE.match(text)
    return text[found.end() :] if found else None


def embedded(text: str) -> Iterator[str]:
    """Yield the text after each part of a line that looks like a prefix or a priority."""
    if "<" not in text and "[" not in text:
        return
    for found in itertools.islice(_INSIDE.finditer(text), _MOST_INSIDE):
        yield text[found.end() :]


def shape_of(text: str) -> Shape | None:
    """Return which parts the prefix of a line has; None if it has no prefix."""
    found = _ANY.match(text)
    if found is None:
        return None
    groups = found.groupdict()
    caller = groups["caller"] or groups["other"]
    return Shape(bool(groups["priority"]), bool(groups["stamp"]), bool(caller))


def has_prefix(text: str) -> bool:
    """Return True if a line begins as the kernel's lines may begin."""
    return bool(_ANY.match(text))


def _origin(priority: str | None) -> Origin:
    return Origin.USER if priority and int(priority) >= 8 else Origin.KERNEL


def _decode(raw: bytes | bytearray) -> str:
    return raw.decode("utf-8", errors="replace")


def _is_broken(raw: str, start: int) -> bool:
    """Return True if the prefix at `start` is a piece of a longer one that no kernel writes."""
    before = clean(raw[:start])
    whole = _LOOSE.match(clean(raw))
    return bool(before) and whole is not None and len(before) < whole.end()
