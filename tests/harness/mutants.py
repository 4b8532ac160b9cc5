# SPDX-License-Identifier: GPL-2.0-only
"""Mutants of an item that passed: one change to its expectations or to its observation.

An expectation that still holds after it was inverted, or after the data that it is about was
removed, holds for another reason than the intended one. So no mutant may be judged `passed`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from lab.errors import InfraError
from lab.judge import judge
from lab.judge.observation import Iteration, Observation, StepResult
from lab.oracle.console.parser import Report
from lab.scenario.model.base import Bound
from lab.scenario.model.expect import Expect, LoadExpect, TextExpect, TriggerExpect
from lab.scenario.model.scenario import Control, Scenario
from lab.scenario.model.steps import BaseStep
from lab.words import TOPICS, KernelState

JUNK = "no text has this: \u2620"
_STATES: tuple[KernelState, ...] = ("alive", "stalled", "crashed")
# Keys whose values are not whole numbers.
_CONTINUOUS = ("slopes", "time")
_BOUNDS = ("misses", "received", "time")
_MAPPINGS = ("outcome", "counters", "bpf_objects", "rex", "slopes")
_TEXTS = ("verifier_log", "extension_report", "output")


@dataclass(frozen=True)
class Mutant:
    """An item with one change. `name` states the place of the change, then the change."""

    name: str
    scenario: Scenario
    seen: Observation
    control: Control | None = None

    @property
    def survives(self) -> bool:
        """True if the judge does not notice the change."""
        return judge(self.scenario, self.seen, self.control).verdict == "passed"


# Mutants that may pass, by the beginning of their names, each with the reason.
ACCEPTED = {
    "seen.all steps missing": (
        "the runner records a step before it does it, so no pass is without steps"
    ),
    "seen.trigger.no outcome, as expected": (
        "the step expects only that something did not happen (panicked: 0); that its programs "
        "ran is expected of maps, or of the whole item"
    ),
}


def survivors(
    scenario: Scenario, seen: Observation, control: Control | None = None
) -> tuple[int, list[str]]:
    """Return the number of mutants of an item that passed, and the names of those that pass.

    Mutants for which `ACCEPTED` has a reason are left out.
    """
    every = list(mutants(scenario, seen) if control is None else _controls(scenario, seen, control))
    return len(every), [
        mutant.name
        for mutant in every
        if mutant.survives and not mutant.name.startswith(tuple(ACCEPTED))
    ]


def mutants(scenario: Scenario, seen: Observation) -> Iterator[Mutant]:
    """Yield every mutant of an item."""
    for name, expect in _expects(scenario.expect):
        yield Mutant(f"expect.{name}", scenario.model_copy(update={"expect": expect}), seen)
    for number, result in enumerate(seen.first.results):
        if any(earlier.step is result.step for earlier in seen.first.results[:number]):
            continue  # a repetition
        for name, step in _steps(result.step):
            yield Mutant(
                f"step.{result.step.verb}.{name}", scenario, _with_step(seen, step, result)
            )
        for name, wrong in _results(result):
            yield Mutant(f"seen.{result.step.verb}.{name}", scenario, _with(seen, number, wrong))
    for name, other in _observations(scenario, seen):
        yield Mutant(f"seen.{name}", scenario, other)


def _controls(scenario: Scenario, seen: Observation, control: Control) -> Iterator[Mutant]:
    """Yield mutants of a negative control: without it, for another reason, and still protected."""
    yield Mutant("control none", scenario, seen)
    wrong = {one.topic for one in judge(scenario, seen).findings if not one.holds}
    others = tuple(topic for topic in TOPICS if topic not in wrong)
    yield Mutant("control fails", scenario, seen, control.model_copy(update={"fails": others}))
    yield Mutant(
        "seen.infra_error", scenario, replace(seen, infra_error=InfraError("lost")), control
    )
    for number, result in enumerate(seen.first.results):
        if result.step.verb == "set":
            still_on = replace(result, ended=True, problem="it can't be set")
            yield Mutant("control still on", scenario, _with(seen, number, still_on), control)


# Expectations


def _bounds(bound: Bound, *, whole: bool) -> Iterator[Bound]:
    """Yield bounds that hold only where the given one does not."""

    def below(number: float) -> float:
        return number - 1 if whole else math.nextafter(number, -math.inf)

    def above(number: float) -> float:
        return number + 1 if whole else math.nextafter(number, math.inf)

    if bound.equals is not None:
        yield Bound(equals=above(bound.equals))
        yield Bound(equals=below(bound.equals))
    if bound.at_least is not None:
        yield Bound(at_most=below(bound.at_least))
    if bound.at_most is not None:
        yield Bound(at_least=above(bound.at_most))


def _texts(expect: TextExpect) -> Iterator[tuple[str, TextExpect]]:
    plain = {"contains": expect.contains, "excludes": expect.excludes, "matches": expect.matches}
    for part in expect.contains:
        changed = tuple(text + JUNK if text == part else text for text in expect.contains)
        yield "contains", expect.model_copy(update={"contains": changed})
    for part in expect.excludes:
        left = tuple(text for text in expect.excludes if text != part)
        wanted = (*expect.contains, part)
        yield "excludes", expect.model_copy(update={"contains": wanted, "excludes": left})
    if plain["matches"] is not None:
        yield "matches", expect.model_copy(update={"matches": f"(?:{expect.matches}){JUNK}"})
    count = getattr(expect, "count", None)
    if count is not None:
        for bound in _bounds(count, whole=True):
            yield f"count {bound.describe()}", expect.model_copy(update={"count": bound})


def _values(expect: Any) -> Iterator[tuple[str, Any]]:
    """Yield mutants of the expectations that both items and steps can have."""
    for key in (*_BOUNDS, "returns", "value"):
        bound = getattr(expect, key, None)
        for other in _bounds(bound, whole=key not in _CONTINUOUS) if bound is not None else ():
            yield f"{key} {other.describe()}", expect.model_copy(update={key: other})
    for key in _MAPPINGS:
        bounds: Mapping[str, Bound] = getattr(expect, key, None) or {}
        if not isinstance(bounds, Mapping):
            continue
        for word, bound in bounds.items():
            for other in _bounds(bound, whole=key not in _CONTINUOUS):
                changed = {**bounds, word: other}
                yield f"{key}.{word} {other.describe()}", expect.model_copy(update={key: changed})
    maps = getattr(expect, "maps", {})
    for ref, keys in maps.items():
        for key, bound in keys.items():
            for other in _bounds(bound, whole=True):
                more = {**maps, ref: {**keys, key: other}}
                name = f"maps.{ref}[{key}] {other.describe()}"
                yield name, expect.model_copy(update={"maps": more})
    for key in _TEXTS:
        text = getattr(expect, key, None)
        for name, changed_text in _texts(text) if text is not None else ():
            yield f"{key}.{name}", expect.model_copy(update={key: changed_text})


def _expects(expect: Expect) -> Iterator[tuple[str, Expect]]:
    yield from _values(expect)
    for state in _STATES:
        if state != expect.kernel:
            yield f"kernel {state}", expect.model_copy(update={"kernel": state})
    if expect.resources is not None:
        other = "kept" if expect.resources == "released" else "released"
        yield f"resources {other}", expect.model_copy(update={"resources": other})
    for kind in expect.reports:
        left = tuple(one for one in expect.reports if one != kind)
        yield f"reports without {kind}", expect.model_copy(update={"reports": left})
    more = (*expect.reports, "ubsan")
    yield "reports with ubsan", expect.model_copy(update={"reports": more})


def _steps(step: BaseStep) -> Iterator[tuple[str, BaseStep]]:
    expect = getattr(step, "expect", None)

    def of(changed: Any) -> BaseStep:
        return step.model_copy(update={"expect": changed})

    if expect is not None:
        for name, other in _values(expect):
            yield name, of(other)
        if getattr(expect, "status", None) is not None:
            yield "status", of(expect.model_copy(update={"status": (expect.status + 1) % 256}))
        if getattr(expect, "error", None) is not None:
            yield "error", of(expect.model_copy(update={"error": "EUCLEAN"}))
    if step.verb == "load":
        # If an item expects the rejection, it also expects it of its only load.
        outcome = getattr(expect, "outcome", None)
        if outcome is None:
            yield "outcome rejected", of((expect or LoadExpect()).model_copy(
                update={"outcome": "rejected"}
            ))  # fmt: skip


# Observations


def _with(seen: Observation, number: int, wrong: StepResult) -> Observation:
    results = list(seen.first.results)
    results[number] = wrong
    return replace(seen, first=replace(seen.first, results=results))


def _with_step(seen: Observation, step: BaseStep, result: StepResult) -> Observation:
    def changed(iteration: Iteration | None) -> Iteration | None:
        if iteration is None:
            return None
        results = [
            replace(one, step=step) if one.step is result.step else one for one in iteration.results
        ]
        return replace(iteration, results=results)

    first = changed(seen.first)
    assert first is not None
    return replace(seen, first=first, second=changed(seen.second))


def _results(result: StepResult) -> Iterator[tuple[str, StepResult]]:
    """Yield a step's result with less in it than its expectation needs."""
    expect = getattr(result.step, "expect", None)
    if not result.problem:
        yield "problem", replace(result, problem="it failed")
    if result.step.verb in ("shell",):
        yield "status", replace(result, status=None)
    for key, nothing in (
        ("outcome", {"outcomes": Counter()}),
        ("returns", {"returns": None}),
        ("value", {"value": None}),
        ("received", {"received": None}),
        ("status", {"status": None}),
        ("output", {"output": ""}),
        ("verifier_log", {"log": ""}),
        ("error", {"errname": ""}),
        ("maps", {"maps": {}}),
    ):
        if getattr(expect, key, None):
            none_is_well = isinstance(expect, TriggerExpect) and not any(
                bound.positive for bound in (expect.outcome or {}).values()
            )
            name = f"no {key}, as expected" if key == "outcome" and none_is_well else f"no {key}"
            yield name, replace(result, **nothing)


def _changed(seen: Observation, name: str, value: Any) -> Observation:
    changes: dict[str, Any] = {name: value}
    return replace(seen, **changes)


def _observations(scenario: Scenario, seen: Observation) -> Iterator[tuple[str, Observation]]:
    expect = scenario.expect
    yield from _passes(scenario, seen)
    yield "infra_error", replace(seen, infra_error=InfraError("lost"))
    for state in _STATES:
        if state != seen.state:
            yield f"state {state}", replace(seen, state=state)
    if expect.resources is not None:
        yield "resources unread", replace(seen, leaked=None)
        other = ["map 7 (one more)"] if expect.resources == "released" else []
        yield "resources", replace(seen, leaked=other)
    for kind in expect.reports:
        rest = [report for report in seen.reports if kind not in report.kinds]
        yield f"reports without {kind}", replace(seen, reports=rest)
    if seen.state == "alive":
        # The runner reads them together.
        yield "counts unread", replace(seen, taint=None, counters={}, rex_total=None)
    for counter in {"oops", "warn"} - set(expect.counters):
        more = {**seen.counters, counter: seen.counters.get(counter, 0) + 1}
        yield f"counters.{counter} without a report", replace(seen, counters=more, reports=[])
    yield "taint without a report", replace(seen, taint="DW", reports=[])
    strange = Report("ubsan", "a report that nothing allows", ("line",), 1)
    yield "reports with ubsan", replace(seen, reports=[*seen.reports, strange])
    for key, kept in (("counters", "counters"), ("bpf_objects", "bpf_objects"), ("rex", "rex")):
        for word in getattr(expect, key):
            left: dict[str, Any] = {
                name: value for name, value in (getattr(seen, kept) or {}).items() if name != word
            }
            yield f"{key} without {word}", _changed(seen, kept, left)
    if expect.extension_report is not None:
        yield "extension_reports", replace(seen, extension_reports=[])


def _passes(scenario: Scenario, seen: Observation) -> Iterator[tuple[str, Observation]]:
    expect, first = scenario.expect, seen.first

    def of(**changes: Any) -> Observation:
        return replace(seen, first=replace(first, **changes))

    if first.results:
        if not first.interrupted:
            yield "last step missing", of(results=first.results[:-1])
        yield "all steps missing", of(results=[], maps={}, outcomes=Counter(), gauges=[])
    if expect.outcome:
        yield "outcomes", of(outcomes=Counter())
    if expect.verifier_log is not None:
        yield "logs", of(results=[replace(result, log="") for result in first.results])
    for ref, keys in expect.maps.items():
        for key in keys:
            found = {**first.maps, ref: {**first.maps.get(ref, {}), key: None}}
            yield f"maps.{ref}[{key}]", of(maps=found)
    if expect.slopes:
        yield "gauges", of(gauges=first.gauges[:3])
    if expect.received is not None:
        yield "received", of(results=[replace(one, received=None) for one in first.results])
    if expect.kernel == "alive":
        yield "interrupted", of(interrupted="step 1: the connection broke")
    if expect.reusable and seen.second is not None:
        second = seen.second
        yield "second", replace(seen, second=None)
        yield "second empty", replace(seen, second=Iteration())
        if second.outcomes:
            yield "second outcomes", replace(seen, second=replace(second, outcomes=Counter()))
        for word, bound in (expect.outcome or {}).items():
            if bound.equals is not None:
                more = Counter({**second.outcomes, word: second.outcomes.get(word, 0) + 1})
                yield (
                    f"second outcomes.{word}",
                    replace(seen, second=replace(second, outcomes=more)),
                )
        if expect.maps:
            yield "second maps", replace(seen, second=replace(second, maps={}))
        yield "second interrupted", replace(seen, second=replace(second, interrupted="it broke"))
        yield (
            "second without its end",
            replace(seen, second=replace(second, results=second.results[:-1])),
        )
