# SPDX-License-Identifier: GPL-2.0-only
"""Wait for a guest to park, then unpark it with an identity of its own.

Every guest boots without an identity and parks (`kextload park`,
extensions/loader/park.c). What distinguishes it from all other guests is sent
over the machine's channel afterwards: a seed for its random numbers, the wall
clock, keys and a nonce. This is the same for a guest that was just booted and
for a fork of one that was booted yesterday.
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


class UnparkFailed(InfraError):
    """A parked guest did not accept what it was sent, or its machine ended."""


def wait_until_parked(machine: Machine, deadline: Deadline) -> None:
    """Wait until the guest reports that it is parked.

    Raises `UnparkFailed` if it reports anything else or the machine ends, and
    `DeadlineExceeded`.
    """
    answer = _answer(machine, deadline, "the guest to park")
    if answer.get("parked") is not True:
        raise UnparkFailed("the guest did not park", details=str(dict(answer)))


def unpark(machine: Machine, identity: Identity, deadline: Deadline) -> None:
    """Unpark a guest as `identity`; its SSH server accepts that key when this returns.

    Raises `UnparkFailed`, also if the guest answers with another nonce, and
    `DeadlineExceeded`.
    """
    machine.channel.send(line(identity, secrets.token_bytes(SEED_BYTES), time.time_ns()))
    answer = _answer(machine, deadline, "the guest to answer that it is unparked")
    if not answer.ok:
        raise UnparkFailed(f"the guest refused to be unparked: {answer.problem}")
    if answer.get("nonce") != identity.nonce:
        raise UnparkFailed("the unparked guest answered with the nonce of another")
    # From here on the lab talks to the guest over SSH only.
    machine.channel.close()


def line(identity: Identity, seed: bytes, now: int) -> bytes:
    """Return the line that unparks a guest; `now` is in nanoseconds since 1970."""
    words = command_line(
        "release",
        {
            "seed": seed.hex(),
            "time": now,
            "nonce": identity.nonce,
            "client_key": identity.client_public,
            "host_key": identity.host_key.hex(),
        },
    )
    return f"{words}\n".encode()


def _answer(machine: Machine, deadline: Deadline, what: str) -> LoaderAnswer:
    channel = machine.channel
    machine.wait(lambda: channel.has_line or machine.panicked or machine.ended, deadline, what)
    line = channel.take_line()
    if line is None:
        raise UnparkFailed(f"the machine ended while the lab waited for {what}")
    return parse_answer(line)
