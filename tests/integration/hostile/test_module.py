# SPDX-License-Identifier: GPL-2.0-only
"""Code with the kernel's rights attacks the oracles that ask the guest.

Those that pass are in SECURITY.md: the guest's word is all that there is. With
`trust: host` they are an `error`.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from lab.guest.forks import Forks
from lab.judge import judge
from lab.judge.observation import Observation
from lab.runner.catalog import catalog_of
from lab.runner.plan import Planner
from lab.runner.run import Run
from lab.scenario.items import items
from lab.scenario.load import load_scenarios
from lab.scenario.model.scenario import Scenario
from lab.workspace import Workspace

pytestmark = pytest.mark.integration

Seen = Callable[[str], tuple[Scenario, Observation]]


@pytest.fixture
def seen(planner: Planner, forks: Forks, tmp_path: Path) -> Seen:
    """Run a scenario's text on the stock kernel, and judge nothing."""

    def run(text: str) -> tuple[Scenario, Observation]:
        path = tmp_path / "hostile" / "case.yaml"
        path.parent.mkdir()
        path.write_text(textwrap.dedent(text))
        (scenario,) = load_scenarios(path, catalog_of(Workspace.default()))
        (item,) = items(scenario)
        return scenario, Run(planner.plan(item), start=forks.start).go()

    return run


def verdicts(scenario: Scenario, observed: Observation) -> tuple[str, str]:
    """The verdict as it is, and with `trust: host`."""
    strict = scenario.model_copy(update={"trust": "host"})
    return judge(scenario, observed).verdict, judge(strict, observed).verdict


def test_a_module_that_hides_its_warning_passes(seen: Seen) -> None:
    """It keeps the warning out of the log and clears what the kernel counted of it."""
    scenario, observed = seen(
        """
        summary: A module warns, and the warning is hidden
        extensions: {m: {module: hostile, args: {what: warning}}}
        steps:
          - load: m
          - unload: m
          - shell: dmesg
            expect: {output: {contains: a warning was hidden, excludes: nobody hears this}}
        expect: {kernel: alive, resources: released}
        """
    )
    assert verdicts(scenario, observed) == ("passed", "error")


def test_a_module_that_hides_itself_is_found(seen: Seen) -> None:
    """It is loaded behind the lab's back and stays, but the inventory has more than one list."""
    scenario, observed = seen(
        """
        summary: A module stays, and hides itself
        extensions: {m: {module: hostile, args: {what: warning}}}
        steps:
          - load: m
          - unload: m
          - shell: insmod /root/hostile.ko what=stay
            expect: {status: 0}
        expect: {kernel: alive, resources: released}
        """
    )
    assert verdicts(scenario, observed) == ("failed", "failed")


def test_a_hidden_warning_passes_next_to_another_report(seen: Seen) -> None:
    """The host sees only the console, so the absence of a report proves nothing."""
    scenario, observed = seen(
        """
        summary: A module warns once openly, and once hidden
        extensions:
          m: {module: hostile, args: {what: warning}}
          f: {module: faults}
        steps:
          - load: m
          - unload: m
          - load: f
          - shell: echo warn > /sys/kernel/debug/kextlab_faults/fire
          - unload: f
        expect: {kernel: alive, reports: [warning], resources: any}
        """
    )
    assert verdicts(scenario, observed) == ("passed", "passed")


def test_a_module_whose_report_is_on_the_console_is_judged_by_the_host(seen: Seen) -> None:
    """The report is on the console, so the verdict is the same with `trust: host`."""
    scenario, observed = seen(
        """
        summary: A module warns, and the console shows it
        extensions: {m: {module: faults}}
        steps:
          - load: m
          - shell: echo warn > /sys/kernel/debug/kextlab_faults/fire
          - unload: m
        expect: {kernel: alive, reports: [warning], resources: any}
        """
    )
    assert verdicts(scenario, observed) == ("passed", "passed")
