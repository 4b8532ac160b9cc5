# SPDX-License-Identifier: GPL-2.0-only
"""Compare a text with a file of the expected text."""

from __future__ import annotations

import os
from pathlib import Path


def check_text(golden: Path, text: str) -> None:
    """Fail if `text` differs from the file; with UPDATE_GOLDEN=1, write the file instead."""
    if os.environ.get("UPDATE_GOLDEN") == "1":
        golden.write_text(text)
    assert text == golden.read_text()
