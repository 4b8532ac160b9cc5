# SPDX-License-Identifier: GPL-2.0-only
"""The judge, on whose word it rests: `trust: host` takes no pass from the guest."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from lab.judge import judge
from lab.judge.finding import SOURCE_OF
from lab.judge.observation import Iteration, Observation, StepResult
from lab.oracle import machine
from lab.oracle.console.parser import Report
from lab.oracle.evidence import Trust
from lab.scenario.load import load_scenarios
from lab.scenario.model.scenario import Scenario
from lab.words import TOPICS, KernelState

Load = Callable[[str], Scenario]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def make(text: str) -> Scenario:
        path = tmp_path / "basic" / "case.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(textwrap.dedent(text))
        (scenario,) = load_scenarios(path)
        return scenario

    return make


def seen(scenario: Scenario, state: KernelState = "alive") -> Observation:
    """An item in which each step was done, five runs returned and a warning is reported."""
    iteration = Iteration()
    iteration.outcomes["returned"] = 5
    for number, step in enumerate(scenario.steps, 1):
        iteration.results.append(StepResult(step, f"step {number}", ended=True, status=0))
    return Observation(
        first=iteration,
        state=state,
        leaked=[],
        taint="W",
        counters={"oops": 0, "warn": 1},
        reports=[Report("warning", "WARNING: at f", ("line",), 1)],
    )


WARNS = """
    summary: A module warns
    extension: {module: faults}
    trust: host
    steps: [{load: main}, {shell: "echo warn > /fire"}, {unload: main}]
    expect: {reports: [warning], resources: any}
"""


def test_every_topic_has_a_source() -> None:
    assert set(SOURCE_OF) == set(TOPICS)


def test_a_pass_by_the_console_and_the_nonce_stands(load: Load) -> None:
    scenario = load(WARNS)
    found = judge(scenario, seen(scenario))
    assert (found.verdict, found.reasons) == ("passed", ())
    assert found.rests_on is not None
    assert found.rests_on.trust is Trust.CONSOLE


@pytest.mark.parametrize(
    ("expect", "named"),
    [
        ("{reports: [warning]}", "resources (counters in the guest)"),
        (
            "{reports: [warning], resources: released}",
            "resources (counters in the guest)",
        ),
        (
            "{reports: [warning], resources: any, counters: {warn: 1}}",
            "counter warn (counters in the guest)",
        ),
        (
            "{reports: [warning], resources: any, outcome: {rejected: 0}}",
            "outcome rejected (the loader's statistics)",
        ),
        ("{reports: [warning], resources: any, time: {at_most: 5}}", "(the guest's clock)"),
    ],
)
def test_a_pass_by_the_guests_word_is_an_error_that_names_it(
    load: Load, expect: str, named: str
) -> None:
    text = WARNS.replace("{reports: [warning], resources: any}", expect)
    scenario = load(text)
    found = judge(scenario, seen(scenario))
    assert found.verdict == "error"
    assert "passes only by the guest's word" in found.reasons[0]
    assert named in found.reasons[0]
    # Without `trust: host` the same passes, and says on what it rests.
    plain = load(text.replace("    trust: host\n", ""))
    found = judge(plain, seen(plain))
    assert found.verdict == "passed"
    assert found.rests_on is not None
    assert found.rests_on.trust < Trust.CONSOLE


@pytest.mark.parametrize(
    "step",
    [
        "{shell: {command: cat /x}, expect: {output: {contains: fine}}}",
        "{shell: {command: cat /x}, expect: {status: 0}}",
        "{console: [{send: hello}, {expect: hello}]}",
    ],
)
def test_what_a_step_is_held_to_is_the_guests_word(load: Load, step: str) -> None:
    text = WARNS.replace('{shell: "echo warn > /fire"}', step)
    scenario = load(text)
    observed = seen(scenario)
    for result in observed.first.results:
        result.output = "all is fine"
    assert judge(scenario, observed).verdict == "error"


def test_a_failure_stays_one_and_rests_on_its_most_trusted_finding(load: Load) -> None:
    scenario = load(WARNS.replace("resources: any", "resources: released"))
    observed = seen(scenario)
    observed.leaked, observed.reports = ["map 5"], []
    found = judge(scenario, observed)
    assert found.verdict == "failed"
    assert found.rests_on is not None
    assert found.rests_on.trust is Trust.CONSOLE


def test_a_crash_is_seen_by_qemu(load: Load) -> None:
    scenario = load(
        WARNS.replace("{reports: [warning], resources: any}", "{kernel: crashed, reports: [panic]}")
    )
    observed = seen(scenario, "crashed")
    observed.reports = [Report("panic", "Kernel panic", ("line",), 1)]
    observed.counters, observed.taint = {}, None
    observed.evidence = machine.evidence([("GUEST_PANICKED", {}, 1.0)], None, "")
    found = judge(scenario, observed)
    assert found.verdict == "passed"


def test_a_control_does_not_pass_by_the_guests_word_either(load: Load) -> None:
    scenario = load(
        WARNS
        + """
    controls:
      - {without: check, boot: [nocheck], fails: [resources, kernel], reason: it is off}
    """
    )
    scenario = scenario.model_copy(
        update={"expect": scenario.expect.model_copy(update={"resources": "released"})}
    )
    (control,) = scenario.controls
    observed = seen(scenario)
    observed.leaked = ["map 5"]
    assert judge(scenario, observed, control).verdict == "error"
    stalled = seen(scenario, "stalled")
    assert judge(scenario, stalled, control).verdict == "passed"


def test_findings_say_in_json_on_what_they_rest(load: Load) -> None:
    scenario = load(WARNS)
    kernel, *_ = judge(scenario, seen(scenario)).findings
    data = kernel.to_json()
    assert (data["rests_on"], data["trust"]) == ("a nonce over SSH", "wire_nonce")
