# SPDX-License-Identifier: GPL-2.0-only
"""Reports in the kernel's log on native (Rex) programs that it ended. Trust: CONSOLE.

    rex: NAME[ID]: panicked on CPU 1: index out of bounds (src/lib.rs:12)
    rex: NAME[ID]:   #0 0x1602
    rex: NAME[ID]:   released: spin_lock 1 task 2

NAME is cut to 15 characters; frames are offsets into the image, innermost
first. The kernel prints at most 40 such reports in 5 seconds, so that there may
be fewer reports than ended runs. Only lines that the kernel wrote count. A
program's own output comes after `rex: NAME: `, without an ID, and so is never a
report. Text in it, or in a panic's message, that has the form of the kernel's
prefix begins no line of its own.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import cast

from lab.oracle.console.lines import Line, Origin
from lab.words import REX_ENDINGS, REX_RESOURCES, RexEnding, RexResource

# A guest decides how much it prints. The kernel walks up to 16 frames.
MAX_REPORTS = 200
MAX_FRAMES = 64

# The name of a program, of which the kernel keeps 15 characters.
_NAME = r"[A-Za-z0-9_.]{0,15}"
_LINE = re.compile(rf"^rex: (?P<name>{_NAME})\[(?P<id>[0-9]{{1,10}})\]: (?P<rest>.*)$")
_HEAD = re.compile(
    rf"^(?P<ending>{'|'.join(REX_ENDINGS)}) on CPU (?P<cpu>\d{{1,5}}): (?P<message>.*)$"
)
_FRAME = re.compile(r"^  #(?P<number>\d{1,3}) 0x(?P<offset>[0-9a-f]{1,16})$")
_RESOURCES = re.compile(
    rf"^  (?P<what>released|left held):"
    rf"(?P<list>(?: (?:{'|'.join(REX_RESOURCES)}) \d{{1,10}})+)$"
)
_PLACE = re.compile(r"^(?P<message>.*) \((?P<place>[^()]*:\d+)\)$")


@dataclass(frozen=True)
class RexReport:
    """The kernel's report on one run that it ended."""

    program: str  #: its name, cut to 15 characters
    id: int  #: the kernel's id of the program
    ending: RexEnding
    cpu: int
    message: str
    place: str = ""  #: FILE:LINE as the compiler wrote it, "" if the kernel knows none
    frames: tuple[int, ...] = ()  #: offsets into the image, innermost first
    #: The resources that the kernel released for the program.
    released: Mapping[RexResource, int] = field(default_factory=dict)
    #: The resources that it left held, because their release is switched off.
    held: Mapping[RexResource, int] = field(default_factory=dict)
    first_line: int = 0  #: number of its first line; the console's lines count from 1
    at: float = 0.0  #: seconds on the host's clock

    @property
    def headline(self) -> str:
        """The first line: `panicked on CPU 1: explicit panic (src/lib.rs:12)`."""
        place = f" ({self.place})" if self.place else ""
        return f"{self.ending} on CPU {self.cpu}: {self.message}{place}"

    @property
    def resources(self) -> list[str]:
        """The lines about its resources, as the kernel prints them."""
        lists = (("released", self.released), ("left held", self.held))
        return [
            f"{what}: {' '.join(f'{name} {count}' for name, count in some.items())}"
            for what, some in lists
            if some
        ]


@dataclass
class _Draft:
    """A report while its lines arrive."""

    first: Line
    program: str
    id: int
    ending: RexEnding
    cpu: int
    message: str
    frames: list[int] = field(default_factory=list)
    lists: dict[str, dict[RexResource, int]] = field(default_factory=dict)

    def takes(self, line: Line, program: str, id: int) -> bool:
        """Return whether a line may belong to this report: one task or CPU reports a run."""
        return (self.first.caller, self.program, self.id) == (line.caller, program, id)

    def add(self, text: str) -> None:
        """Add a line after the first, if such a line may come now."""
        frame, listed = _FRAME.match(text), _RESOURCES.match(text)
        if frame and int(frame["number"]) == len(self.frames) < MAX_FRAMES and not self.lists:
            self.frames.append(int(frame["offset"], 16))
        elif listed and listed["what"] not in self.lists:
            words = listed["list"].split()
            self.lists[listed["what"]] = {
                cast(RexResource, name): int(count)
                for name, count in zip(words[::2], words[1::2], strict=True)
            }

    def report(self) -> RexReport:
        place = _PLACE.match(self.message) if self.ending == "panicked" else None
        return RexReport(
            self.program,
            self.id,
            self.ending,
            self.cpu,
            place["message"] if place else self.message,
            place["place"] if place else "",
            tuple(self.frames),
            dict(self.lists.get("released", {})),
            dict(self.lists.get("left held", {})),
            self.first.number,
            self.first.at,
        )


class Collector:
    """A collector of the reports in a console's lines; two threads may use it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._drafts: list[_Draft] = []
        self._open: list[_Draft] = []
        self.dropped = 0

    def take(self, line: Line) -> None:
        """Take the next line."""
        with self._lock:
            if line.origin is not Origin.KERNEL:
                return
            match = _LINE.match(line.text)
            if match:
                self._own(line, match["name"], int(match["id"]), match["rest"])

    @property
    def reports(self) -> tuple[RexReport, ...]:
        """All reports so far, in the order of their first lines."""
        with self._lock:
            return tuple(draft.report() for draft in self._drafts)

    def _own(self, line: Line, program: str, id: int, text: str) -> None:
        # A writer that begins another report has finished the one before. If the console
        # does not show the writers, it is unknown which of two reports a line continues.
        before = [draft for draft in self._open if draft.takes(line, program, id)]
        head = _HEAD.match(text)
        if head:
            for draft in before:
                self._open.remove(draft)
            if len(self._drafts) >= MAX_REPORTS:
                self.dropped += 1
                return
            ending = cast(RexEnding, head["ending"])
            draft = _Draft(line, program, id, ending, int(head["cpu"]), head["message"])
            self._drafts.append(draft)
            self._open.append(draft)
        for draft in before if not head else ():
            draft.add(text)


def is_head(text: str) -> bool:
    """Return True if a line's text begins a report on a native program."""
    match = _LINE.match(text)
    return match is not None and bool(_HEAD.match(match["rest"]))


def collect(lines: Iterable[Line]) -> tuple[RexReport, ...]:
    """Return the reports in a console's lines."""
    collector = Collector()
    for line in lines:
        collector.take(line)
    return collector.reports
