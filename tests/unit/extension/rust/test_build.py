# SPDX-License-Identifier: GPL-2.0-only
"""Test that the key of a Rust extension covers more than its sources."""

from __future__ import annotations

from lab.extension.rust import build


def test_the_rules_of_the_lab_are_in_the_key() -> None:
    names = {path.name for path in build._RULES}
    assert {"build.py", "frames.py", "image.py", "rules.py", "source.py", "toolchain.py"} <= names
