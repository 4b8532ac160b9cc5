# SPDX-License-Identifier: GPL-2.0-only
"""Derive the verdict on an item from its findings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lab.judge.finding import Finding, Source
from lab.judge.item import (
    aftermath,
    interruption,
    is_unexpected,
    left_at_unload,
    not_loaded,
    reuse,
    totals,
)
from lab.judge.kernel import (
    certain_forgeries,
    kernel_finding,
    lost_text,
    report_findings,
    resource_findings,
    unallowed_reports,
)
from lab.judge.observation import Observation
from lab.judge.steps import extension_of, step_findings
from lab.scenario.model.expect import Expect
from lab.scenario.model.scenario import Control, Scenario
from lab.scenario.model.steps import LoadStep
from lab.words import TrustLevel, Verdict


@dataclass(frozen=True)
class Judgement:
    """The verdict on an item, with all findings behind it."""

    verdict: Verdict
    findings: tuple[Finding, ...]
    infra_error: str = ""

    @property
    def rests_on(self) -> Source | None:
        """The least trusted source of a pass, or the most trusted one of a failure.

        A pass needs all of its findings, a failure only one. None for an `error`.
        """
        if self.verdict == "error" or not self.findings:
            return None
        if self.verdict == "passed":
            relied = [one for one in self.findings if one.asked and one.holds]
            return min((one.rests_on for one in relied), key=_trust, default=None)
        wrong = [one for one in self.findings if not one.holds]
        return max((one.rests_on for one in wrong), key=_trust, default=None)

    @property
    def reasons(self) -> tuple[str, ...]:
        """The reasons why the verdict is not `passed`, one line each."""
        if self.infra_error:
            return (self.infra_error,)
        return tuple(str(finding) for finding in self.findings if not finding.holds)


def judge(scenario: Scenario, seen: Observation, control: Control | None = None) -> Judgement:
    """Judge an observation by the expectations of its scenario.

    A negative `control` passes if one of the expectations that it names does not hold,
    because a protection was switched off.
    """
    infra_error = lost_text(seen) if seen.infra_error is None else str(seen.infra_error)
    if infra_error:
        # Errors of the kernel that were seen are certain, even if the lab saw no more after them.
        certain = () if control else _cause_first(tuple(_certain(scenario, seen)))
        if not certain:
            return Judgement("error", (), infra_error)
        rest = Finding("the rest", "to be looked at, too", infra_error, False)
        return Judgement("failed", (*certain, rest))
    if seen.state is None:
        return Judgement("error", (), "the state of the kernel could not be determined")
    findings = _cause_first(tuple(_all(scenario, seen)))
    if control is not None:
        return _control(control, seen, findings, scenario.trust)
    if not all(finding.holds for finding in findings):
        return Judgement("failed", findings)
    if scenario.trust == "host":
        return _by_the_host(findings)
    return Judgement("passed", findings)


def _trust(source: Source) -> int:
    return source.trust


def _by_the_host(findings: tuple[Finding, ...]) -> Judgement:
    """Keep a pass only if the host itself observed everything that is expected."""
    word = [one for one in findings if one.asked and not one.rests_on.is_host]
    if not word:
        return Judgement("passed", findings)
    named = ", ".join(dict.fromkeys(f"{one.what} ({one.rests_on.words})" for one in word))
    hint = (
        "hint: with 'trust: host' only kernel, reports, forged, extension_report and wait_for "
        "count; leave the others out, and say 'resources: any'"
    )
    return Judgement("error", findings, f"passes only by the guest's word: {named}\n{hint}")


def _cause_first(findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """Put leftovers before everything that they may have caused: reports, a crash.

    Named objects come first: they say more than the memory of which they are made.
    """

    def place(one: Finding) -> int:
        if one.holds or one.topic != "resources":
            return 2
        return 0 if one.happened.startswith("left over") else 1

    return tuple(sorted(findings, key=place))


def _control(
    control: Control, seen: Observation, findings: tuple[Finding, ...], trust: TrustLevel
) -> Judgement:
    """Judge a control: it must fail for its own reason, and with its protection switched off."""
    wrong = [finding for finding in findings if not finding.holds]
    still_on = any(
        result.step.verb == "set" and result.ended and result.problem
        for result in seen.first.results
    )
    failing = [finding for finding in wrong if finding.topic in control.topics]
    if failing and not still_on:
        if trust == "host" and not any(finding.rests_on.is_host for finding in failing):
            return _by_the_host(tuple(failing))
        return Judgement("passed", findings)
    if still_on:
        happened = f"{control.without} could not be switched off"
    else:
        happened = "only other expectations failed" if wrong else "all expectations held"
    expected = f"one of {', '.join(control.topics)} to fail without {control.without}"
    return Judgement("failed", (*findings, Finding("negative control", expected, happened, False)))


def _all(scenario: Scenario, seen: Observation) -> Iterator[Finding]:
    expect = scenario.expect
    yield kernel_finding(expect, seen)
    yield from report_findings(scenario, seen)
    absent: set[str] = set()
    for result in seen.first.results:
        # An extension that did not load can't do the rest, and each step would repeat that.
        if extension_of(result.step) in absent:
            continue
        findings = tuple(step_findings(result))
        yield from findings
        if not isinstance(result.step, LoadStep) or not result.problem:
            continue
        unexpected = is_unexpected(expect, result)
        if unexpected:
            yield from not_loaded(result)
        if unexpected or not all(finding.holds for finding in findings):
            absent.add(result.step.load)
            if absent.issuperset(scenario.extensions):
                break
    else:
        yield from interruption(scenario, seen)
        yield from totals(_without(expect, absent), seen.first)
    yield from aftermath(expect, seen)
    yield from resource_findings(scenario, seen)
    if expect.reusable:
        yield from reuse(scenario, seen)


def _without(expect: Expect, absent: set[str]) -> Expect:
    """Leave out the maps of extensions that were not loaded: they can't be read."""
    maps = {ref: keys for ref, keys in expect.maps.items() if ref.extension not in absent}
    return expect.model_copy(update={"maps": maps})


def _certain(scenario: Scenario, seen: Observation) -> Iterator[Finding]:
    """Yield the findings that fail the item even if the lab saw no more than this."""
    yield from resource_findings(scenario, seen)
    if seen.left_at_unload and scenario.expect.resources == "released":
        yield left_at_unload(scenario.expect, seen)
    if seen.state == "crashed" and scenario.expect.kernel != "crashed":
        yield kernel_finding(scenario.expect, seen)
    yield from unallowed_reports(scenario, seen)
    yield from certain_forgeries(scenario.expect, seen)
