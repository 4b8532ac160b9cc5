# SPDX-License-Identifier: GPL-2.0-only
"""The faster of two clocks: the guest's, by instructions, and the host's."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest

from lab.deadline import Deadline, DeadlineExceeded
from lab.vm.argv import Shape
from lab.vm.clock import ASK_SECONDS, FasterClock
from lab.vm.machine import Machine
from lab.vm.qmp import QmpFailed

SHIFT = 6
A_SECOND = 10**9 >> SHIFT  # in instructions


class Both:
    """A host's clock and a guest's count of instructions, both set by hand."""

    def __init__(self, count: int = 0) -> None:
        self.now, self.count, self.gone, self.asked = 100.0, count, False, 0

    def host(self) -> float:
        return self.now

    def executed(self) -> int:
        self.asked += 1
        if self.gone:
            raise QmpFailed("QEMU is gone")
        return self.count

    def clock(self) -> FasterClock:
        return FasterClock(self.executed, SHIFT, self.host)


def test_a_guest_that_runs_ahead_ends_a_wait_early() -> None:
    both = Both(count=7 * A_SECOND)  # of a machine that has run before
    limit = Deadline(6.0, both.clock())
    both.now += 1.0
    both.count += 5 * A_SECOND
    assert not limit.expired
    assert limit.remaining == pytest.approx(1.0)
    both.now += 0.1
    both.count += A_SECOND
    assert limit.expired


def test_a_guest_whose_time_stands_still_meets_the_hosts_bound() -> None:
    both = Both()
    limit = Deadline(6.0, both.clock())
    both.now += 5.9
    assert not limit.expired
    both.now += 0.2
    assert limit.expired


def test_without_an_answer_of_qemus_the_hosts_clock_goes_on() -> None:
    both = Both()
    clock = both.clock()
    both.now, both.count = both.now + 1.0, 3 * A_SECOND
    assert clock() == pytest.approx(3.0)
    both.gone, both.now = True, both.now + 1.0
    assert clock() == pytest.approx(3.0)  # never backwards
    both.now += 2.0
    assert clock() == pytest.approx(4.0)
    silent = Both()
    silent.gone = True
    lone = silent.clock()
    silent.gone, silent.count, silent.now = False, 9 * A_SECOND, silent.now + 1.0
    assert lone() == pytest.approx(1.0)


def test_qemu_is_not_asked_at_each_look() -> None:
    both = Both()
    clock = both.clock()
    for _ in range(10):
        both.now += ASK_SECONDS / 20
        clock()
    assert both.asked == 1
    both.now += ASK_SECONDS
    clock()
    assert both.asked == 2


def test_a_wait_by_another_clock_looks_at_it_now_and_then() -> None:
    assert Deadline(60.0).nap == pytest.approx(60.0, abs=1.0)
    assert Deadline(60.0, Both().clock()).nap < 0.1
    both = Both()
    limit = Deadline(0.01, both.clock())
    both.now += 1.0
    assert limit.nap == 0.0
    with pytest.raises(DeadlineExceeded):
        limit.check("it")


@pytest.mark.parametrize("icount", [None, SHIFT])
def test_only_a_machine_that_counts_instructions_has_a_clock_of_its_own(icount: int | None) -> None:
    machine: Any = Machine(Shape(icount=icount), None)  # type: ignore[arg-type]
    machine.qmp = SimpleNamespace(execute=lambda _command: {"icount": 1, "mode": "none"})
    other = machine.by_faster_clock(6.0)
    assert (other.clock is time.monotonic) == (icount is None)
    assert other.remaining == pytest.approx(6.0, abs=1.0)


def test_a_step_ends_with_its_item_by_the_items_own_clock() -> None:
    counted = [0]
    machine: Any = Machine(Shape(icount=SHIFT), None)  # type: ignore[arg-type]
    machine.qmp = SimpleNamespace(execute=lambda _command: {"icount": counted[0]})
    now = [0.0]
    item = Deadline(10.0, lambda: now[0])
    step = machine.by_faster_clock(60.0, item)
    counted[0] = int(30e9) >> SHIFT  # half a minute of the guest's time
    assert step.at_most(60.0).remaining > 9.0, "the item's time is the host's"
    now[0] = 10.0
    assert step.expired
