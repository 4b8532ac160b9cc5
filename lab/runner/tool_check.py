# SPDX-License-Identifier: GPL-2.0-only
"""The check of a guest's tools: what the lab relies on is at the end what it was at first."""

from __future__ import annotations

from lab.deadline import scaled
from lab.guest.guest import READ_SECONDS, Guest
from lab.oracle import tools


class ToolCheck:
    """Looks at a guest's tools before the first step; `end` looks again."""

    def __init__(self, guest: Guest) -> None:
        self._guest = guest
        self._before = self._look()

    def end(self) -> None:
        """Raise `InfraError` that names what changed, or that the witness is not the same."""
        tools.check(self._before, self._look())

    def _look(self) -> tools.Tools:
        return tools.parse(self._guest.witness.seal(scaled(READ_SECONDS)))
