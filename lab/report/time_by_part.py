# SPDX-License-Identifier: GPL-2.0-only
"""Where the time of items went, in one line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

# Waiting for a slot is no work: another item has the guest's place meanwhile.
_IDLE = "wait"
# Seconds of it that are not worth a word.
_MOST_IDLE = 1.0


def time_by_part(items: Iterable[Mapping[str, float]]) -> str:
    """The seconds of all items by part (`start`: having their guests), and each part's share.

    What they waited for slots comes behind, and has no share.
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
    waited = f"; besides, wait for a slot {idle:.1f} s" if idle > _MOST_IDLE else ""
    return f"time of {count} items by part: {', '.join(shown)}{waited}"
