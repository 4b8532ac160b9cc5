# SPDX-License-Identifier: GPL-2.0-only
"""Recognise two records whose bytes are mixed, as two writers print on one console.

No record can be recovered from such a line. Its beginning shows the mix: it is a
shuffle of two prefixes, each with its characters in the right order, with those
of the other between them.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterator

# Prefixes are shorter than this.
_MOST = 120
_BEGINS = re.compile(r"^[<\[][][<>0-9. CT]{15}")

# A part of a prefix: the characters that it takes, and how many of them.
_Part = tuple[str, int, int]
_MANY = 10


def parts(priority: bool, stamp: bool, caller: bool) -> tuple[_Part, ...]:
    """Return the parts of a prefix, in order: `<4>`, `[    5.000000]`, `[   T77]`."""
    digits = string.digits
    found: list[_Part] = []
    if priority:
        found += [("<", 1, 1), (digits, 1, 3), (">", 1, 1)]
    if stamp:
        found += [("[", 1, 1), (" ", 0, 5), (digits, 1, _MANY), (".", 1, 1), (digits, 6, 6)]
        found += [("]", 1, 1)]
    if caller:
        found += [("[", 1, 1), (" ", 0, 5), ("CT", 1, 1), (digits, 1, _MANY), ("]", 1, 1)]
    return tuple(found)


def is_mixed(text: str, prefix: tuple[_Part, ...]) -> bool:
    """Return True if a line begins with two prefixes, mixed character by character."""
    if not prefix or not _BEGINS.match(text):
        return False
    # The possible positions of two readers: the part, and how much of it was taken.
    start = (0, 0)
    places = {(start, start)}
    for character in text[:_MOST]:
        places = {
            (min(moved, other), max(moved, other))
            for one, two in places
            for mover, other in ((one, two), (two, one))
            for moved in _moves(mover, character, prefix)
        }
        # The reader that is behind has come too far for this to be a bracket that a program left.
        if any(_ended(two, prefix) and one[0] > 1 for one, two in places):
            return True
        if not places:
            return False
    return False


def _moves(
    place: tuple[int, int], character: str, prefix: tuple[_Part, ...]
) -> Iterator[tuple[int, int]]:
    part, taken = place
    while part < len(prefix):
        characters, least, most = prefix[part]
        if character in characters and taken < most:
            yield part, taken + 1
        if taken < least:
            return
        part, taken = part + 1, 0


def _ended(place: tuple[int, int], prefix: tuple[_Part, ...]) -> bool:
    part, taken = place
    return part == len(prefix) - 1 and taken >= prefix[part][1]
