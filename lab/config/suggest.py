# SPDX-License-Identifier: GPL-2.0-only
"""Suggest the word that a mistyped word was probably meant to be."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

# A longer text is not a mistyped word; and the time of the comparison is quadratic.
_LONGEST = 80


def closest(word: object, known: Iterable[object], *, cutoff: float = 0.6) -> str | None:
    """Return the known word that is most like `word`, or None if none is similar.

    `cutoff` is how similar they must be, from 0 to 1, as `difflib` measures it.
    """
    text = str(word)
    if len(text) > _LONGEST:
        return None
    choices = {str(choice).lower(): str(choice) for choice in known}
    plain = text.lower().replace("_", "-")
    # `soft_lockup` and `Soft-Lockup` mean `soft-lockup`, regardless of the ratio.
    for lowered, choice in choices.items():
        if lowered.replace("_", "-") == plain and choice != text:
            return choice
    found = difflib.get_close_matches(text.lower(), choices, n=1, cutoff=cutoff)
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


def hint(word: object, known: Iterable[object], *, label: str = "there are") -> str:
    """Return `did you mean 'x'?`, or else `label` and all known words: the hint of an error."""
    words = [str(choice) for choice in known]
    choice = closest(word, words)
    if choice is not None:
        return f"did you mean '{choice}'?"
    return f"{label}: {', '.join(words) or 'none'}"
