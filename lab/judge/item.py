# SPDX-License-Identifier: GPL-2.0-only
"""Findings on the whole item: sums over its steps, its leftovers, its second use."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from lab.judge.finding import Finding, bound_finding, map_findings, outcome_finding, text_findings
from lab.judge.observation import Iteration, Observation, StepResult
from lab.judge.steps import failure_of, step_findings
from lab.oracle.rex.counters import STACK_MARGIN
from lab.oracle.rex.reports import MAX_REPORTS
from lab.oracle.slopes import MIN_SAMPLES, slope
from lab.scenario.model.base import Bound
from lab.scenario.model.expect import Expect
from lab.scenario.model.scenario import Scenario
from lab.scenario.model.steps import BaseStep, LoadStep, RepeatStep
from lab.words import Resources, RexCounter, Topic

# The ends of runs that the kernel reports and counts.
_REPORTED: tuple[RexCounter, ...] = ("terminated", "panicked", "faulted", "overflowed")


def interruption(scenario: Scenario, seen: Observation) -> Iterator[Finding]:
    """Check that the steps of the first use were not interrupted.

    A kernel that is meant to stall or crash may interrupt them, but not before a step that
    expects something.
    """
    expected, first = "all of them to end", seen.first
    if not first.interrupted:
        yield from missing_steps("steps", scenario, first)
    elif scenario.expect.kernel == "alive":
        yield Finding("steps", expected, first.interrupted, False, "steps")
    else:
        reached = {result.path for result in first.results}
        for number, step in enumerate(scenario.steps, 1):
            expects = step.verb == "wait_for" or getattr(step, "expect", None) is not None
            if expects and f"step {number}" not in reached:
                what = f"step {number} ({step.label})"
                yield Finding(what, "to be done", first.interrupted, False)


def missing_steps(what: str, scenario: Scenario, iteration: Iteration) -> Iterator[Finding]:
    """Check that each step has a result, also in repetitions.

    An iteration without any recorded step is judged by its totals. The runner makes none.
    """
    wanted, number = count_steps(scenario.steps), len(iteration.results)
    if number and number != wanted:
        yield Finding(what, f"results of {wanted}", f"there are {number}", False)


def count_steps(steps: Iterable[BaseStep]) -> int:
    """Return how many results the steps have when all of them are done."""
    number = 0
    for step in steps:
        number += 1
        if isinstance(step, RepeatStep):
            number += step.repeat.times * count_steps(step.repeat.steps)
    return number


def totals(expect: Expect, iteration: Iteration) -> Iterator[Finding]:
    """Compare the sums over all steps with the item's expectations."""
    for outcome, bound in (expect.outcome or {}).items():
        # The counts of a kernel that is meant to be stuck were not read again at the end.
        counts, complete = (
            iteration.outcomes,
            expect.kernel == "alive" and not iteration.interrupted,
        )
        yield outcome_finding("outcome", outcome, bound, counts, complete=complete)
    if expect.verifier_log is not None:
        yield from text_findings(
            "verifier log", expect.verifier_log, iteration.log, "verifier_log", needed=True
        )
    if expect.compiler_log is not None:
        yield from text_findings(
            "compiler log", expect.compiler_log, iteration.compiler_log, "compiler_log", needed=True
        )
    yield from map_findings("maps", expect.maps, iteration.maps)
    if expect.misses is not None:
        yield bound_finding("missed runs", expect.misses, iteration.misses, "misses")
    if expect.received is not None:
        yield bound_finding("received", expect.received, iteration.received, "received")
    if expect.time is not None:
        yield bound_finding("time in s", expect.time, round(iteration.seconds, 6), "time")
    for name, bound in expect.slopes.items():
        values = [(sample["turn"], sample[name]) for sample in iteration.gauges if name in sample]
        if len(values) < MIN_SAMPLES:
            yield Finding(f"slope of {name}", bound.describe(), "too few samples", False)
        else:
            rate = round(slope(values), 3)
            yield bound_finding(f"slope of {name} per turn", bound, rate, "slopes")


def final_output(result: StepResult) -> str:
    """Return the end of a log, for the lines of a reason."""
    log = result.log or result.compiler_log
    lines = [line for line in log.splitlines() if line and not line.startswith("processed")]
    return "\n".join(f"    {line}" for line in lines[-6:]) if lines else result.problem


def not_loaded(result: StepResult) -> Iterator[Finding]:
    """Quote the kernel's or the compiler's reason why an extension is not loaded."""
    failure = failure_of(result)
    if failure is not None:
        said = {"rejected": "it was rejected", "not_compiled": "it was not compiled"}[failure]
        where = f"{result.path} ({result.step.label})"
        yield Finding(where, "to be loaded", f"{said}:\n{final_output(result)}", False)


def is_unexpected(expect: Expect, result: StepResult) -> bool:
    """Return whether a failed load was expected to succeed, or to fail in another way."""
    wanted = result.step.expect if isinstance(result.step, LoadStep) else None
    if wanted is not None and wanted.fails:
        return False
    return expect.failed_load is None or failure_of(result) != expect.failed_load


def aftermath(expect: Expect, seen: Observation) -> Iterator[Finding]:
    """Compare the state of the guest after the steps with the item's expectations."""
    if expect.resources not in (None, "any") and seen.state == "alive":
        if seen.leaked is None and seen.left_at_unload and expect.resources == "released":
            yield left_at_unload(expect, seen)
        elif seen.leaked is None:
            yield Finding("resources", expect.resources, "they could not be read", False)
        else:
            yield _resources(expect.resources, seen, seen.leaked)
    elif seen.left_at_unload and expect.resources == "released":
        yield left_at_unload(expect, seen)
    for kind, bound in expect.bpf_objects.items():
        yield bound_finding(
            f"BPF objects: {kind}", bound, seen.bpf_objects.get(kind), "bpf_objects"
        )
    yield from _rex(expect, seen)
    if expect.extension_report is not None:
        said = "\n".join(report.text for report in seen.extension_reports)
        none_is_well = expect.extension_report.count is not None
        yield from text_findings(
            "extension report",
            expect.extension_report,
            said,
            "extension_report",
            needed=not none_is_well,
        )
        if expect.extension_report.count is not None:
            yield _count_of_reports(expect.extension_report.count, seen)


def left_at_unload(expect: Expect, seen: Observation) -> Finding:
    """Return a module's leftovers as a finding, for a kernel that did not survive them."""
    happened = f"left over after the unload: {', '.join(seen.left_at_unload)}"
    return Finding("resources", str(expect.resources), happened, False, "resources")


def _resources(expected: Resources, seen: Observation, leaked: list[str]) -> Finding:
    left = [*leaked, *seen.residue, *(cause.text for cause in seen.causes if cause.leak)]
    happened = f"left over: {', '.join(leaked)}" if leaked else "none is left"
    if left and not leaked:
        # Leftovers of modules have findings of their own.
        happened = "; ".join(dict.fromkeys(left))
    if seen.not_looked_at:
        happened += f"; not checked on this kernel: {', '.join(seen.not_looked_at)}"
    holds = bool(left if expected == "kept" else leaked) == (expected == "kept")
    return Finding("resources", expected, happened, holds, "resources")


def _count_of_reports(bound: Bound, seen: Observation) -> Finding:
    number = len(seen.extension_reports)
    finding = bound_finding("extension reports", bound, number, "extension_report")
    ended = sum((seen.rex_total or {}).get(ending, 0) for ending in _REPORTED)
    if finding.holds or number > min(bound.numbers) or ended <= number:
        return finding
    if number >= MAX_REPORTS:
        why = f"the lab keeps the first {MAX_REPORTS}"
    else:
        why = "the kernel prints at most 40 in 5 seconds"
    return replace(finding, happened=f"{finding.happened}; {why}: use outcome for all")


def _rex(expect: Expect, seen: Observation) -> Iterator[Finding]:
    for counter, bound in expect.rex.items():
        yield bound_finding(f"rex: {counter}", bound, (seen.rex or {}).get(counter), "rex")
    repaired = (seen.rex_total or {}).get("repaired", 0)
    if repaired and "repaired" not in expect.rex:
        # A program returned with the CPU in another state than at its start.
        happened = f"the kernel did {repaired} times"
        yield Finding("rex: repaired", "no CPU's state to be put right", happened, False, "rex")
    if seen.near_overflow_stacks:
        # The kernel's reserve must suffice for more than happened this time.
        happened = f"there were {', '.join(seen.near_overflow_stacks)}"
        wanted = f"{STACK_MARGIN} bytes of each stack never to be used"
        yield Finding("rex: stacks", wanted, happened, False, "rex")


def reuse(scenario: Scenario, seen: Observation) -> Iterator[Finding]:
    """Compare the second use with the first, and both with what the item expects."""
    what = "second use"
    if seen.second is None:
        yield Finding(what, "the same as the first", "there was none", False)
        return
    if seen.first.results and not seen.second.results and not seen.second.interrupted:
        yield Finding(what, "the steps of the first", "none of them was done", False)
    # A second use that never began shows nothing about it.
    topic: Topic | None = "reusable" if seen.second.results else None
    if seen.second.interrupted:
        yield Finding(what, "the same as the first", seen.second.interrupted, False, topic)
    else:
        for finding in missing_steps(what, scenario, seen.second):
            yield replace(finding, topic=topic)
        for finding in _counted(scenario.expect, seen.second):
            if not finding.holds:
                yield replace(finding, what=f"{what}, {finding.what}", topic=topic)
    for result in seen.second.results:
        for finding in step_findings(result):
            if not finding.holds:
                yield replace(finding, what=f"{what}, {finding.what}", topic=topic)
    first, second = _kinds(seen.first), _kinds(seen.second)
    yield Finding(
        what,
        f"the outcomes of the first ({', '.join(first) or 'none'})",
        f"it had {', '.join(second) or 'none'}",
        first == second,
        topic,
    )


def _counted(expect: Expect, iteration: Iteration) -> Iterator[Finding]:
    for outcome, bound in (expect.outcome or {}).items():
        yield outcome_finding("outcome", outcome, bound, iteration.outcomes, complete=True)
    yield from map_findings("maps", expect.maps, iteration.maps)
    if expect.misses is not None:
        yield bound_finding("missed runs", expect.misses, iteration.misses, "misses")
    if expect.received is not None:
        yield bound_finding("received", expect.received, iteration.received, "received")


def _kinds(iteration: Iteration) -> list[str]:
    return sorted(kind for kind, count in iteration.outcomes.items() if count)
