# SPDX-License-Identifier: GPL-2.0-only
"""Packets: the line for the guest, and the results of a step and a pass from its answer."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from lab.deadline import Deadline
from lab.judge.observation import Iteration
from lab.runner.shell_lines import trigger_line
from lab.runner.steps import StepDriver
from lab.scenario.model.base import equals
from lab.scenario.model.expect import TriggerExpect
from lab.scenario.model.steps import TriggerStep
from lab.scenario.model.triggers import PacketsTrigger, SyscallTrigger


@pytest.mark.parametrize(
    ("words", "received", "line"),
    [
        ({}, False, "times=1 size=64"),
        ({}, True, "times=1 size=64 receive=1 protocol=udp"),
        ({"times": 3, "port": 9, "cpu": 1}, False, "times=3 size=64 port=9 cpu=1"),
        ({"protocol": "tcp"}, False, "times=1 size=64 receive=1 protocol=tcp"),
        ({"to": "10.0.0.1"}, False, "times=1 size=64 receive=1 protocol=udp to=10.0.0.1"),
        (
            {"netns": "/run/a", "to_netns": "/run/b"},
            True,
            "times=1 size=64 receive=1 protocol=udp netns=/run/a to_netns=/run/b",
        ),
    ],
)
def test_a_receiver_is_there_where_it_is_asked_for(
    words: dict[str, Any], received: bool, line: str
) -> None:
    trigger = PacketsTrigger(packets="lo", **words)
    assert trigger_line(trigger, received=received) == f"kexttrigger packets dev=lo {line}"


def drive(
    *steps: TriggerStep, answer: dict[str, Any], all_counted: bool
) -> tuple[Iteration, list[str]]:
    lines = []

    def run(line: str, _limit: Deadline) -> Any:
        lines.append(line)
        return SimpleNamespace(status=0, stdout=json.dumps(answer), stderr="", seconds=0.1)

    machine = SimpleNamespace(by_faster_clock=lambda _seconds, outer: outer)
    guest: Any = SimpleNamespace(run=run, machine=machine)
    driver = StepDriver(guest, {}, {}, {}, Deadline(60), count_received=all_counted)
    return driver.run(steps), lines


def packets(expect: TriggerExpect | None = None) -> TriggerStep:
    return TriggerStep(trigger=PacketsTrigger(packets="lo", times=5), expect=expect)


@pytest.mark.parametrize("all_counted", [True, False])
def test_the_answer_of_the_receiver(all_counted: bool) -> None:
    steps = (packets(), packets(TriggerExpect(received=equals(5))))
    answer: dict[str, Any] = {"ok": True, "done": 5, "received": 5, "seconds": 0.1}
    iteration, lines = drive(*steps, answer=answer, all_counted=all_counted)
    assert ["receive=1" in line for line in lines] == [all_counted, True]
    assert [result.received for result in iteration.results] == [5, 5]
    assert iteration.received == 10


def test_what_was_not_counted_is_not_nothing() -> None:
    answer: dict[str, Any] = {"ok": True, "done": 5, "seconds": 0.1}
    iteration, _ = drive(packets(), answer=answer, all_counted=True)
    assert (iteration.results[0].received, iteration.received) == (None, None)
    answer = {"ok": False, "error": "no receiver", "received": 0, "seconds": 0.1}
    iteration, _ = drive(packets(), answer=answer, all_counted=True)
    assert (iteration.results[0].received, iteration.received) == (None, None)
    assert iteration.results[0].problem == "the trigger failed: no receiver"


def test_other_triggers_receive_nothing() -> None:
    step = TriggerStep(trigger=SyscallTrigger(syscall="getpid"))
    iteration, lines = drive(step, answer={"ok": True, "done": 1, "seconds": 0.1}, all_counted=True)
    assert lines == ["kexttrigger syscall getpid times=1"]
    assert iteration.received is None
