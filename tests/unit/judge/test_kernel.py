# SPDX-License-Identifier: GPL-2.0-only
"""The judge fails `resources` for what modules left, with the cause first."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from lab.errors import InfraError
from lab.judge import judge
from lab.judge.observation import Iteration, Observation, StepResult
from lab.oracle.console.parser import Report
from lab.oracle.modules.reports import Cause
from lab.scenario.load import load_scenarios
from lab.scenario.model.scenario import Scenario

MODULE = """
    summary: A module is loaded and unloaded
    extension: {module: hello}
    steps:
      - load: main
      - shell: "true"
        expect: {status: 0}
      - unload: main
    expect: {resources: RESOURCES}
"""
LEAK = "12 objects of 1 KiB, allocated in pf_write (pf), are not freed"
ARMED = "a timer of pf (function tick) is still armed"


@pytest.fixture
def load(tmp_path: Path) -> Callable[[str], Scenario]:
    def make(resources: str) -> Scenario:
        path = tmp_path / "basic" / "case.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(textwrap.dedent(MODULE.replace("RESOURCES", resources)))
        (scenario,) = load_scenarios(path)
        return scenario

    return make


def good(scenario: Scenario) -> Observation:
    iteration = Iteration()
    for number, step in enumerate(scenario.steps, 1):
        result = StepResult(step, f"step {number}", ended=True)
        result.status = 0
        iteration.results.append(result)
    return Observation(
        first=iteration, state="alive", leaked=[], taint="", counters={"oops": 0, "warn": 0}
    )


def warning(text: str = "WARNING in debug_print_object") -> Report:
    return Report("warning", text, ("line",), 1)


def test_a_module_that_left_nothing_passes(load: Callable[[str], Scenario]) -> None:
    scenario = load("released")
    assert judge(scenario, good(scenario)).verdict == "passed"


def test_memory_that_a_module_left_fails_it_and_says_where_from(
    load: Callable[[str], Scenario],
) -> None:
    scenario = load("released")
    seen = good(scenario)
    seen.residue = [LEAK]
    found = judge(scenario, seen)
    assert found.verdict == "failed"
    assert found.reasons == (f"resources: expected released, but {LEAK}",)


def test_the_kernels_word_for_a_leak_is_resources_and_no_report(
    load: Callable[[str], Scenario],
) -> None:
    scenario = load("released")
    seen = good(scenario)
    seen.reports = [warning()]
    seen.causes = [Cause(ARMED, seen.reports[0], leak=True)]
    seen.taint, seen.counters = "W", {"oops": 0, "warn": 1}
    assert judge(scenario, seen).reasons == (f"resources: expected released, but {ARMED}",)


def test_another_warning_beside_it_is_still_a_failure_of_the_kernel(
    load: Callable[[str], Scenario],
) -> None:
    scenario = load("released")
    seen = good(scenario)
    seen.reports = [warning(), warning("WARNING in pf_write")]
    seen.causes = [Cause(ARMED, seen.reports[0], leak=True)]
    seen.taint, seen.counters = "W", {"oops": 0, "warn": 2}
    reasons = judge(scenario, seen).reasons
    assert any("WARNING in pf_write" in reason for reason in reasons)
    assert any("counter warn" in reason for reason in reasons)
    assert not any("debug_print_object" in reason for reason in reasons)


def test_what_one_function_left_is_said_once(load: Callable[[str], Scenario]) -> None:
    scenario = load("released")
    seen = good(scenario)
    seen.reports = [warning(), warning()]
    text = "12288 bytes, allocated in pf_write (pf) at pf/pf.c:7, are not freed"
    seen.causes = [Cause(text, seen.reports[0], leak=True, place="pf_write (pf)")]
    seen.causes.append(Cause(text, seen.reports[1], leak=True, place="pf_write (pf)"))
    seen.residue = [LEAK]
    seen.taint, seen.counters = "W", {"oops": 0, "warn": 2}
    assert judge(scenario, seen).reasons == (f"resources: expected released, but {LEAK}",)
    seen.residue = []
    assert judge(scenario, seen).reasons == (f"resources: expected released, but {text}",)


def test_the_cause_of_a_crash_comes_first(load: Callable[[str], Scenario]) -> None:
    scenario = load("released")
    seen = good(scenario)
    seen.state, seen.leaked, seen.taint, seen.counters = "crashed", None, None, {}
    seen.reports = [Report("page-fault", "call of a bad address", ("line",), 1)]
    text = "code of the unloaded module pf was called: function tick (by a timer)"
    seen.causes = [Cause(text, seen.reports[0], leak=False)]
    reasons = judge(scenario, seen).reasons
    assert reasons[0] == f"resources: expected released, but {text}"
    assert any("kernel: expected alive" in reason for reason in reasons)
    assert any("call of a bad address" in reason for reason in reasons)


def test_a_leak_is_certain_whatever_broke_after_it(load: Callable[[str], Scenario]) -> None:
    scenario = load("released")
    seen = good(scenario)
    seen.residue, seen.infra_error = [ARMED], InfraError("the guest was lost")
    found = judge(scenario, seen)
    assert (found.verdict, found.reasons[0]) == (
        "failed",
        f"resources: expected released, but {ARMED}",
    )


def test_what_is_kept_on_purpose_passes(load: Callable[[str], Scenario]) -> None:
    scenario = load("kept")
    seen = good(scenario)
    assert judge(scenario, seen).verdict == "failed"
    seen.residue = [LEAK]
    assert judge(scenario, seen).verdict == "passed"


def test_what_is_not_looked_at_is_said(load: Callable[[str], Scenario]) -> None:
    scenario = load("released")
    seen = good(scenario)
    seen.not_looked_at = ["pages (no CONFIG_MEM_ALLOC_PROFILING)"]
    found = judge(scenario, seen)
    (finding,) = [one for one in found.findings if one.what == "resources"]
    assert found.verdict == "passed"
    assert "not checked on this kernel: pages (no CONFIG_MEM_ALLOC_PROFILING)" in finding.happened
