# SPDX-License-Identifier: GPL-2.0-only
"""A serial console's bytes -> lines, each with what the kernel put before its text.

The kernel writes its records to the console as

    <PRIORITY>[    1.234567][  T123] text

where each part but the text can be missing: the priority is there with
`console_msg_format=syslog`, the time with `printk.time=1`, the caller (task
T123, or CPU C1 outside of tasks) with CONFIG_PRINTK_CALLER. Programs write to
the same line, in any form they like.

What can be told about who wrote a line, and what can't:

- Text without the kernel's prefix was written by a program, once it is known
  which prefix this kernel uses.
- With the priority, text that a program wrote to /dev/kmsg is marked: the kernel
  never lets a program use facility 0, its own.
- Without the priority, a line from /dev/kmsg looks like the kernel's own.
- A program that writes to the serial device itself, or code in the kernel, can
  print any prefix. Nothing on the console proves anything against it.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

# The kernel's longest record is 1 KiB, with its prefix 1,100 bytes. Of a line
# that never ends its last part is kept, so that a record behind it survives.
MAX_LINE = 4096
_KEPT = 2048

_PRIORITY = r"<(?P<priority>\d{1,3})>"
_STAMP = r"\[\s{0,5}(?P<stamp>\d{1,7}\.\d{6})\]"
_CALLER = r"\[\s{0,5}(?P<caller>[CT]\d{1,10})\]"
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f]")


class Origin(enum.Enum):
    """Who wrote a line, as far as the console can tell."""

    KERNEL = "kernel"  # the kernel's prefix, with facility 0 where priorities are shown
    USER = "user"  # a program, through /dev/kmsg
    TEXT = "text"  # no prefix of the kernel


@dataclass(frozen=True)
class Line:
    """One line: its text without prefix, `at` in host's seconds, `stamp` in the kernel's."""

    number: int
    at: float
    text: str
    origin: Origin = Origin.KERNEL
    stamp: float | None = None
    caller: str = ""


@dataclass(frozen=True)
class Shape:
    """Which parts the kernel's prefix has."""

    priority: bool
    stamp: bool
    caller: bool

    @classmethod
    def of_kernel(cls, symbols: Mapping[str, str], boot_args: Sequence[str]) -> Shape:
        """The shape that a kernel's configuration and boot arguments give."""
        stamp = symbols.get("CONFIG_PRINTK_TIME") == "y"
        priority = False
        for argument in boot_args:
            name, _, value = argument.partition("=")
            if name == "printk.time":
                stamp = value.lower() in ("", "1", "y", "yes", "on")
            elif name == "console_msg_format":
                priority = value == "syslog"
        return cls(priority, stamp, symbols.get("CONFIG_PRINTK_CALLER") == "y")

    @property
    def empty(self) -> bool:
        return not (self.priority or self.stamp or self.caller)

    def pattern(self) -> re.Pattern[str]:
        parts = [
            _PRIORITY if self.priority else "",
            _STAMP if self.stamp else "",
            _CALLER if self.caller else "",
        ]
        # Without time and caller the kernel leaves out the space too.
        return re.compile("".join(parts) + (" ?" if self.stamp or self.caller else ""))


_OTHER_CALLER = _CALLER.replace("caller", "other")
_ANY = re.compile(f"(?:{_PRIORITY})?(?:{_STAMP}(?:{_CALLER})?|{_OTHER_CALLER}) ?")
_BANNER = re.compile(r"^(?P<prefix>.*?)Linux version \d+\.\d+")


class Splitter:
    """Cuts a stream into lines; the same lines however the stream is chunked.

    Without a given `shape` the first `Linux version` line tells it. Until
    then each prefix that a kernel could write counts as one, and after it a
    program can't change it any more. `prefixed` says that the stream is known
    to have prefixes, whatever their shape: then a line without one is a
    program's from the first line on.
    """

    def __init__(self, shape: Shape | None = None, *, prefixed: bool = False) -> None:
        self.shape = shape
        self._pattern = shape.pattern() if shape else _ANY
        self._shaped = shape is not None or prefixed
        self._buffer = bytearray()
        self._begun = 0.0
        self._number = 0

    def feed(self, data: bytes, at: float) -> Iterator[Line]:
        """The lines that `data`, which arrived at `at`, completes."""
        position = 0
        while position < len(data):
            if not self._buffer:
                self._begun = at
            end = data.find(b"\n", position)
            stop = len(data) if end < 0 else end
            room = MAX_LINE - len(self._buffer)
            if stop - position > room:
                self._buffer += data[position : position + room]
                del self._buffer[: MAX_LINE - _KEPT]
                position += room
                continue
            self._buffer += data[position:stop]
            position = stop + 1
            if end >= 0:
                yield from self._line()

    def finish(self) -> Iterator[Line]:
        """The unfinished line at the end of the stream, if there is one."""
        if self._buffer:
            yield from self._line()

    def _line(self) -> Iterator[Line]:
        raw = self._buffer.decode("utf-8", errors="replace").strip("\r")
        self._buffer.clear()
        self._number += 1
        text = _CONTROL.sub("", raw)
        if self.shape is None:
            self._learn(text)
        if self.shape is not None and self.shape.empty:
            yield Line(self._number, self._begun, text)
            return
        yield from self._parts(text)

    def _parts(self, text: str) -> Iterator[Line]:
        # A program may leave its line unfinished; the kernel's record follows
        # on the same one. Every prefix therefore begins a line of its own.
        found = list(self._pattern.finditer(text))
        before = text[: found[0].start()] if found else text
        if before or not found:
            origin = Origin.TEXT if self._shaped else Origin.KERNEL
            yield Line(self._number, self._begun, before, origin)
        self._shaped = self._shaped or bool(found)
        for index, match in enumerate(found):
            end = found[index + 1].start() if index + 1 < len(found) else len(text)
            groups = match.groupdict()
            # The pattern of all shapes has one of two places for the caller.
            yield Line(
                self._number,
                self._begun,
                text[match.end() : end],
                _origin(groups.get("priority")),
                float(groups["stamp"]) if groups.get("stamp") else None,
                groups.get("caller") or groups.get("other") or "",
            )

    def _learn(self, text: str) -> None:
        banner = _BANNER.match(text)
        if banner is None:
            return
        # A boot loader may have left text on the line.
        prefixes = list(_ANY.finditer(banner["prefix"]))
        groups = prefixes[-1].groupdict() if prefixes else {}
        caller = groups.get("caller") or groups.get("other")
        priority = bool(groups.get("priority")) or bool(re.search(r"<\d{1,3}>$", banner["prefix"]))
        self.shape = Shape(priority, bool(groups.get("stamp")), bool(caller))
        self._pattern = self.shape.pattern()
        self._shaped = True


def has_prefix(text: str) -> bool:
    """Whether a line begins as the kernel's lines may begin."""
    return bool(_ANY.match(text))


def _origin(priority: str | None) -> Origin:
    return Origin.USER if priority and int(priority) >= 8 else Origin.KERNEL
