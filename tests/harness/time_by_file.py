# SPDX-License-Identifier: GPL-2.0-only
"""Add up how long the tests of each file took."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

# Files that took less are shown as one line (seconds).
LEAST_SHOWN = 5.0


@dataclass
class _Sum:
    seconds: float = 0.0
    tests: int = 0

    def add(self, other: _Sum) -> None:
        self.seconds += other.seconds
        self.tests += other.tests

    def line(self, name: str) -> str:
        return f"{self.seconds:9.1f} s {self.tests:6} {name}"


def time_by_file(phases: Iterable[tuple[str, str, float]]) -> list[str]:
    """Return a table of seconds and tests by file, the longest first; empty for a short run.

    A phase is a test's node id, `setup`, `call` or `teardown`, and its seconds. Workers
    run at the same time, so that the sum is more than the time that passed.
    """
    files: defaultdict[str, _Sum] = defaultdict(_Sum)
    for nodeid, phase, seconds in phases:
        # Each test has a setup; a skipped one has no call.
        files[nodeid.partition("::")[0]].add(_Sum(seconds, phase == "setup"))
    shown = {name: one for name, one in files.items() if one.seconds >= LEAST_SHOWN}
    if not shown:
        return []
    total, rest = _Sum(), _Sum()
    for name, one in files.items():
        total.add(one)
        if name not in shown:
            rest.add(one)
    lines = [
        one.line(name) for name, one in sorted(shown.items(), key=lambda pair: -pair[1].seconds)
    ]
    if len(shown) < len(files):
        lines.append(rest.line(f"({len(files) - len(shown)} other files)"))
    return [*lines, total.line("(sum over all workers)")]
