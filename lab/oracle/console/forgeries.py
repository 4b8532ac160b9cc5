# SPDX-License-Identifier: GPL-2.0-only
"""Forgeries: text that has the form of the kernel's reports and is not the kernel's.

A forgery is never believed, and never dropped in silence: if an extension or a
program imitates the kernel, that is a finding of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from lab.oracle.console import patterns
from lab.oracle.console.lines import Line, Origin, embedded, without_prefix
from lab.oracle.evidence import Evidence
from lab.oracle.rex.reports import is_head

# A guest controls how much it forges: keep this many, count all.
MAX_FORGERIES = 200
_MOST_TEXT = 300

# The means by which a forgery was recognised.
Means = Literal[
    "text",  # it has no prefix of the kernel
    "prefix",  # the kernel writes no such prefix
    "kmsg",  # the prefix has the facility of programs
    "embedded",  # it is inside a record, after what looks like a prefix
    "serial",  # the kernel's own log does not have it
]

_WORDS: dict[Means, str] = {
    "text": "a program wrote it to the console",
    "prefix": "the kernel writes no such prefix",
    "kmsg": "a program wrote it to /dev/kmsg",
    "embedded": "it is inside another record",
    "serial": "the kernel's own log does not have it",
}


@dataclass(frozen=True)
class Forgery:
    """Text in a report's form: `line` counts the console's lines, `at` is in the host's seconds."""

    line: int
    at: float
    text: str
    means: Means

    @property
    def why(self) -> str:
        """Describe how the text was recognised as a forgery."""
        return _WORDS[self.means]

    def __str__(self) -> str:
        return f"line {self.line}: {self.text!r} ({self.why})"

    def to_json(self) -> dict[str, Any]:
        """Return plain data, for results."""
        return {"line": self.line, "at": round(self.at, 3), "text": self.text, "means": self.means}

    def evidence(self) -> Evidence:
        """Return the forgery as evidence."""
        data = {"first_line": self.line, "text": self.text, "means": self.means}
        return Evidence("forgery", f"{self.why}: {self.text}", data, self.at)


def forgery_of(line: Line) -> Forgery | None:
    """Return the forgery in a line, or None."""
    text, means = _claim(line)
    return Forgery(line.number, line.at, text[:_MOST_TEXT], means) if text else None


def claims(text: str) -> bool:
    """Return True if a text begins as a report does, the kernel's or one on a native program."""
    return bool(patterns.opening_of(text) or patterns.CUT.match(text) or is_head(text))


def _claim(line: Line) -> tuple[str, Means]:
    if line.part:
        return (line.text if claims(line.text) else ""), "embedded"
    if line.origin is Origin.TEXT:
        rest = without_prefix(line.text)
        if rest is not None and claims(rest):
            return rest, "prefix"
        if claims(line.text):
            return line.text, "text"
    if line.origin is Origin.USER and claims(line.text):
        return line.text, "kmsg"
    for rest in embedded(line.text):
        if claims(rest):
            return rest, "embedded"
    return "", "embedded"
