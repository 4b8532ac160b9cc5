# SPDX-License-Identifier: GPL-2.0-only
"""Folders of the tests."""

from __future__ import annotations

from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent
GOLDEN = TESTS / "golden"
