# SPDX-License-Identifier: GPL-2.0-only
"""Suggest the word that a mistyped word was probably meant to be."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

# A longer text is not a mistyped word; and the time of the comparison is quadratic.
_LONGEST = 80


def closest(word: object, known: Iterable[object]) -> str | None:
    """Return the known word that is most like `word`, or None if none is similar."""
    text = str(word)
    if len(text) > _LONGEST:
        return None
    choices = {str(choice).lower(): str(choice) for choice in known}
    plain = text.lower().replace("_", "-")
    # `soft_lockup` and `Soft-Lockup` mean `soft-lockup`, regardless of the ratio.
    for lowered, choice in choices.items():
        if lowered.replace("_", "-") == plain and choice != text:
            return choice
    found = difflib.get_close_matches(text.lower(), choices, n=1, cutoff=0.6)
    return choices[found[0]] if found and choices[found[0]] != text else None


def did_you_mean(word: object, known: Iterable[object], *, most: int = 12) -> str:
    """Return the end of a message: `; did you mean 'x'?`, or the known words if they are few."""
    words = [str(choice) for choice in known]
    choice = closest(word, words)
    if choice is not None:
        return f"; did you mean '{choice}'?"
    if 0 < len(words) <= most:
        return f" (known: {', '.join(words)})"
    return ""
