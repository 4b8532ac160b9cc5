# SPDX-License-Identifier: GPL-2.0-only
"""A Rust extension attacks those who read what it writes: the verdict is right."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lab.report.result import Result, explain

pytestmark = pytest.mark.integration

SCENARIO = """
    summary: Rust writes what it likes
    extension: {rust: hostile, programs: [nasty]}
    steps:
      - load: main
      - attach: main
      - trigger: {syscall: getpgid, times: 2}
      - unload: main
    expect:
      outcome: {panicked: 2}
      extension_report: {count: 4, contains: "nasty:"}
      reusable: true
"""


def test_what_rust_writes_neither_forges_nor_steers(judged: Callable[[str], Result]) -> None:
    result = judged(SCENARIO)
    assert result.verdict == "passed", explain(result)
    files = [path for path in Path(result.dossier).iterdir() if path.is_file()]
    for text in (explain(result), *(file.read_text(encoding="utf-8") for file in files)):
        assert not set("\x1b\x07\x9b\u202e") & set(text)


def test_a_flood_that_overwrites_the_log_is_an_error(judged: Callable[[str], Result]) -> None:
    """A report could be among what is lost."""
    text = SCENARIO.replace("nasty]", "flood]").replace("getpgid, times: 2", "getppid, times: 4")
    result = judged(text.replace("panicked: 2", "terminated: 4").replace("count: 4, ", ""))
    assert result.verdict != "passed"
    files = [path for path in Path(result.dossier).iterdir() if path.is_file()]
    assert sum(file.stat().st_size for file in files) < 64 << 20


def test_counters_that_root_resets_are_not_believed(judged: Callable[[str], Result]) -> None:
    reset = "- shell: echo 1 > /sys/kernel/debug/rex/reset\n      - unload: main"
    text = SCENARIO.replace("- unload: main", reset)
    result = judged(
        text.replace("reusable: true", "rex: {repaired: 0}").replace("count: 4", "count: 2")
    )
    assert result.verdict == "error"
    assert "rex/reset" in "\n".join(result.reasons)
