# SPDX-License-Identifier: GPL-2.0-only
"""Settings of a scenario and of its controls: made before the first step, undone after the last."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lab.deadline import Deadline
from lab.guest.guest import Guest
from lab.runner import shell_lines
from lab.runner.steps import StepDriver
from lab.scenario.items import Item, items
from lab.scenario.load import load_scenarios

SCENARIO = """
summary: A protection holds
set: {debug: {rex/level: 5}}
steps: [{shell: "cat unprotected level", expect: {output: {contains: "0"}}}]
expect: {kernel: alive}
controls:
  - {without: faults, set: {debug: {rex/unprotected: 2}}, fails: [steps], reason: it is bit two}
  - {without: nothing, set: {debug: {rex/missing/file: 1}}, reason: there is no such file}
"""


@pytest.fixture
def knobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that stands for debugfs' `rex`, with what its files hold by default."""
    folder = tmp_path / "debug" / "rex"
    folder.mkdir(parents=True)
    (folder / "unprotected").write_text("0\n")
    (folder / "level").write_text("1\n")
    monkeypatch.setattr(shell_lines, "debug_path", lambda name: str(tmp_path / "debug" / name))
    return folder


@pytest.fixture
def drive(tmp_path: Path, knobs: Path) -> Callable[[Item], StepDriver]:
    """Does an item's steps in this machine's shell."""

    def run(command: str, *_: Any) -> Any:
        done = subprocess.run(
            ["sh", "-c", command], cwd=knobs, capture_output=True, text=True, check=False
        )
        return SimpleNamespace(
            status=done.returncode,
            ok=done.returncode == 0,
            stdout=done.stdout,
            stderr=done.stderr,
            seconds=0.1,
            truncated=False,
        )

    machine = SimpleNamespace(by_faster_clock=lambda _seconds, outer: outer)
    guest: Any = SimpleNamespace(run=run, machine=machine, _witness=None, _witness_lost=False)
    guest.read_files = lambda paths, limit=None: Guest.read_files(guest, paths, limit)

    def drive(item: Item) -> StepDriver:
        driver = StepDriver(guest, {}, {}, {}, Deadline(20))
        driver.run(item.scenario.steps)
        return driver

    return drive


@pytest.fixture
def found(tmp_path: Path) -> list[Item]:
    path = tmp_path / "basic" / "case.yaml"
    path.parent.mkdir()
    path.write_text(SCENARIO)
    (scenario,) = load_scenarios(path)
    return items(scenario)


def test_a_controls_debug_knob_is_set_behind_the_scenarios_own_and_undone(
    found: list[Item], drive: Callable[[Item], StepDriver], knobs: Path
) -> None:
    plain, control, _ = found
    assert [step.verb for step in control.scenario.steps] == ["set", "set", "shell"]
    for item, holds in ((plain, "0\n5\n"), (control, "2\n5\n")):
        driver = drive(item)
        results = driver.iteration.results
        assert [result.problem for result in results if result.step.verb == "set"] == [""] * (
            len(results) - 1
        )
        assert results[-1].output == holds
        driver.clean_up()
        assert (knobs / "unprotected").read_text() == "0\n"
        assert (knobs / "level").read_text() == "1\n"


def test_a_knob_that_is_not_there_is_said(
    found: list[Item], drive: Callable[[Item], StepDriver]
) -> None:
    driver = drive(found[2])
    controls = driver.iteration.results[1]
    assert "rex/missing/file can't be set to 1" in controls.problem
    assert controls.ended
    driver.clean_up()
