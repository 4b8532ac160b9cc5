# SPDX-License-Identifier: GPL-2.0-only
"""The judge: expectations and an observation in, a verdict with its reasons out.

A pure function. What the kernel or an extension did wrong makes `failed`;
what the lab could not see makes `error`; only what was seen to hold passes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from lab.oracle import allow
from lab.oracle.slopes import MIN_SAMPLES, slope
from lab.runner.observation import Observation, Pass, StepResult
from lab.scenario.base import Bound, Ref
from lab.scenario.expect import (
    AttachExpect,
    Expect,
    LoadExpect,
    ReadExpect,
    ShellExpect,
    TextExpect,
    TriggerExpect,
)
from lab.scenario.model import Scenario
from lab.scenario.steps import BaseStep, LoadStep, TriggerStep
from lab.words import FATAL_REPORTS, ReportKind, Verdict


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: what was expected, what happened, whether that holds."""

    what: str
    expected: str
    happened: str
    holds: bool

    def __str__(self) -> str:
        return f"{self.what}: expected {self.expected}, but {self.happened}"


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


def judge(scenario: Scenario, seen: Observation, *, inverted: bool = False) -> Judgement:
    """Judge what was seen by what the scenario expects.

    `inverted` is for negative twins: they pass when the expectation does not
    hold, because a protection was switched off.
    """
    if seen.trouble is not None:
        # What the kernel did wrong is certain, whatever could not be seen after it.
        certain = () if inverted else tuple(_certain(scenario, seen))
        if not certain:
            return Judgement("error", (), str(seen.trouble))
        rest = Finding("the rest", "to be looked at, too", str(seen.trouble), False)
        return Judgement("failed", (*certain, rest))
    if seen.state is None:
        return Judgement("error", (), "the state of the kernel could not be told")
    findings = tuple(_all(scenario, seen))
    holds = all(finding.holds for finding in findings)
    if inverted:
        if not holds:
            return Judgement("passed", findings)
        missing = Finding(
            "negative twin",
            "the expectation to fail, with the protection switched off",
            "it held",
            False,
        )
        return Judgement("failed", (*findings, missing))
    return Judgement("passed" if holds else "failed", findings)


def _all(scenario: Scenario, seen: Observation) -> Iterator[Finding]:
    expect = scenario.expect
    yield _kernel(expect, seen)
    yield from _reports(scenario, seen)
    for result in seen.first.results:
        yield from _step(result)
        if _was_refused(expect, result):
            # What did not load can't do the rest: that would be said of every step.
            yield Finding(
                f"{result.path} ({result.step.label})",
                "to be loaded",
                f"it was rejected:\n{_last_words(result)}",
                False,
            )
            break
    else:
        yield from _interruption(expect, seen)
        yield from _totals(expect, seen.first)
    yield from _aftermath(expect, seen)
    if expect.reusable:
        yield from _reuse(seen)


def _certain(scenario: Scenario, seen: Observation) -> Iterator[Finding]:
    """What fails the item even if the lab saw no more than this."""
    if seen.state == "crashed" and scenario.expect.kernel != "crashed":
        yield _kernel(scenario.expect, seen)
    yield from _unallowed(scenario, seen)


# The kernel


def _kernel(expect: Expect, seen: Observation) -> Finding:
    why = "; ".join(
        evidence.summary for evidence in seen.evidence if evidence.kind in _STATE_EVIDENCE
    )
    happened = f"it is {seen.state}" + (f" ({why})" if why else "")
    holds = seen.state == expect.kernel
    if holds and expect.kernel == "crashed":
        # A kernel that was switched off in good order did not crash.
        holds = any(
            evidence.kind == "guest-panic" or evidence.data.get("reason") == "guest-reset"
            for evidence in seen.evidence
        ) or any(report.kind in FATAL_REPORTS for report in seen.reports)
    return Finding("kernel", expect.kernel, happened, holds)


_STATE_EVIDENCE = ("guest-panic", "qemu-exit", "liveness", "shutdown")


def _reports(scenario: Scenario, seen: Observation) -> Iterator[Finding]:
    wanted = scenario.expect.reports
    missing = allow.missing(seen.reports, wanted)
    for kind in wanted:
        happened = "the console shows none" if kind in missing else "it is there"
        yield Finding(f"console report {kind}", "one on the console", happened, kind not in missing)
    yield from _unallowed(scenario, seen)
    allowed = _allowed(scenario)
    if seen.taint:
        explained = all(_TAINT_BY.get(flag, frozenset()) & allowed for flag in seen.taint)
        happened = f"the kernel is tainted: {seen.taint}"
        yield Finding("taint", "none that no allowed report explains", happened, explained)
    for counter, value in seen.counters.items():
        bound = scenario.expect.counters.get(counter)  # type: ignore[call-overload]
        if bound is not None:
            yield Finding(
                f"counter {counter}", bound.describe(), f"it rose by {value}", bound.holds(value)
            )
        elif value and not _explained(counter, allowed):
            yield Finding(f"counter {counter}", "no increase", f"it rose by {value}", False)
    for counter, bound in scenario.expect.counters.items():
        if counter not in seen.counters:
            yield Finding(f"counter {counter}", bound.describe(), "it was not read", False)


def _unallowed(scenario: Scenario, seen: Observation) -> Iterator[Finding]:
    allowances = [
        allow.Allowance(kind, "the scenario names it") for kind in sorted(_allowed(scenario))
    ]
    for report in allow.unallowed(seen.reports, allowances):
        yield Finding("console", "no report that the scenario does not allow", report.title, False)


def _allowed(scenario: Scenario) -> set[ReportKind]:
    named = {*scenario.expect.reports, *(entry.kind for entry in scenario.allow_console)}
    return named | _implied(scenario)


_OOPSES: frozenset[ReportKind] = frozenset(
    {"oops", "page-fault", "general-protection", "bug", "stack-overflow", "double-fault"}
)
# Kinds of report with which the kernel taints itself, by the taint's letter.
_TAINT_BY: dict[str, frozenset[ReportKind]] = {
    "D": _OOPSES | {"list-corruption", "panic"},
    "W": frozenset(
        {"warning", "list-corruption", "sleeping-in-atomic", "lockdep", "ubsan", "other-splat"}
    ),
    "B": frozenset({"bug", "kasan", "kfence"}),
    "L": frozenset({"soft-lockup"}),
}
# The same for its counters; one that is not here has the name of its kind.
_COUNTED: dict[str, frozenset[ReportKind]] = {
    "oops": _OOPSES | {"list-corruption"},
    # check_panic_on_warn() counts those of the sanitizers and of the scheduler, too.
    "warn": frozenset(
        {"warning", "list-corruption", "kasan", "kfence", "ubsan", "sleeping-in-atomic"}
    ),
}


def _implied(scenario: Scenario) -> set[ReportKind]:
    # A scenario that expects a crash need not list the panic that it consists of.
    return {"panic"} if scenario.expect.kernel == "crashed" else set()


def _explained(counter: str, allowed: set[ReportKind]) -> bool:
    return bool(_COUNTED.get(counter, frozenset({counter})) & allowed)


# Steps


def _step(result: StepResult) -> Iterator[Finding]:
    step = result.step
    what = f"{result.path} ({step.label})"
    expect = getattr(step, "expect", None)
    if expect is not None and expect.time is not None:
        yield _bound(f"{what}: time in s", expect.time, round(result.seconds, 6))
    match step.verb:
        case "load":
            yield from _load(what, expect or LoadExpect(), result)
        case "attach" | "pin":
            yield from _attach(what, expect or AttachExpect(), result)
        case "trigger":
            yield from _trigger(what, expect or TriggerExpect(), result)
        case "read":
            yield _done(what, result)
            if isinstance(expect, ReadExpect) and expect.value is not None:
                yield _bound(f"{what}: value", expect.value, result.value)
        case "shell":
            yield from _shell(what, expect or ShellExpect(), result)
        case _:
            yield _done(what, result)


def _done(what: str, result: StepResult) -> Finding:
    return Finding(what, "it to succeed", result.problem or "it did", not result.problem)


def _load(what: str, expect: LoadExpect, result: StepResult) -> Iterator[Finding]:
    rejected = result.outcomes["rejected"] > 0
    if expect.outcome is None and expect.error is None and expect.verifier_log is None:
        # An item about a rejected load may say so once, at its end: see `_totals`.
        if not rejected:
            yield _done(what, result)
        return
    if expect.outcome is not None:
        happened = "it was rejected" if rejected else result.problem or "it was loaded"
        yield Finding(what, f"to be {expect.outcome}", happened, rejected)
    elif expect.error is None:
        yield _done(what, result)
    if expect.error is not None:
        happened = f"the error was {result.errname or 'none'}"
        yield Finding(what, expect.error, happened, result.errname == expect.error)
    if expect.verifier_log is not None:
        yield from _text(f"{what}: verifier log", expect.verifier_log, result.log)


def _attach(what: str, expect: AttachExpect, result: StepResult) -> Iterator[Finding]:
    if expect.error is None:
        yield _done(what, result)
    else:
        happened = f"the error was {result.errname or 'none'}"
        yield Finding(what, expect.error, happened, result.errname == expect.error)


def _trigger(what: str, expect: TriggerExpect, result: StepResult) -> Iterator[Finding]:
    if result.ended:
        yield _done(what, result)
    for outcome, bound in (expect.outcome or {}).items():
        yield _bound(f"{what}: outcome {outcome}", bound, result.outcomes[outcome])
    shell = isinstance(result.step, TriggerStep) and result.step.trigger.kind == "shell"
    if expect.status is not None or (shell and result.ended and result.status is not None):
        wanted = expect.status or 0
        said = f"it was {result.status} ({result.output.strip()[-200:] or 'it printed nothing'})"
        yield Finding(f"{what}: exit status", str(wanted), said, result.status == wanted)
    if expect.returns is not None:
        yield _bound(f"{what}: returned value", expect.returns, result.returns)
    if expect.output is not None:
        yield from _text(f"{what}: output", expect.output, result.output)
    if expect.misses is not None:
        yield _bound(f"{what}: missed runs", expect.misses, result.misses)
    yield from _maps(what, expect.maps, result.maps)


def _shell(what: str, expect: ShellExpect, result: StepResult) -> Iterator[Finding]:
    happened = f"it was {result.status}"
    if result.status != expect.status and result.output:
        happened += f" ({result.output.strip()[-200:]})"
    yield Finding(
        f"{what}: exit status", str(expect.status), happened, result.status == expect.status
    )
    if expect.output is not None:
        yield from _text(f"{what}: output", expect.output, result.output)


# The item


def _interruption(expect: Expect, seen: Observation) -> Iterator[Finding]:
    if seen.first.interrupted and expect.kernel == "alive":
        yield Finding("steps", "all of them to end", seen.first.interrupted, False)


def _totals(expect: Expect, done: Pass) -> Iterator[Finding]:
    for outcome, bound in (expect.outcome or {}).items():
        yield _bound(f"outcome {outcome}", bound, done.outcomes[outcome])
    if expect.verifier_log is not None:
        yield from _text("verifier log", expect.verifier_log, done.log)
    yield from _maps("maps", expect.maps, done.maps)
    if expect.misses is not None:
        yield _bound("missed runs", expect.misses, done.misses)
    if expect.time is not None:
        yield _bound("time in s", expect.time, round(done.seconds, 6))
    for name, bound in expect.slopes.items():
        values = [(sample["turn"], sample[name]) for sample in done.gauges if name in sample]
        if len(values) < MIN_SAMPLES:
            yield Finding(f"slope of {name}", bound.describe(), "too few samples", False)
        else:
            yield _bound(f"slope of {name} per turn", bound, round(slope(values), 3))


def _last_words(result: StepResult) -> str:
    lines = [line for line in result.log.splitlines() if line and not line.startswith("processed")]
    return "\n".join(f"    {line}" for line in lines[-6:]) if lines else result.problem


def _was_refused(expect: Expect, result: StepResult) -> bool:
    """Whether this load was rejected though nothing expects it."""
    if not isinstance(result.step, LoadStep) or not result.outcomes["rejected"]:
        return False
    wanted = result.step.expect
    said = wanted is not None and (wanted.outcome or wanted.error or wanted.verifier_log)
    return not said and not expect.rejected


def _aftermath(expect: Expect, seen: Observation) -> Iterator[Finding]:
    if expect.resources is not None and seen.state == "alive":
        if seen.leaked is None:
            yield Finding("resources", expect.resources, "they could not be read", False)
        else:
            happened = f"left over: {', '.join(seen.leaked)}" if seen.leaked else "none is left"
            holds = bool(seen.leaked) == (expect.resources == "kept")
            yield Finding("resources", expect.resources, happened, holds)
    for kind, bound in expect.ledger.items():
        yield _bound(f"ledger: {kind}", bound, seen.ledger.get(kind))


def _reuse(seen: Observation) -> Iterator[Finding]:
    what = "second use"
    if seen.second is None:
        yield Finding(what, "the same as the first", "there was none", False)
        return
    if seen.second.interrupted:
        yield Finding(what, "the same as the first", seen.second.interrupted, False)
    for result in seen.second.results:
        for finding in _step(result):
            if not finding.holds:
                yield Finding(f"{what}, {finding.what}", finding.expected, finding.happened, False)
    first, second = _kinds(seen.first), _kinds(seen.second)
    yield Finding(
        what,
        f"the outcomes of the first ({', '.join(first) or 'none'})",
        f"it had {', '.join(second) or 'none'}",
        first == second,
    )


def _kinds(done: Pass) -> list[str]:
    return sorted(kind for kind, count in done.outcomes.items() if count)


# Small comparisons


def _bound(what: str, bound: Bound, value: float | None) -> Finding:
    if value is None:
        return Finding(what, bound.describe(), "there is none", False)
    return Finding(what, bound.describe(), f"it is {value}", bound.holds(value))


def _text(what: str, expect: TextExpect, text: str) -> Iterator[Finding]:
    wrong = expect.failures(text)
    shown = text.strip()[-400:] or "(empty)"
    if not wrong:
        yield Finding(what, "the text that is asked for", "it is there", True)
    for failure in wrong:
        yield Finding(what, "the text that is asked for", f"it {failure}; it ends: {shown}", False)


def _maps(
    what: str,
    expected: Mapping[Ref, Mapping[int | str, Bound]],
    found: Mapping[Ref, Mapping[Any, int | None]],
) -> Iterator[Finding]:
    for ref, keys in expected.items():
        for key, bound in keys.items():
            yield _bound(f"{what}: {ref}[{key}]", bound, found.get(ref, {}).get(key))


__all__ = ["BaseStep", "Finding", "Judgement", "judge"]
