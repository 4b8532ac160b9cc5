# SPDX-License-Identifier: GPL-2.0-only
"""Check that a guest's tools, which the lab relies on, are the same at the end as at first."""

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
