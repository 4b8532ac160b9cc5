# SPDX-License-Identifier: GPL-2.0-only
"""Reports of the kernel's detectors: as drafts while they are printed, then complete."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from lab.oracle.console import patterns, stacks
from lab.oracle.console.lines import Line
from lab.oracle.evidence import Evidence
from lab.words import ReportKind

# A guest decides how long its reports are.
MAX_LINES = 600

# A kind that is a special case of a wider one: `oops` means these too.
WIDER: dict[ReportKind, ReportKind] = {"page-fault": "oops", "general-protection": "oops"}

_STALLS: frozenset[ReportKind] = frozenset({"soft-lockup", "hard-lockup", "rcu-stall", "csd-lock"})
_LONG_NUMBER = re.compile(r"\b(?:0x)?[0-9a-f]{9,16}\b")


@dataclass(frozen=True)
class Report:
    """A report that a detector of the kernel printed about one finding."""

    kind: ReportKind
    title: str
    lines: tuple[str, ...]
    first_line: int  #: number of its first line; the console's lines count from 1
    at: float = 0.0  #: seconds on the host's clock, as passed to `feed`
    stamp: float | None = None  #: seconds on the kernel's clock
    caller: str = ""  #: the writer: `T123` (a task) or `C1` (a CPU outside of tasks)
    cpu: int | None = None  #: the CPU that the report is about
    task: str = ""  #: the task that the report is about
    function: str = ""  #: the function at fault, "" if unknown
    frames: tuple[str, ...] = ()  #: functions that may be at fault, innermost first
    complete: bool = True  #: false while it is being printed, and if the console ended before it
    marked: bool = False  #: the console shows priorities, and these lines have the kernel's

    @property
    def kinds(self) -> frozenset[ReportKind]:
        """The kind, and the wider kind that it belongs to."""
        wider = WIDER.get(self.kind)
        return frozenset({self.kind, wider}) if wider else frozenset({self.kind})

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


@dataclass(frozen=True)
class Backtrace:
    """The position of a CPU, printed on request (NMI, sysrq); it is not a finding."""

    cpu: int
    lines: tuple[str, ...]
    first_line: int
    function: str = ""


@dataclass
class Draft:
    """A report while its lines arrive."""

    first: Line
    kind: ReportKind | None = None
    title: str = ""
    cpu: int | None = None
    task: str = ""
    lines: list[str] = field(default_factory=list)
    last_stamp: float | None = None
    oopsed: bool = False
    # The first line comes before the rule of a BUG or a warning.
    head: bool = False
    # The rule was seen after the first line: a BUG or a warning is the same report.
    cut: bool = False
    strangers: int = 0
    pools: int = 1
    # The crash that cut this report off before it had a stack of its own.
    sequel: Draft | None = None
    summing_up: bool = False
    complete: bool = False

    def add(self, line: Line) -> None:
        if len(self.lines) < MAX_LINES:
            self.lines.append(line.text)
        self.last_stamp = line.stamp if line.stamp is not None else self.last_stamp

    def identify(self) -> None:
        """Read the CPU and the task that the report is about from its lines, unless known."""
        for text in stacks.relevant(self.lines):
            cpu = patterns.CPU_LINE.match(text)
            if cpu:
                self.cpu = int(cpu["cpu"]) if self.cpu is None else self.cpu
                self.task = self.task or f"{cpu['comm']}:{cpu['pid']}"
            task = patterns.TASK_LINE.match(text)
            if task:
                self.task = self.task or f"{task['comm']}:{task['pid']}"

    def open(self, opening: patterns.Opening, match: re.Match[str]) -> None:
        groups = {name: text or "" for name, text in match.groupdict().items()}
        self.kind = opening.kind
        self.title = opening.title.format(**groups)
        if groups.get("cpu"):
            self.cpu = int(groups["cpu"])
        if groups.get("task"):
            self.task = groups["task"]
        elif groups.get("comm"):
            self.task = f"{groups['comm']}:{groups['pid']}"
        self.complete = opening.whole
        self.head = opening.head

    @property
    def has_body(self) -> bool:
        """Return whether registers or a stack followed the first lines."""
        return any(patterns.BODY.match(line) for line in self.lines[1:])

    @property
    def lacks_stack(self) -> bool:
        """Return whether the report is open, of a known kind, and has no stack yet."""
        if self.kind in (None, "panic") or self.summing_up:
            return False
        return not stacks.has_stack(stacks.relevant(self.lines))

    @property
    def ends_with_stack(self) -> bool:
        return bool(self.lines) and self.lines[-1].strip() == "</TASK>"

    def report(self, marked: bool) -> Report:
        """Return the report from the lines so far."""
        self.identify()
        # The text after a rule may be of no known kind.
        kind: ReportKind = self.kind or "other-splat"
        search = stacks.Search(
            stalled=self.kind in _STALLS,
            anywhere=self.kind in _STALLS or self.kind == "stack-overflow",
            lockdep=self.kind == "lockdep",
        )
        lines = self.lines if self.sequel is None else [*self.lines, *self.sequel.lines]
        found = stacks.find(stacks.relevant(lines), search)
        function = found.function
        title = _LONG_NUMBER.sub("N", self.title if self.kind else "report cut short")
        if self.kind == "page-fault" and stacks.jumped_to(self.lines):
            title = "call of NULL" if title.startswith("NULL") else "call of a bad address"
        if function and self.kind not in ("panic", "oom", "wq-lockup"):
            title = f"{title} in {function}"
        return Report(
            kind=kind,
            title=title,
            lines=tuple(self.lines),
            first_line=self.first.number,
            at=self.first.at,
            stamp=self.first.stamp,
            caller=self.first.caller,
            cpu=self.cpu,
            task=self.task,
            function=function,
            frames=found.frames,
            complete=self.complete,
            marked=marked,
        )


def evidence(report: Report) -> Evidence:
    """Return a report as evidence."""
    return Evidence(
        "report",
        report.title,
        {
            "kind": report.kind,
            "function": report.function,
            "cpu": report.cpu,
            "task": report.task,
            "first_line": report.first_line,
            "complete": report.complete,
            "marked": report.marked,
            "caller": report.caller,
        },
        report.at,
    )
