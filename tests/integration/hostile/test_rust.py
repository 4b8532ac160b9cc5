# SPDX-License-Identifier: GPL-2.0-only
"""A Rust extension attacks those who read what it writes: the verdict is right."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from lab.guest.forks import Forks
from lab.jobs.session import Session
from lab.report.result import Result, explain
from lab.runner.catalog import catalog_of
from lab.runner.plan import Planner
from lab.runner.pool import Pool
from lab.scenario.items import items
from lab.scenario.load import load_scenarios
from lab.workspace import Workspace

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


@pytest.fixture
def judged(planner: Planner, tmp_path: Path) -> Callable[[str], Result]:
    """Run a scenario's text and keep its dossier."""

    def run(text: str) -> Result:
        path = tmp_path / "hostile" / "case.yaml"
        path.parent.mkdir()
        path.write_text(textwrap.dedent(text))
        (scenario,) = load_scenarios(path, catalog_of(Workspace.default()))
        (item,) = items(scenario)
        pool = Pool(Forks(planner.cache), tmp_path / "slots")
        return Session(planner, pool, folder=tmp_path / "results", keep=True).run(item)

    return run


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
