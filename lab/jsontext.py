# SPDX-License-Identifier: GPL-2.0-only
"""JSON that a guest or a stranger wrote: parsed, or refused in one way."""

from __future__ import annotations

import json
import math
from typing import Any

# What is printed or dumped again must not be deeper than the interpreter's own stack.
MAX_DEPTH = 32


def parse(text: str | bytes) -> Any:
    """Return the value of a JSON text whose numbers are all finite.

    Raises `ValueError` for all else, also for a text that is nested too deep or that has a
    number of too many digits.
    """
    try:
        value = json.loads(text, parse_float=_finite, parse_constant=_finite)
    except RecursionError as error:
        raise ValueError("JSON that is nested too deep") from error
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for one in level
            if isinstance(one, dict | list)
            for inner in (one.values() if isinstance(one, dict) else one)
        ]
    if level:
        raise ValueError("JSON that is nested too deep")
    return value


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is no finite number")
    return number
