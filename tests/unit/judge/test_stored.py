# SPDX-License-Identifier: GPL-2.0-only
"""Stored observations: nothing is lost, and what is damaged or of another item is refused."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from harness import observations
from hypothesis import given
from hypothesis import strategies as st

from lab.errors import InfraError, UserError
from lab.extension.symbolise import Frame
from lab.judge import judge, stored
from lab.judge.extension_reports import ExtensionReport
from lab.judge.observation import Iteration, Observation
from lab.oracle.console.forgeries import Forgery
from lab.oracle.console.losses import Loss
from lab.oracle.modules.reports import Cause
from lab.oracle.rex.reports import RexReport
from lab.scenario.items import Item, items
from lab.scenario.model.base import Ref
from lab.scenario.model.scenario import Scenario

Load = Callable[[str], Scenario]


def item_of(scenario: Scenario) -> Item:
    return items(scenario)[0]


def again(seen: Observation, item: Item) -> Observation:
    return stored.from_json(stored.to_json(seen, item), item)


@pytest.mark.parametrize(
    ("text", "make"),
    [
        (observations.SHORT, observations.good),
        (observations.STEPS, observations.good_steps),
        (observations.REX, observations.good_rex),
        (observations.RECEIVED, observations.good_received),
    ],
)
def test_an_observation_comes_back_as_it_was(
    load: Load, text: str, make: Callable[[Scenario], Observation]
) -> None:
    item = item_of(load(text))
    seen = make(item.scenario)
    found = again(seen, item)
    assert found == seen
    assert judge(item.scenario, found) == judge(item.scenario, seen)
    steps = item.scenario.all_steps()
    assert all(any(one.step is step for step in steps) for one in found.first.results)


def test_each_field_comes_back_as_it_was(load: Load) -> None:
    item = item_of(load(observations.SHORT))
    seen = observations.good(item.scenario)
    report = observations.report("oops")
    panic = RexReport("deep", 7, "panicked", 1, "no", "src/lib.rs:9", (0x10,))
    frame = Frame(0x10, "panics::deep", "src/lib.rs", 9)
    seen.reports = [report]
    seen.extension_reports = [ExtensionReport(panic, Ref("a", "deep"), (frame,))]
    seen.forgeries, seen.forged = [Forgery(3, 0.5, "BUG: \x1b", "serial")], 9
    seen.losses = [Loss(4, 0.5, "text")]
    seen.causes = [Cause("a timer", report, True, "start")]
    seen.first.maps = {Ref("a", "counts"): {5: 1, "5": None, "ab": 2}}
    seen.first.programs = {12: Ref("a", "deep")}
    seen.first.outcomes = Counter(returned=3)
    seen.rex, seen.rex_total = None, {"runs": 3}
    found = again(seen, item)
    assert found == seen
    assert found.first.maps[Ref("a", "counts")] == {5: 1, "5": None, "ab": 2}
    assert isinstance(found.first.outcomes, Counter)
    assert found.causes[0].report.kinds == report.kinds


def test_what_the_lab_could_not_do_comes_back(load: Load) -> None:
    item = item_of(load(observations.SHORT))
    error = InfraError("the lab lost the guest", hint="look", details="a\nb")
    found = again(Observation(infra_error=error), item)
    assert found.infra_error is not None
    assert str(found.infra_error) == str(error)
    assert judge(item.scenario, found).verdict == "error"


def test_an_observation_of_another_item_is_refused(load: Load) -> None:
    scenario = load(observations.SHORT)
    item = item_of(scenario)
    text = stored.to_json(observations.good(scenario), item)
    (other,) = items(scenario, ["debian"])
    with pytest.raises(UserError, match=r"is of basic/case@stock, not of basic/case@debian"):
        stored.from_json(text, other)


def test_other_steps_are_refused(load: Load) -> None:
    item = item_of(load(observations.SHORT))
    text = stored.to_json(observations.good(item.scenario), item)
    changed = item_of(load(observations.SHORT.replace("getpid", "getppid")))
    with pytest.raises(UserError, match="the item is not the one that ran"):
        stored.from_json(text, changed)


@pytest.mark.parametrize(
    "change",
    [("times: 5", "times: 6"), ("extension: {c: count}", "extension: {c: other}"), (
        "trigger:",
        "machine: {cpus: 1}\n    trigger:",
    )],
)  # fmt: skip
def test_whatever_decides_what_an_item_does_may_not_change(
    load: Load, change: tuple[str, str]
) -> None:
    item = item_of(load(observations.SHORT))
    text = stored.to_json(observations.good(item.scenario), item)
    changed = item_of(load(observations.SHORT.replace(*change)))
    with pytest.raises(UserError, match="the item is not the one that ran"):
        stored.from_json(text, changed)


def test_what_was_not_observed_is_not_judged(load: Load) -> None:
    item = item_of(load(observations.SHORT))
    seen = observations.good(item.scenario)
    seen.second, seen.first.programs = None, {3: Ref("main", "count")}
    text = stored.to_json(seen, item)
    with pytest.raises(UserError, match="was not observed: reusable"):
        stored.from_json(text, item)
    changed = load(observations.SHORT.replace("reusable: true", "maps: {counts: {0: 1}}"))
    with pytest.raises(UserError, match=r"was not observed: maps \(main\.counts\[0\]\)"):
        stored.from_json(text, item_of(changed))


def test_other_expectations_are_judged(load: Load) -> None:
    item = item_of(load(observations.SHORT))
    text = stored.to_json(observations.good(item.scenario), item)
    changed = item_of(load(observations.SHORT.replace("returned: 5", "returned: 6")))
    assert judge(changed.scenario, stored.from_json(text, changed)).verdict == "failed"


def _damaged() -> list[tuple[str, Callable[[dict[str, Any]], object]]]:
    return [
        ("version", lambda data: data.update(version=99)),
        ("no item", lambda data: data.pop("item")),
        ("no observation", lambda data: data.pop("observation")),
        ("no digest", lambda data: data.pop("ran")),
        ("a state", lambda data: data["observation"].update(state="well")),
        ("a step", lambda data: data["observation"]["first"]["results"][0].update(step=77)),
        ("a map", lambda data: data["observation"]["first"].update(maps=[["a", "b"]])),
        ("a key", lambda data: data["observation"]["first"].update(maps=[["a", "b", [[[], 1]]]])),
        ("trouble", lambda data: data["observation"].update(infra_error={})),
    ]


@pytest.mark.parametrize("change", [one for _, one in _damaged()], ids=[n for n, _ in _damaged()])
def test_what_is_damaged_is_refused(load: Load, change: Callable[[dict[str, Any]], object]) -> None:
    item = item_of(load(observations.SHORT))
    data = json.loads(stored.to_json(observations.good(item.scenario), item))
    change(data)
    with pytest.raises(UserError):
        stored.from_json(json.dumps(data), item)


_VALUES = st.recursive(st.none() | st.integers() | st.text(), st.lists)


@given(text=st.text() | _VALUES.map(json.dumps))
def test_no_text_is_taken_for_an_observation(text: str) -> None:
    with pytest.raises(UserError):
        stored.item_id(text)


@given(text=st.text(st.characters()))
def test_every_text_of_a_guest_comes_back(text: str) -> None:
    seen = Observation(first=Iteration(interrupted=text), console=text)
    adapter, context = stored._adapter(), {"steps": ()}
    data = json.dumps(adapter.dump_python(seen, mode="json", context=context))
    found = adapter.validate_python(json.loads(data), context=context)
    assert (found.console, found.first.interrupted) == (text, text)
