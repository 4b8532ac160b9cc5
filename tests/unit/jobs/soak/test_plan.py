# SPDX-License-Identifier: GPL-2.0-only
"""Test the rounds of a soak: drawn from the seed alone, within bounds, with all behaviours."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.extension.rust import source
from lab.jobs.soak import crosscheck
from lab.jobs.soak.options import PROTECTIONS, SoakOptions
from lab.jobs.soak.plan import (
    BEHAVIOURS,
    COUNTS,
    HOOKS,
    LENGTH,
    LOOP_MS,
    MAX_LOOPS,
    PLUG,
    Round,
    Schedule,
    as_scenario,
    draw,
)
from lab.jobs.soak.run import item_of
from lab.scenario.model.background import CpuHotplug
from lab.scenario.model.steps import StartStep, StopStep, UnloadStep
from lab.workspace import CHECKOUT

SOURCES = CHECKOUT / "extensions" / "rust" / "soak" / "src"
BY_NAME = {behaviour.name: behaviour for behaviour in BEHAVIOURS}

seeds = st.integers(0, 2**32 - 1)
numbers = st.integers(1, 100_000)
cpus = st.integers(1, 16)
rounds = st.builds(draw, seeds, numbers, cpus, beyond=st.booleans())


@given(seeds, numbers, cpus)
def test_the_seed_determines_a_round(seed: int, number: int, cpus: int) -> None:
    first = draw(seed, number, cpus)
    draw(seed + 1, number + 7, cpus)  # other draws in between do not matter
    assert as_scenario(draw(seed, number, cpus)) == as_scenario(first)


def test_a_round_is_the_same_on_any_host() -> None:
    # These values are fixed: a seed from a bug report must give the same round here.
    one = draw(1, 1, 4)
    assert (one.budget_ms, one.plug, one.churn, one.abrupt) == (80, None, True, False)
    assert one.schedules["kprobe"].behaviours[:4] == ("return", "maps", "fault_null", "panic")


@given(seeds, numbers, cpus)
def test_other_seeds_and_numbers_give_other_rounds(seed: int, number: int, cpus: int) -> None:
    one = as_scenario(draw(seed, number, cpus))
    assert as_scenario(draw(seed, number + 1, cpus))["steps"] != one["steps"]
    assert as_scenario(draw(seed + 1, number, cpus))["steps"] != one["steps"]


@given(rounds)
def test_a_round_is_within_bounds(one: Round) -> None:
    assert 10 <= one.budget_ms <= 100
    assert one.plug is None or 0 < one.plug < one.cpus
    steady = set(range(one.cpus)) - {one.plug}
    assert set(one.calls) <= steady
    assert one.calls
    assert one.sampled in steady
    assert one.traffic is None or one.traffic in steady
    # One CPU must be left to end loops with interrupts off.
    assert one.masked == one.cpus - (one.plug is not None) - (not one.beyond)
    for schedule in one.schedules.values():
        loops = sum(BY_NAME[name].loops for name in schedule.behaviours)
        assert loops <= MAX_LOOPS
        assert loops * one.budget_ms <= LOOP_MS
        assert 1 <= len(schedule.behaviours) <= LENGTH
        assert schedule.stride >= 1
        assert len(bytes.fromhex(schedule.bytes()[2:])) == 8 + LENGTH


@given(rounds)
def test_all_cpus_are_there_at_the_end(one: Round) -> None:
    """Stopping hotplug brings its CPU back, and each job that is started is stopped once."""
    scenario = item_of(one, "rex").scenario
    started = [step.start for step in scenario.all_steps() if isinstance(step, StartStep)]
    stopped = [step.stop for step in scenario.all_steps() if isinstance(step, StopStep)]
    assert set(started) == set(scenario.background)
    assert set(started) <= set(stopped)
    assert len(set(stopped)) == len(stopped)
    if one.plug is not None:
        assert isinstance(scenario.background[PLUG], CpuHotplug)
        assert PLUG in stopped
    unloaded = [step.unload for step in scenario.all_steps() if isinstance(step, UnloadStep)]
    assert unloaded == ["main"]
    # The counts are read only when nothing runs any more.
    labels = [step.label for step in scenario.all_steps()]
    assert (COUNTS in labels) != one.abrupt
    if not one.abrupt:
        assert labels.index("write main.gate[0] = 0") < labels.index("barrier")
        assert labels.index("barrier") < labels.index(COUNTS) < labels.index("unload main")
    assert scenario.expect.resources == "released"


# About the number of rounds in ten minutes.
ENOUGH = 120


@given(seeds)
def test_enough_rounds_have_everything(seed: int) -> None:
    some = [draw(seed, number, 4) for number in range(1, ENOUGH + 1)]
    for hook in HOOKS:
        drawn = {
            name
            for one in some
            if hook.name in one.schedules
            for name in one.schedules[hook.name].behaviours
        }
        assert drawn == set(BY_NAME), hook.name
    assert {one.plug for one in some} == {None, 1, 2, 3}
    for choice in ("churn", "abrupt", "disable_on_panic"):
        assert {getattr(one, choice) for one in some} == {True, False}, choice
    assert {one.traffic is None for one in some} == {True, False}


def test_the_programs_are_those_of_the_extension() -> None:
    programs = [program.name for program in source.programs_in_source(SOURCES.parent)]
    assert programs == [hook.name for hook in HOOKS]
    numbers = re.findall(
        r"act(?:_with_socket)?\((?:packet, )?(\d+)", (SOURCES / "hooks.rs").read_text()
    )
    assert [int(number) for number in numbers] == list(range(len(HOOKS)))


def test_the_behaviours_are_those_of_the_extension() -> None:
    found = re.findall(r"^const (\w+): u8 = (\d+);$", (SOURCES / "behave.rs").read_text(), re.M)
    assert found == [(one.name.upper(), str(number)) for number, one in enumerate(BEHAVIOURS)]


def test_the_tables_are_as_large_as_those_of_the_extension() -> None:
    text = (SOURCES / "lib.rs").read_text()
    sizes = dict(re.findall(r"^const (\w+): \w+ = (\d+);$", text, re.M))
    assert int(sizes["LENGTH"]) == LENGTH
    assert int(sizes["BEHAVIOURS"]) == crosscheck.PLACES
    assert len(BEHAVIOURS) <= crosscheck.PLACES
    assert len(HOOKS) <= int(sizes["PROGRAMS"])


def test_a_schedule_as_the_extension_reads_it() -> None:
    assert Schedule(3, ("return", "panic")).bytes() == "0x" + "03000000" + "02000000" + (
        "0003" + "00" * (LENGTH - 2)
    )


@pytest.mark.parametrize(
    ("options", "end"),
    [
        (SoakOptions(5, 30.0), "soak --seed 5 --cpus 4 --minutes 30"),
        (SoakOptions(5, 0.5, only=7), "soak --seed 5 --cpus 4 --round 7"),
        (
            SoakOptions(5, 1.0, "rex-debug", 2, without=("ledger",), beyond=True),
            "soak --seed 5 --cpus 2 --kernel rex-debug --without ledger --beyond --minutes 1",
        ),
    ],
)
def test_the_line_to_run_it_again(options: SoakOptions, end: str) -> None:
    assert options.line().endswith(end)
    assert options.line(only=3).endswith("--round 3")


def test_the_protections_are_all_that_the_kernel_can_switch_off() -> None:
    text = (CHECKOUT / "kconfigs" / "rex" / "README.md").read_text()
    (line,) = re.findall(r"^\| `unprotected` \| .*$", text, re.M)
    assert list(PROTECTIONS.values()) == [int(bit) for bit in re.findall(r"\b(\d+) ", line)]
    table = (CHECKOUT / "docs" / "soak.md").read_text()
    assert re.findall(r"^\| `(\w+)` \|", table, re.M) == list(PROTECTIONS)


def test_several_protections_are_switched_off_together() -> None:
    assert SoakOptions(1).unprotected == 0
    assert SoakOptions(1, without=("stack", "guard")).unprotected == 48
    assert SoakOptions(1, without=("ledger", "ledger")).unprotected == 1
