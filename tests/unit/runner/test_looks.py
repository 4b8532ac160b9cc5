# SPDX-License-Identifier: GPL-2.0-only
"""Looks at CPUs from outside, and what they prove about a kernel that does not answer."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any
from unittest.mock import create_autospec

import pytest

from lab.deadline import Deadline, DeadlineExceeded
from lab.oracle import liveness
from lab.oracle.console.lines import Shape
from lab.oracle.evidence import Evidence
from lab.runner import looks, watch
from lab.runner.baseline import Baseline
from lab.runner.looks import Looks
from lab.vm.console import Console
from lab.vm.qmp import QmpFailed
from lab.vm.registers import CpuRegisters

NONCE = "0123456789abcdef"
SOFT = "soft-lockup"


def cpus(off: set[int], bound: set[int], number: int = 2) -> tuple[CpuRegisters, ...]:
    """Return CPUs with interrupts off, others in the kernel, and idle ones."""
    return tuple(
        CpuRegisters(cpu, 0, 0x046 if cpu in off else 0x246, 0, halted=cpu not in off | bound)
        for cpu in range(number)
    )


class Cpus:
    """A machine whose CPUs are seen as `seen` has them, the last of it for good."""

    def __init__(self, *seen: tuple[set[int], set[int]], accel: str = "tcg") -> None:
        self.seen, self.count, self.since = seen, 0, 0
        self.enough = threading.Event()
        self.ended = self.panicked = self.gone = False
        self.age, self.events, self.exit_status, self.stderr, self.started_at = 1.0, (), None, "", 0
        self.shape = SimpleNamespace(cpus=2, accel=accel, icount=None)
        self.waits = 0  # for a report of a detector
        self.console: Any = create_autospec(Console, instance=True)
        self.console.count = 0
        self.console.wait_for = self.wait_for

    def by_faster_clock(self, seconds: float) -> Deadline:
        return Deadline(seconds)

    def wait_for(self, found: Callable[[Any], bool], limit: Deadline, what: str) -> bool:
        self.waits += 1
        if not found([]):
            raise DeadlineExceeded(what, limit.seconds)
        return True

    def registers(self) -> tuple[CpuRegisters, ...]:
        if self.gone:
            raise QmpFailed("QEMU is gone")
        found = self.seen[min(self.count, len(self.seen) - 1)]
        self.count += 1
        self.since += 1
        if self.since > len(self.seen) + 2:
            self.enough.set()
        return cpus(*found)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looks, "INTERVAL", 0.001)
    monkeypatch.setattr(looks, "ENOUGH_SECONDS", 0.001)
    monkeypatch.setattr(looks, "ENOUGH_LOOKS", 2)


@pytest.mark.parametrize(
    ("seen", "off"),
    [
        ([{0, 1}, {0, 1}], {0, 1}),
        ([{0, 1}, {1}, {0, 1}], {1}),
        ([{0}, {1}], set()),
        ([set()], set()),
    ],
)
def test_a_cpu_has_interrupts_off_if_it_does_at_every_look(
    seen: list[set[int]], off: set[int]
) -> None:
    vm: Any = Cpus(*((one, set()) for one in seen))
    with Looks(vm) as found:
        if off:
            assert vm.enough.wait(10)
        else:
            found._thread.join(10)  # it ends alone
    assert found.interrupts_off == off
    assert not off or found.enough


def test_looks_at_a_machine_that_is_gone_find_nothing() -> None:
    vm: Any = Cpus(({1}, set()))
    with Looks(vm) as found:
        assert vm.enough.wait(10)
        vm.gone = True
        found._thread.join(10)
    assert not found.interrupts_off | found.bound
    vm = Cpus(({1}, set()))
    with Looks(vm) as found:
        assert vm.enough.wait(10)
        vm.panicked = True
    assert not found.interrupts_off | found.bound


def answer(*cpus: int, heard: bool = True) -> Evidence:
    if not heard:
        return liveness.silence(NONCE, 2, "no channel", 7.0)
    lines = "\n".join(f'{{"nonce": "{NONCE}", "ok": true, "cpu": {cpu}}}' for cpu in cpus)
    return liveness.judge(NONCE, lines, 2, 4.0)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[Any, list[str], int]]:
    """Return a call that gives the state, the kinds of the evidence, and the number of nonces."""
    monkeypatch.setattr(watch, "LOOKS_AFTER", 0.0)
    monkeypatch.setattr(watch, "DETECTOR_SECONDS", 0.01)

    def state(vm: Any, *answers: Evidence, stalls: tuple[str, ...] = (), **about: Any) -> Any:
        guest: Any = SimpleNamespace(machine=vm)
        one = watch.Watch(guest, create_autospec(Baseline, instance=True), Shape(True, True, True))
        said = {"cpu": None, "at": vm.age, **about}
        monkeypatch.setattr(one, "reports", lambda: [SimpleNamespace(kinds=stalls, **said)])
        left = list(answers)

        def ask(_patience: float, _opening: float) -> Evidence:
            if not liveness.all_answered(left[0]):
                vm.since = 0
                vm.enough.clear()
                vm.enough.wait(0.1)
            return left.pop(0)

        monkeypatch.setattr(one, "_ask", ask)
        found, evidence = one.state()
        return found, [item.kind for item in evidence], len(answers) - len(left)

    return state


DEAF_1, BOUND_1 = ({1}, set[int]()), (set[int](), {1})
ALL_DEAF: tuple[set[int], set[int]] = ({0, 1}, set())
IDLE = (set[int](), set[int]())


@pytest.mark.parametrize(
    ("seen", "stalls", "first", "kind"),
    [
        (ALL_DEAF, (), answer(heard=False), "interrupts-off"),
        (DEAF_1, ("hard-lockup",), answer(0), "interrupts-off"),
        (DEAF_1, ("hard-lockup",), answer(heard=False), "interrupts-off"),
        (BOUND_1, (SOFT,), answer(0), "kernel-bound"),
        (BOUND_1, ("rcu-stall",), answer(heard=False), "kernel-bound"),
    ],
)
def test_two_sources_that_agree_prove_a_stall_after_one_nonce(
    asked: Any, seen: Any, stalls: tuple[str, ...], first: Evidence, kind: str
) -> None:
    assert asked(Cpus(seen), first, stalls=stalls) == ("stalled", ["liveness", kind], 1)


@pytest.mark.parametrize(
    ("vm", "stalls", "first"),
    [
        (Cpus(BOUND_1), (), answer(0)),  # no detector
        (Cpus(BOUND_1), ("warning",), answer(0)),
        (Cpus(DEAF_1), (), answer(0)),
        (Cpus(IDLE), (SOFT,), answer(0)),  # the CPU is well
        (Cpus(BOUND_1), (SOFT,), answer(1)),  # it is the other one that did not answer
        (Cpus(BOUND_1, accel="kvm"), (SOFT,), answer(0)),  # it may be idle
    ],
)
def test_one_source_alone_leaves_a_second_nonce(
    asked: Any, vm: Any, stalls: tuple[str, ...], first: Evidence
) -> None:
    assert asked(vm, first, answer(0, 1), stalls=stalls) == ("alive", ["liveness"], 2)


@pytest.mark.parametrize(
    "about", [{"cpu": 0}, {"at": 0.9}, {"cpu": 1, "at": 0.9}], ids=["another CPU", "old", "both"]
)
def test_a_report_about_another_stall_proves_nothing(asked: Any, about: dict[str, Any]) -> None:
    """A stall that is over, or that of another CPU, does not explain that CPU 1 is silent."""
    for seen in (DEAF_1, BOUND_1):
        found = asked(Cpus(seen), answer(0), answer(0, 1), stalls=(SOFT,), **about)
        assert found == ("alive", ["liveness"], 2)
    assert asked(Cpus(BOUND_1), answer(0), stalls=(SOFT,), cpu=1)[0] == "stalled"


def test_few_looks_prove_nothing(asked: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that leaves QEMU no time shows the same registers for seconds."""
    monkeypatch.setattr(looks, "ENOUGH_LOOKS", 10**6)
    assert asked(Cpus(ALL_DEAF), answer(heard=False), answer(0, 1))[0] == "alive"


def test_a_kernel_that_panics_after_its_report_has_crashed(
    asked: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    vm: Any = Cpus(BOUND_1)
    panic = SimpleNamespace(name="GUEST_PANICKED", data={"action": "pause"}, at=2.0)

    def quiet(_watch: watch.Watch) -> None:
        vm.panicked, vm.events = True, (panic,)

    monkeypatch.setattr(watch.Watch, "wait_for_quiet", quiet)
    vm.wait_for_final_output = lambda _limit: None
    assert asked(vm, answer(0), stalls=(SOFT,))[:2] == ("crashed", ["guest-panic"])


def test_a_cpu_that_answers_neither_nonce_has_stalled(asked: Any) -> None:
    state, kinds, nonces = asked(Cpus(IDLE), answer(0), answer(0))
    assert (state, kinds, nonces) == ("stalled", ["liveness", "liveness"], 2)


@pytest.mark.parametrize(("seen", "state"), [(DEAF_1, "stalled"), (BOUND_1, None), (IDLE, None)])
def test_silence_is_a_stall_only_if_a_cpu_is_seen_stuck(
    asked: Any, seen: Any, state: str | None
) -> None:
    silent = answer(heard=False)
    assert asked(Cpus(seen), silent, silent)[0] == state


def test_no_detector_is_waited_for_where_no_cpu_stays_in_the_kernel(asked: Any) -> None:
    vm, silent = Cpus(IDLE), answer(heard=False)
    assert asked(vm, silent, silent)[0] is None
    assert vm.waits == 0
    stuck = Cpus(BOUND_1)
    assert asked(stuck, silent, silent)[0] is None
    assert stuck.waits == 1


def test_a_kernel_that_answers_is_not_looked_at(asked: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(watch, "LOOKS_AFTER", 60.0)
    vm = Cpus(ALL_DEAF)
    assert asked(vm, answer(0, 1)) == ("alive", ["liveness"], 1)
    assert vm.count == 0
