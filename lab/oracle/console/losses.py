# SPDX-License-Identifier: GPL-2.0-only
"""Losses: signs on the console that some of the kernel's text is missing from it.

Where text is missing, a report may be missing: no verdict can be `passed` on such
a console.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from lab.oracle.console import patterns
from lab.oracle.console.lines import Line
from lab.oracle.evidence import Evidence

# One is enough for a verdict; a guest controls how many there are.
MAX_LOSSES = 50
# Callers that are remembered at a time.
_MOST_CALLERS = 64

# The console prints this in place of the next record, on a line without prefix that may
# follow a program's unfinished one. Older kernels give it a prefix.
_DROPPED = re.compile(r"\*\* (?P<count>[0-9]+) printk messages dropped \*\*\s*$")
_KERNEL_RIP = re.compile(r"^RIP: 0010:")
# Registers after a line of the first kind were asked for, or are part of a stack trace.
# Lines of the second kind may be between the two.
_ASKED = re.compile(r"^(?:\s|Call Trace|sysrq:)")
_BETWEEN = re.compile(r"^(?:CPU: |Hardware name|Tainted: |RIP: |RSP: |Code: |$)")


@dataclass(frozen=True)
class Loss:
    """Text that is missing: `line` counts the console's lines, `at` is in the host's seconds."""

    line: int
    at: float
    why: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.why}" if self.line else self.why

    def to_json(self) -> dict[str, Any]:
        """Return plain data, for results."""
        return {"line": self.line, "at": round(self.at, 3), "why": self.why}

    def evidence(self) -> Evidence:
        """Return the loss as evidence."""
        return Evidence("loss", str(self), {"first_line": self.line}, self.at)


def loss_of(line: Line) -> Loss | None:
    """Return the loss of which a line alone is a sign, or None."""
    if line.damage:
        return Loss(line.number, line.at, f"the line is damaged: {line.damage}")
    dropped = _DROPPED.search(line.text)
    if dropped:
        why = f"the console skipped {dropped['count']} messages"
        return Loss(line.number, line.at, why)
    return None


class Orphans:
    """A detector of reports whose beginnings are missing.

    It reads the kernel's lines that belong to no open report, by caller.
    """

    def __init__(self) -> None:
        # By caller: were registers asked for, and did any come unasked?
        self._before: OrderedDict[str, tuple[bool, bool]] = OrderedDict()

    def take(self, line: Line) -> Loss | None:
        """Return the loss of which a line outside of all reports is a sign, or None."""
        if patterns.END_TRACE.match(line.text) or patterns.END_PANIC.match(line.text):
            self._before.pop(line.caller, None)
            return self._loss(line)
        asked, torn = self._before.pop(line.caller, (False, False))
        if torn and line.text.strip() == "</TASK>":
            return self._loss(line)
        torn = torn or (not asked and bool(_KERNEL_RIP.match(line.text)))
        if not _BETWEEN.match(line.text):
            asked = bool(_ASKED.match(line.text))
        self._before[line.caller] = (asked, torn)
        if len(self._before) > _MOST_CALLERS:
            self._before.popitem(last=False)
        return None

    def forget(self, caller: str) -> None:
        """Note that a caller begins a report, or ended one."""
        self._before.pop(caller, None)

    def _loss(self, line: Line) -> Loss:
        return Loss(line.number, line.at, "a report ends whose beginning is missing")
