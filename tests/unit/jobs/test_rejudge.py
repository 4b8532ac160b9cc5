# SPDX-License-Identifier: GPL-2.0-only
"""`lab judge`: a dossier is judged again by its scenario as it is now."""

from __future__ import annotations

from pathlib import Path

import pytest
from harness import observations
from typer.testing import CliRunner

from lab.cli.main import app
from lab.errors import UserError
from lab.judge import judge
from lab.report.dossier import OBSERVATION
from lab.report.record import record
from lab.runner.attempt import Attempt
from lab.scenario.items import items
from lab.scenario.load import load_scenarios

SCENARIO = """\
summary: A shell line works
steps: [{shell: "true", expect: {status: 0}}]
expect: {kernel: alive}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "basic" / "case.yaml"
    path.parent.mkdir()
    path.write_text(SCENARIO)
    return path


@pytest.fixture
def dossier(file: Path, tmp_path: Path) -> Path:
    (scenario,) = load_scenarios(file)
    (item,) = items(scenario)
    seen = observations.good(scenario)
    attempt = Attempt(item, "6.12", seen, [], 1.0, {})
    result = record(tmp_path / "results", attempt, judge(scenario, seen), keep=True)
    assert result.verdict == "passed"
    return Path(result.dossier)


def test_the_same_scenario_gives_the_same_verdict(dossier: Path) -> None:
    found = CliRunner().invoke(app, ["judge", str(dossier)])
    assert found.exit_code == 0, found.output
    assert found.output == "passed  basic/case@stock  (as before)\n"


def test_another_expectation_gives_another_verdict(dossier: Path, file: Path) -> None:
    file.write_text(SCENARIO.replace("status: 0", "status: 1"))
    found = CliRunner().invoke(app, ["judge", str(dossier)])
    assert found.exit_code == 1
    assert "failed  basic/case@stock  (it was passed)" in found.output
    assert "expected 1, but it was 0" in found.output


def test_a_scenario_that_moved_is_named(dossier: Path, file: Path, tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere" / "basic" / "case.yaml"
    moved.parent.mkdir(parents=True)
    file.rename(moved)
    found = CliRunner().invoke(app, ["judge", str(dossier)])
    assert isinstance(found.exception, UserError)
    assert "--scenario" in found.exception.hint
    found = CliRunner().invoke(app, ["judge", str(dossier), "--scenario", str(moved)])
    assert found.exit_code == 0, found.output


def test_a_folder_without_an_observation_is_refused(dossier: Path, tmp_path: Path) -> None:
    (dossier / OBSERVATION).unlink()
    found = CliRunner().invoke(app, ["judge", str(dossier)])
    assert isinstance(found.exception, UserError)
    assert "observation.json" in found.exception.message
    found = CliRunner().invoke(app, ["judge", str(tmp_path)])
    assert isinstance(found.exception, UserError)
    assert "result.json" in found.exception.message


@pytest.mark.parametrize("text", ["[]", '"x"', "[" * 100_000, "{}"])
def test_a_bad_result_does_not_hide_the_other_dossiers(
    dossier: Path, tmp_path: Path, text: str
) -> None:
    (tmp_path / "result.json").write_text(text)
    found = CliRunner().invoke(app, ["judge", str(tmp_path), str(dossier)])
    assert isinstance(found.exception, UserError)
    assert "passed  basic/case@stock" in found.output
