# SPDX-License-Identifier: GPL-2.0-only
"""From an item's findings to its verdict."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lab.judge.finding import Finding
from lab.judge.item import aftermath, interruption, last_words, reuse, totals, was_refused
from lab.judge.kernel import (
    kernel_finding,
    report_findings,
    resource_findings,
    unallowed_reports,
)
from lab.judge.steps import step_findings
from lab.runner.observation import Observation
from lab.scenario.model import Scenario, Twin
from lab.words import Verdict


@dataclass(frozen=True)
class Judgement:
    """The verdict on an item, and every finding behind it."""

    verdict: Verdict
    findings: tuple[Finding, ...]
    trouble: str = ""

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why the verdict is not `passed`, one line each."""
        if self.trouble:
            return (self.trouble,)
        return tuple(str(finding) for finding in self.findings if not finding.holds)


def judge(scenario: Scenario, seen: Observation, twin: Twin | None = None) -> Judgement:
    """Judge what was seen by what the scenario expects.

    A negative `twin` passes when what it says does not hold, because a
    protection was switched off.
    """
    if seen.trouble is not None:
        # What the kernel did wrong is certain, whatever could not be seen after it.
        certain = () if twin else tuple(_certain(scenario, seen))
        if not certain:
            return Judgement("error", (), str(seen.trouble))
        rest = Finding("the rest", "to be looked at, too", str(seen.trouble), False)
        return Judgement("failed", (*certain, rest))
    if seen.state is None:
        return Judgement("error", (), "the state of the kernel could not be told")
    findings = tuple(_all(scenario, seen))
    if twin is not None:
        return _twin(twin, seen, findings)
    holds = all(finding.holds for finding in findings)
    return Judgement("passed" if holds else "failed", findings)


def _twin(twin: Twin, seen: Observation, findings: tuple[Finding, ...]) -> Judgement:
    """A twin's verdict: it shows nothing if its protection was still on, or for another reason."""
    wrong = [finding for finding in findings if not finding.holds]
    still_on = any(
        result.step.verb == "set" and result.ended and result.problem
        for result in seen.first.results
    )
    if not still_on and any(finding.topic in twin.topics for finding in wrong):
        return Judgement("passed", findings)
    if still_on:
        happened = f"{twin.without} could not be switched off"
    else:
        happened = "only something else did" if wrong else "all held"
    expected = f"one of {', '.join(twin.topics)} to fail without {twin.without}"
    return Judgement("failed", (*findings, Finding("negative twin", expected, happened, False)))


def _all(scenario: Scenario, seen: Observation) -> Iterator[Finding]:
    expect = scenario.expect
    # What a module left is the cause of what the kernel says after its unload.
    yield from resource_findings(scenario, seen)
    yield kernel_finding(expect, seen)
    yield from report_findings(scenario, seen)
    for result in seen.first.results:
        yield from step_findings(result)
        if was_refused(expect, result):
            # What did not load can't do the rest: that would be said of every step.
            yield Finding(
                f"{result.path} ({result.step.label})",
                "to be loaded",
                f"it was rejected:\n{last_words(result)}",
                False,
            )
            break
    else:
        yield from interruption(expect, seen)
        yield from totals(expect, seen.first)
    yield from aftermath(expect, seen)
    if expect.reusable:
        yield from reuse(seen)


def _certain(scenario: Scenario, seen: Observation) -> Iterator[Finding]:
    """What fails the item even if the lab saw no more than this."""
    yield from resource_findings(scenario, seen)
    if seen.state == "crashed" and scenario.expect.kernel != "crashed":
        yield kernel_finding(scenario.expect, seen)
    yield from unallowed_reports(scenario, seen)
