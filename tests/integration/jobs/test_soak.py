# SPDX-License-Identifier: GPL-2.0-only
"""Run soaks on real guests: a short soak passes, and one without a protection fails."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from lab.cache import Cache
from lab.guest.forks import Forks
from lab.jobs.soak.options import SoakOptions, SoakResult
from lab.jobs.soak.run import Soak
from lab.report.result import Result
from lab.runner.catalog import catalog_of
from lab.runner.plan import Planner
from lab.scenario.load import load_scenarios
from lab.workspace import Workspace

pytestmark = pytest.mark.integration

FLAVOR = os.environ.get("LAB_REX_FLAVOR", "rex")
# The first round of this seed has all programs, and a CPU that is taken down and up.
SEED = 8
SECONDS = 25.0


def soak(planner: Planner, folder: Path, options: SoakOptions) -> SoakResult:
    return Soak(planner, Forks(Cache.default()), options, folder=folder).run()


def test_a_short_soak_is_clean(planner: Planner, tmp_path: Path) -> None:
    done = soak(planner, tmp_path, SoakOptions(SEED, SECONDS / 60, FLAVOR))
    assert done.verdict == "passed", (done.reasons, done.result)
    assert done.result is None
    assert len(done.rounds) >= 2
    assert [one["round"] for one in done.rounds] == list(range(1, len(done.rounds) + 1))
    for ending in ("returned", "panicked", "faulted", "terminated", "overflowed"):
        assert done.totals[ending] > 0, ending
    assert done.totals["runs"] > 1000
    assert done.totals["repaired"] == 0
    assert done.totals["leaked_task"] > 0
    assert done.behaviours["panic"] > 0
    assert len(done.gauges) == len(done.rounds)
    data = json.loads(json.dumps(done.as_data()))
    assert data["version"] == 1
    assert data["seed"] == SEED
    assert data["totals"]["runs"] == done.totals["runs"]
    assert not list(tmp_path.iterdir())  # no dossier


def test_without_the_ledger_it_is_red(planner: Planner, tmp_path: Path) -> None:
    """Programs then leak what they hold at their end; a soak must notice it sooner or later."""
    done = soak(planner, tmp_path, SoakOptions(SEED, 3.0, FLAVOR, without=("ledger",)))
    assert done.verdict == "failed"
    assert done.reasons
    result = done.result
    assert result is not None
    assert any(re.search(r"rex \w+ \d+|stalled|RCU stall|lockup|rex:", why) for why in done.reasons)
    assert "--without ledger" in result.rerun
    assert f"--seed {SEED}" in result.rerun
    dossier = Path(result.dossier)
    assert f"lab soak --seed {SEED}" in (dossier / "README.txt").read_text().replace(
        "lab.sh", "lab"
    )
    assert "rex: " in (dossier / "console.log").read_text()
    # The dossier has the round as the data of a scenario.
    facts = json.loads((dossier / "host.json").read_text())
    assert facts["round"]["extensions"]["main"]["rust"] == "soak"
    assert done.file == dossier / "round.yaml"
    (scenario,) = load_scenarios(done.file, catalog_of(Workspace.default()))
    assert scenario.kernels == (FLAVOR,)
    written = (tmp_path / "results.jsonl").read_text()
    assert Result.from_json(written).verdict == "failed"


def test_without_the_check_of_the_stack_it_is_red(planner: Planner, tmp_path: Path) -> None:
    done = soak(planner, tmp_path, SoakOptions(SEED, 3.0, FLAVOR, without=("stack",)))
    assert done.verdict == "failed"
    assert any("bytes of each stack never to be used" in why for why in done.reasons)


def test_figures_of_a_dead_kernel_are_unknown(planner: Planner, tmp_path: Path) -> None:
    """After a recursion without check and guard, no guest is left that knows what ran."""
    done = soak(planner, tmp_path, SoakOptions(SEED, 3.0, FLAVOR, without=("stack", "guard")))
    assert done.verdict == "failed"
    # It dies by a double fault in most places, and by a lock that is never released in others.
    assert any("is crashed" in why or "is stalled" in why for why in done.reasons)
    assert done.unknown == [len(done.rounds)]
    data = json.loads(json.dumps(done.as_data()))
    assert data["rounds"][-1]["counts"] is None
    assert (data["totals"] is None) == (len(done.rounds) == 1)


def test_one_round_alone(planner: Planner, tmp_path: Path) -> None:
    done = soak(planner, tmp_path, SoakOptions(SEED, 1.0, FLAVOR, only=2))
    assert done.verdict == "passed", done.reasons
    assert [one["round"] for one in done.rounds] == [2]
    assert done.options.line().endswith("--round 2")
