# SPDX-License-Identifier: GPL-2.0-only
"""Parked guests: how one is awaited, and made somebody.

Every guest comes up as nobody and parks (`kextload park`, extensions/loader/park.c).
What makes it unlike all others goes to it over the machine's channel: a seed
for its random numbers, the wall clock, keys and a nonce. So it is the same
whether the guest was booted just now or is the fork of one that was booted
yesterday.
"""

from __future__ import annotations

import secrets
import time

from lab.deadline import Deadline
from lab.errors import InfraError
from lab.guest.identity import Identity
from lab.guest.loader import LoaderAnswer, command_line, parse_answer
from lab.vm.machine import Machine

SEED_BYTES = 64


class ReleaseFailed(InfraError):
    """A parked guest did not take what it was sent, or its machine ended."""


def await_parked(machine: Machine, deadline: Deadline) -> None:
    """Wait until the guest says that it is parked.

    Raises `ReleaseFailed` if it says something else or the machine ends, and
    `DeadlineExceeded`.
    """
    answer = _answer(machine, deadline, "the guest to park")
    if answer.get("parked") is not True:
        raise ReleaseFailed("the guest did not park", details=str(dict(answer)))


def release(machine: Machine, who: Identity, deadline: Deadline) -> None:
    """Make a parked guest `who`; when this returns it lets `who`'s key in.

    Raises `ReleaseFailed`, also if it answers with another's nonce, and
    `DeadlineExceeded`.
    """
    machine.channel.send(line(who, secrets.token_bytes(SEED_BYTES), time.time_ns()))
    answer = _answer(machine, deadline, "the guest's answer to its release")
    if not answer.ok:
        raise ReleaseFailed(f"the guest refused its release: {answer.problem}")
    if answer.get("nonce") != who.nonce:
        raise ReleaseFailed("the guest answered its release with another's nonce")
    # From here on the guest is spoken to over SSH only.
    machine.channel.close()


def line(who: Identity, seed: bytes, now: int) -> bytes:
    """The line that releases a guest; `now` is in nanoseconds since 1970."""
    words = command_line(
        "release",
        {
            "seed": seed.hex(),
            "time": now,
            "nonce": who.nonce,
            "client_key": who.client_public,
            "host_key": who.host_key.hex(),
        },
    )
    return f"{words}\n".encode()


def _answer(machine: Machine, deadline: Deadline, what: str) -> LoaderAnswer:
    channel = machine.channel
    machine.wait(lambda: channel.has_line or machine.panicked or machine.ended, deadline, what)
    line = channel.take_line()
    if line is None:
        raise ReleaseFailed(f"the machine ended before {what}")
    return parse_answer(line)
