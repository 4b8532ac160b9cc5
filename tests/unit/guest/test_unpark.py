# SPDX-License-Identifier: GPL-2.0-only
"""Test the messages to a parked guest, and how its answers are read."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

import pytest

from lab.deadline import Deadline, DeadlineExceeded
from lab.guest import identity
from lab.guest.unpark import UnparkFailed, line, unpark, wait_until_parked
from lab.vm.channel import MAX_BYTES, Channel


class Machine:
    """The part of a machine that unparking needs, with the test as its guest."""

    def __init__(self) -> None:
        ours, self.guest = socket.socketpair()
        self.channel = Channel(ours, lambda: None)
        self.panicked = self.ended = False

    def wait(self, found: Callable[[], bool], deadline: Deadline, what: str) -> None:
        deadline.poll(lambda: found() or None, what, interval=0.005)

    def say(self, answer: dict[str, Any]) -> None:
        self.guest.sendall(json.dumps(answer).encode() + b"\n")


@pytest.fixture
def machine() -> Any:
    return Machine()


def words(text: bytes) -> dict[str, str]:
    verb, *pairs = text.decode().split()
    assert verb == "release"
    return {name: unquote(value) for name, _, value in (pair.partition("=") for pair in pairs)}


def test_the_line_carries_the_whole_identity_of_a_guest() -> None:
    who = identity.fresh()
    text = line(who, b"\x01" * 64, 1_700_000_000_000_000_001)
    assert text.endswith(b"\n")
    assert len(text) < 4096  # what the guest takes
    assert words(text) == {
        "seed": "01" * 64,
        "time": "1700000000000000001",
        "nonce": who.nonce,
        "client_key": who.client_public,
        "host_key": who.host_key.hex(),
    }


def test_each_unparked_guest_has_a_seed_of_its_own(machine: Any) -> None:
    seeds = set()
    for _ in range(3):
        one: Any = Machine()
        who = identity.fresh()
        one.say({"ok": True, "nonce": who.nonce})
        unpark(one, who, Deadline(5))
        seeds.add(words(one.guest.recv(4096))["seed"])
    assert len(seeds) == 3


def test_a_guest_that_is_parked_is_recognized(machine: Any) -> None:
    machine.say({"ok": True, "parked": True})
    wait_until_parked(machine, Deadline(5))


@pytest.mark.parametrize(
    "answer", [{"ok": False, "error": "no seed"}, {"ok": True}, {"ok": True, "nonce": "another"}]
)
def test_a_guest_that_answers_otherwise_is_not_believed(
    machine: Any, answer: dict[str, Any]
) -> None:
    machine.say(answer)
    with pytest.raises(UnparkFailed):
        unpark(machine, identity.fresh(), Deadline(5))


def test_a_machine_that_ends_is_not_waited_for(machine: Any) -> None:
    machine.ended = True
    with pytest.raises(UnparkFailed, match="ended while"):
        wait_until_parked(machine, Deadline(60))


def test_silence_meets_the_deadline(machine: Any) -> None:
    with pytest.raises(DeadlineExceeded):
        wait_until_parked(machine, Deadline(0.1))


def test_a_flood_on_the_channel_is_cut_off() -> None:
    near, far = socket.socketpair()
    channel = Channel(near, lambda: None)
    far.settimeout(0.3)
    with pytest.raises(TimeoutError):
        far.sendall(b"x" * 100 * MAX_BYTES)
    channel.close()
    assert not channel.has_line
