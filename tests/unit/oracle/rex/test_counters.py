# SPDX-License-Identifier: GPL-2.0-only
"""Test the counters of native programs: seeded faults, and benign runs without findings."""

from __future__ import annotations

import contextlib
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.errors import InfraError
from lab.guest.ssh import ConnectionLost
from lab.oracle import counters
from lab.oracle.console.lines import Shape
from lab.oracle.evidence import Trust
from lab.oracle.rex import counters as rex
from lab.runner.baseline import take_baseline
from lab.runner.watch import Watch
from lab.words import BPF_OBJECT_KINDS, REX_COUNTERS, REX_RESOURCES


def files(held: dict[str, int] | None = None, **counts: int) -> dict[str, str | None]:
    """The kernel's files, with these numbers and 0 for the others."""
    return {
        rex.STATS: "".join(f"{name} {counts.get(name, 0)}\n" for name in REX_COUNTERS),
        rex.LEDGER: "".join(f"{name} {(held or {}).get(name, 0)}\n" for name in REX_RESOURCES),
    }


def at(held: dict[str, int] | None = None, **counts: int) -> rex.Snapshot | None:
    return rex.snapshot(files(held, **counts))


NONE = rex.snapshot(dict.fromkeys(rex.FILES))


def test_the_words_are_the_kernels() -> None:
    assert REX_COUNTERS[0] == "runs"
    for prefix in ("leaked", "released"):
        assert {f"{prefix}_{what}" for what in REX_RESOURCES} <= set(REX_COUNTERS)


def test_a_kernel_without_native_programs_has_no_counters() -> None:
    assert NONE is None
    assert rex.increase(NONE, NONE) == {}
    assert rex.left_held(NONE, NONE) == []
    assert rex.evidence(NONE, NONE) == []


def test_nothing_happened() -> None:
    assert not any(rex.increase(at(runs=3), at(runs=3)).values())
    assert rex.left_held(at({"task": 1}), at({"task": 1})) == []
    assert rex.evidence(at(runs=3), at(runs=3)) == []


def test_what_rose_and_what_is_held_is_seen() -> None:
    before, now = at(runs=3), at({"spin_lock": 1, "task": 2}, runs=5, panicked=2, leaked_task=1)
    rose: dict[str, int] = {
        name: value for name, value in rex.increase(before, now).items() if value
    }
    assert rose == {"runs": 2, "panicked": 2, "leaked_task": 1}
    assert rex.left_held(before, now) == ["rex spin_lock 1", "rex task 2"]
    (found,) = rex.evidence(before, now)
    assert found.trust is Trust.COUNTER
    assert dict(found.data) == {"held": rex.left_held(before, now), **rose}
    assert "panicked by 2" in found.summary
    assert "rex task 2" in found.summary


def test_only_more_than_at_the_baseline_is_left() -> None:
    assert rex.left_held(at({"task": 2}), at({"task": 3, "rcu": 0})) == ["rex task 1"]
    assert rex.left_held(at({"task": 2}), at({"task": 1})) == []


@pytest.mark.parametrize(("before", "now"), [(at(), NONE), (NONE, at())])
def test_counters_that_appear_or_disappear_are_an_infra_error(before: Any, now: Any) -> None:
    for look in (rex.increase, rex.left_held, rex.evidence):
        with pytest.raises(InfraError, match="be read"):
            look(before, now)


def test_a_counter_that_went_backwards_is_an_infra_error() -> None:
    with pytest.raises(InfraError, match=r"panicked .* from 2 to 1") as caught:
        rex.increase(at(panicked=2), at(panicked=1))
    assert "rex/reset" in caught.value.hint


@pytest.mark.parametrize(
    "change",
    [
        {rex.LEDGER: None},
        {rex.STATS: None},
        {rex.STATS: "runs 1\n"},
        {rex.LEDGER: "spin_lock 0\nrcu 0\nringbuf 0\ntask 0\n"},
        {rex.LEDGER: str(files()[rex.LEDGER]) + "task 1\n"},
        {rex.LEDGER: str(files()[rex.LEDGER]).replace("task 0", "task -1")},
        {rex.STATS: str(files()[rex.STATS]).replace("runs 0", "runs")},
        {rex.STATS: str(files()[rex.STATS]).replace("runs 0", "runs 0 1")},
        {rex.STATS: ""},
    ],
)
def test_incomplete_counters_are_an_infra_error(change: dict[str, str | None]) -> None:
    with pytest.raises(InfraError):
        rex.snapshot({**files(), **change})


def test_what_a_later_kernel_counts_is_left_out() -> None:
    more = {**files(runs=1), rex.STATS: str(files(runs=1)[rex.STATS]) + "throttled 3\n"}
    assert rex.snapshot(more) == at(runs=1)


@given(st.text(max_size=80), st.text(max_size=40))
def test_any_text_is_counters_or_an_infra_error(stats: str, ledger: str) -> None:
    with pytest.raises(InfraError):
        rex.snapshot({rex.STATS: stats, rex.LEDGER: ledger})


@given(st.dictionaries(st.sampled_from(REX_COUNTERS), st.integers(0, 2**64 - 1)))
def test_every_counter_is_read(counts: dict[str, int]) -> None:
    rose = rex.increase(at(), at(None, **counts))
    assert rose == {name: counts.get(name, 0) for name in REX_COUNTERS}


# The stacks


def stacks(*untouched: int) -> str:
    """Return the text of the kernel's file on the stacks of two CPUs."""
    return "".join(
        f"cpu {number % 2} depth {number // 2} untouched {left}\n"
        for number, left in enumerate(untouched)
    )


def used(*untouched: int, **counts: int) -> rex.Snapshot | None:
    return rex.snapshot({**files(None, **counts), rex.STACKS: stacks(*untouched)})


def test_a_kernel_need_not_tell_of_its_stacks() -> None:
    before = at()
    assert before is not None
    assert before.untouched is None
    assert rex.near_overflow_stacks(before, at(runs=1)) == []
    assert rex.near_overflow_stacks(NONE, NONE) == []


def test_no_stack_was_made_before_the_first_program() -> None:
    before, now = used(), used(65536, 57312, 65536, 65536, runs=2)
    assert before is not None
    assert before.untouched == {}
    assert now is not None
    assert now.untouched == {(0, 0): 65536, (1, 0): 57312, (0, 1): 65536, (1, 1): 65536}
    assert rex.near_overflow_stacks(before, now) == []
    (found,) = rex.evidence(before, now)
    assert found.data["untouched"] == 57312


def test_a_stack_that_was_used_nearly_to_its_end_is_seen() -> None:
    now = used(65536, rex.STACK_MARGIN, rex.STACK_MARGIN - 8, 0)
    left = ["1016 bytes of CPU 0's at depth 1", "0 bytes of CPU 1's at depth 1"]
    assert rex.near_overflow_stacks(used(), now) == left
    (found,) = rex.evidence(used(), now)
    assert "left of stacks: 1016 bytes of CPU 0's at depth 1" in found.summary
    assert found.data["untouched"] == 0


@pytest.mark.parametrize(("before", "now"), [(at(), used(8)), (used(), at())])
def test_stacks_that_come_or_go_are_an_infra_error(before: Any, now: Any) -> None:
    with pytest.raises(InfraError, match="only at times"):
        rex.near_overflow_stacks(before, now)


@pytest.mark.parametrize(
    "text",
    [
        "cpu 0 depth 0 untouched -8\n",
        "cpu 0 depth 0 untouched\n",
        "cpu 0 depth 0 untouched 8 9\n",
        "cpu 0 untouched 8\n",
        "cpu ٣ depth 0 untouched 8\n",
        "\n",
        stacks(8) + stacks(16),
    ],
)
def test_stacks_that_are_none_are_an_infra_error(text: str) -> None:
    with pytest.raises(InfraError, match=r"rex/stacks has a malformed line"):
        rex.snapshot({**files(), rex.STACKS: text})


@given(st.text(max_size=60))
def test_any_text_is_stacks_or_an_infra_error(text: str) -> None:
    with contextlib.suppress(InfraError):
        found = rex.snapshot({**files(), rex.STACKS: text})
        assert found is not None
        assert all(left >= 0 for left in (found.untouched or {}).values())


# In the watch


class Guest:
    """A guest whose files are these."""

    def __init__(self, *answers: dict[str, str | None]) -> None:
        self.answers = list(answers)
        console = SimpleNamespace(count=0, tap=lambda _hear: lambda: None)
        self.machine = SimpleNamespace(console=console, age=0.0)

    def bpf_objects(self) -> dict[str, Any]:
        return {kind: [] for kind in BPF_OBJECT_KINDS}

    def read_files(self, paths: Any) -> dict[str, str | None]:
        now = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        known = dict.fromkeys(counters.FILES, "0\n") | now
        return {path: known.get(path) for path in paths}


def watch(*answers: dict[str, str | None]) -> Watch:
    guest: Any = Guest(*answers)
    return Watch(guest, take_baseline(guest), Shape(True, True, True))


def test_what_is_held_for_a_moment_is_waited_for() -> None:
    aftermath = watch(files(), files({"task": 1}, runs=1), files(runs=1)).aftermath()
    assert aftermath.left == []
    assert aftermath.rex["runs"] == 1


def test_what_stays_held_is_left_over() -> None:
    one = watch(files(), files({"task": 1}, runs=1))
    aftermath = one.aftermath(leak_expected=True)
    assert aftermath.left == ["rex task 1"]
    assert [found.summary for found in one.evidence if found.kind == "rex"]


def test_a_stack_near_overflow_is_reported() -> None:
    before = {**files(), rex.STACKS: ""}
    one = watch(before, {**files(runs=1, overflowed=1), rex.STACKS: stacks(65536, 16)})
    aftermath = one.aftermath()
    assert aftermath.left == []
    assert aftermath.near_overflow_stacks == ["16 bytes of CPU 1's at depth 0"]


def test_the_counters_of_the_first_use_are_separate() -> None:
    one = watch(files(runs=1), files(runs=4), files(runs=9))
    assert one.rex()["runs"] == 3
    assert one.rex()["runs"] == 8


def test_no_answer_is_left_to_the_oracles_that_come_after() -> None:
    from lab.runner.run import Run

    def broken() -> Any:
        raise ConnectionLost("it broke")

    run: Any = Run(SimpleNamespace())  # type: ignore[arg-type]
    assert run._read_rex(SimpleNamespace(rex=broken)) is None


def test_counters_that_were_reset_are_fewer_than_their_programs_say() -> None:
    rex.check_counted({"panicked": 3, "rejected": 1}, {"panicked": 4, "runs": 4})
    with pytest.raises(InfraError, match="counts 0 runs that panicked"):
        rex.check_counted({"panicked": 3}, {"runs": 4})
