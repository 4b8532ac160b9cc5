# SPDX-License-Identifier: GPL-2.0-only
"""Check that the tools in a guest on which the lab relies do not change during an item."""

from __future__ import annotations

from lab.deadline import scaled
from lab.guest.guest import READ_SECONDS, Guest
from lab.oracle import tampering


class ToolCheck:
    """A check of a guest's tools, once before the first step and again in `end`."""

    def __init__(self, guest: Guest) -> None:
        self._guest = guest
        self._before = self._look()

    def end(self) -> None:
        """Raise `InfraError` that names what changed, or that the witness is not the same."""
        tampering.check(self._before, self._look())

    def _look(self) -> tampering.Tools:
        return tampering.parse(self._guest.witness.seal(scaled(READ_SECONDS)))
