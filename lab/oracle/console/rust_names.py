# SPDX-License-Identifier: GPL-2.0-only
"""Readable names of Rust symbols: the identifiers in a mangled name, in its order.

The form is Rust's `v0` (RFC 2603). Generic arguments and types of implementations
are not separated from the path: the names are for people, not for a linker.
"""

from __future__ import annotations

import re

_MANGLED = re.compile(r"_R[A-Z]")
# Disambiguators (`s_`, `s4x_`) and back references (`B5_`).
_SKIPPED = re.compile(r"[sB][0-9a-zA-Z]*_")
_IDENTIFIER = re.compile(r"u?(\d+)_?")


def identifiers(symbol: str) -> list[str]:
    """Return the identifiers in a mangled name; none for any other name."""
    if not _MANGLED.match(symbol):
        return []
    found: list[str] = []
    position = 2
    while position < len(symbol):
        skipped = _SKIPPED.match(symbol, position)
        if skipped:
            position = skipped.end()
            continue
        length = _IDENTIFIER.match(symbol, position)
        if length is None:
            position += 1
            continue
        end = length.end() + int(length[1])
        found.append(symbol[length.end() : end])
        position = end
    return [name for name in found if name]


def readable(symbol: str) -> str:
    """Return a symbol's name as a path if it is a mangled Rust name, else unchanged."""
    return "::".join(identifiers(symbol)) or symbol
