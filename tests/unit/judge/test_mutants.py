# SPDX-License-Identifier: GPL-2.0-only
"""Each expectation, inverted or without the data it is about, fails an item."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from harness import judged_again, mutants
from harness import observations as judged

from lab.extension.symbolise import Frame
from lab.judge import judge
from lab.judge.extension_reports import ExtensionReport
from lab.judge.observation import Observation
from lab.oracle.rex.reports import RexReport
from lab.scenario.items import switched_off
from lab.scenario.model.scenario import Scenario
from lab.words import Verdict


def good_stall(scenario: Scenario) -> Observation:
    seen = judged.good(scenario)
    seen.state, seen.second = "stalled", None
    seen.reports = [judged.report("soft-lockup")]
    return seen


def good_report(scenario: Scenario) -> Observation:
    seen = judged.good(scenario)
    panic = RexReport("deep", 7, "panicked", 1, "no", "src/lib.rs:9", (0x10,))
    frame = Frame(0x10, "panics::deep", "src/lib.rs", 9)
    seen.extension_reports = [ExtensionReport(panic, None, (frame,))]
    return seen


def good_rejection(scenario: Scenario) -> Observation:
    seen = judged.good(scenario)
    seen.first = judged.one_iteration(scenario, 0)
    loaded = judged.result_of(seen, "load")
    loaded.outcomes["rejected"] = seen.first.outcomes["rejected"] = 1
    loaded.problem, loaded.log = "load: E2BIG", "BPF program is too large."
    return seen


CASES: dict[str, tuple[str, Callable[[Scenario], Observation]]] = {
    "short": (judged.SHORT, judged.good),
    "steps": (judged.STEPS, judged.good_steps),
    "rex": (judged.REX, judged.good_rex),
    "received": (judged.RECEIVED, judged.good_received),
    "stalled": (judged.STALLED, good_stall),
    "reported": (judged.REPORTED, good_report),
    "rejected": (judged.REJECTED, good_rejection),
}


@pytest.mark.parametrize("name", CASES)
def test_no_mutant_survives(load: Callable[[str], Scenario], name: str) -> None:
    text, make = CASES[name]
    scenario = load(text)
    seen = make(scenario)
    assert judge(scenario, seen).verdict == "passed", judge(scenario, seen).reasons
    number, survivors = mutants.survivors(scenario, seen)
    assert number > 10
    assert survivors == []


def test_no_mutant_of_a_control_survives(load: Callable[[str], Scenario]) -> None:
    control = judged.control()
    scenario = switched_off(load(judged.SHORT), judged.protection())
    seen = judged.good(scenario)
    judged.break_leak(seen)
    assert judge(scenario, seen, control).verdict == "passed"
    assert mutants.survivors(scenario, seen, control) == (4, [])


@pytest.mark.parametrize(
    ("blind_to", "survives"),
    [
        ("maps", "expect.maps.a.counts[0] 2"),
        ("step 2", "step.trigger.returns 5"),
        ("kernel", "expect.kernel crashed"),
        ("resources", "seen.resources unread"),
    ],
)
def test_a_judge_that_looks_away_is_noticed(
    load: Callable[[str], Scenario],
    monkeypatch: pytest.MonkeyPatch,
    blind_to: str,
    survives: str,
) -> None:
    scenario = load(judged.STEPS)

    def looks_away(*arguments: Any) -> Any:
        found = judge(*arguments)
        seen = [one for one in found.findings if not one.what.startswith(blind_to)]
        verdict: Verdict = "passed" if all(one.holds for one in seen) else "failed"
        return type(found)(verdict, tuple(seen))

    monkeypatch.setattr(mutants, "judge", looks_away)
    assert survives in mutants.survivors(scenario, judged.good_steps(scenario))[1]


def test_what_may_survive_has_a_reason() -> None:
    assert all(len(reason) > 20 for reason in mutants.ACCEPTED.values())


def test_the_plugin_writes_the_survivors_of_each_item(
    load: Callable[[str], Scenario], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAB_MUTANTS", str(tmp_path / "mutants"))
    scenario = load(judged.SHORT)
    seen = judged.good(scenario)
    assert judged_again.judge_again(scenario, seen).verdict == "passed"
    seen.state = "crashed"
    assert judged_again.judge_again(scenario, seen).verdict == "failed"
    (line,) = judged_again.read(tmp_path / "mutants")
    assert line["item"] == "basic/case"
    assert line["mutants"] > 10
    assert line["survivors"] == []
