# SPDX-License-Identifier: GPL-2.0-only
"""Set sysctls and debug knobs for an item, and undo them after it."""

from __future__ import annotations

from lab.deadline import Deadline
from lab.guest.guest import Guest
from lab.runner import shell_lines
from lab.scenario.model.steps import Settings


def apply(guest: Guest, wanted: Settings, undo: list[tuple[str, str]], limit: Deadline) -> str:
    """Set all values and add the old ones to `undo`; return an error text, or ""."""
    targets = {shell_lines.sysctl_path(name): value for name, value in wanted.sysctl.items()}
    targets |= {shell_lines.debug_path(name): value for name, value in wanted.debug.items()}
    old = guest.read_files(list(targets), limit)
    for path, value in targets.items():
        before = old[path]
        done = guest.run(shell_lines.write_line(path, shell_lines.scalar_text(value)), limit)
        if not done.ok:
            return f"{path} can't be set to {value}: {done.stderr.strip()}"
        if before is not None:
            undo.append((path, before.strip()))
    return ""
