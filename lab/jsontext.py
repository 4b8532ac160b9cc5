# SPDX-License-Identifier: GPL-2.0-only
"""Parse JSON that a guest or a stranger wrote; all flaws raise the same error."""

from __future__ import annotations

import json
import math
import re
from typing import Any

# A value that is printed or dumped again must not exhaust the interpreter's stack.
MAX_DEPTH = 32
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


def parse(text: str | bytes) -> Any:
    """Return the value of a JSON text whose numbers are all finite.

    Half a surrogate pair, which no file in UTF-8 can hold, becomes a question mark. Raises
    `ValueError` for all other text, also if it is nested too deep or a number has too many
    digits.
    """
    try:
        value = json.loads(text, parse_float=_finite, parse_constant=_finite)
    except RecursionError as error:
        raise ValueError("JSON that is nested too deep") from error
    _check_depth(value)
    if _SURROGATE.search(text.encode(errors="replace") if isinstance(text, str) else text):
        value = json.loads(json.dumps(value, ensure_ascii=False).encode(errors="replace"))
    return value


def _check_depth(value: Any) -> None:
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


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is no finite number")
    return number
