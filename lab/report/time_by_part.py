# SPDX-License-Identifier: GPL-2.0-only
"""Summarize in one line how items spent their time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

# Waiting for a slot is not work: another item's guest occupies the slot meanwhile.
_IDLE = "wait"
# Do not report waits up to this many seconds in total.
_MOST_IDLE = 1.0


def time_by_part(items: Iterable[Mapping[str, float]]) -> str:
    """Return the total seconds of each part of the items (`start`: get a guest), with its share.

    Waiting for slots comes last, without a share.
    """
    total: Counter[str] = Counter()
    count, idle = 0, 0.0
    for parts in items:
        count += 1
        idle += parts.get(_IDLE, 0.0)
        total.update({name: seconds for name, seconds in parts.items() if name != _IDLE})
    whole = sum(total.values()) or 1.0
    shown = [
        f"{name} {seconds:.1f} s ({100 * seconds / whole:.0f} %)" for name, seconds in total.items()
    ]
    waited = f"; also waited for a slot: {idle:.1f} s" if idle > _MOST_IDLE else ""
    return f"time of {count} items by part: {', '.join(shown)}{waited}"
