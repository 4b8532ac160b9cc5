# SPDX-License-Identifier: GPL-2.0-only
"""What a mistyped word was probably meant to be."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

# Nobody mistypes a word into a text much longer than it; and the comparison is quadratic.
_LONGEST = 80


def closest(word: object, known: Iterable[object]) -> str | None:
    """The known word that is most like `word`, or None if none is like it."""
    text = str(word)
    if len(text) > _LONGEST:
        return None
    choices = {str(choice).lower(): str(choice) for choice in known}
    plain = text.lower().replace("_", "-")
    # `soft_lockup` and `Soft-Lockup` are `soft-lockup`, whatever the ratio says.
    for lowered, choice in choices.items():
        if lowered.replace("_", "-") == plain and choice != text:
            return choice
    found = difflib.get_close_matches(text.lower(), choices, n=1, cutoff=0.6)
    return choices[found[0]] if found and choices[found[0]] != text else None


def did_you_mean(word: object, known: Iterable[object], *, most: int = 12) -> str:
    """`; did you mean 'x'?`, or else the known words if they are few; it ends a message."""
    words = [str(choice) for choice in known]
    choice = closest(word, words)
    if choice is not None:
        return f"; did you mean '{choice}'?"
    if 0 < len(words) <= most:
        return f" (known: {', '.join(words)})"
    return ""
