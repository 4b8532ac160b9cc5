# SPDX-License-Identifier: GPL-2.0-only
"""Find the console reports that a scenario does not allow: by kind and number, not by pattern."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lab.oracle.console.parser import Report
from lab.words import ReportKind


@dataclass(frozen=True)
class Allowance:
    """A kind of report that is allowed: at most `at_most` of them, any number if None."""

    kind: ReportKind
    reason: str
    at_most: int | None = None


def unallowed(reports: Sequence[Report], allowances: Iterable[Allowance]) -> list[Report]:
    """Return the reports that no allowance covers, in their order.

    An allowance of a wider kind (`oops`) covers its special cases. A narrow
    allowance is used up first, so that the wider one is left for the rest.
    """
    entries = list(allowances)
    left = {index: entry.at_most for index, entry in enumerate(entries)}
    refused = []
    for report in reports:
        fitting = [
            index
            for index, entry in enumerate(entries)
            if entry.kind in report.kinds and left[index] != 0
        ]
        fitting.sort(key=lambda index: (entries[index].kind != report.kind, left[index] is None))
        if not fitting:
            refused.append(report)
            continue
        remaining = left[fitting[0]]
        if remaining is not None:
            left[fitting[0]] = remaining - 1
    return refused


def missing(reports: Iterable[Report], wanted: Iterable[ReportKind]) -> list[ReportKind]:
    """Return the wanted kinds of which there is no report."""
    seen: set[ReportKind] = set()
    for report in reports:
        seen |= report.kinds
    return [kind for kind in wanted if kind not in seen]
