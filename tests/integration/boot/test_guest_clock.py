# SPDX-License-Identifier: GPL-2.0-only
"""A guest whose clock follows its instructions: its time bounds a wait, and it lives on."""

from __future__ import annotations

import secrets

import pytest

from lab.deadline import scaled
from lab.guest.forks import Forks
from lab.guest.guest import Guest
from lab.guest.ssh import CommandTimeout
from lab.kernel.artifact import Kernel
from lab.oracle import liveness
from lab.runner.plan import CLOCK_SHIFT, Planner

pytestmark = pytest.mark.integration

SECONDS = 20.0


def uptime(guest: Guest) -> float:
    return float(guest.run("cat /proc/uptime").stdout.split()[0])


def test_a_cpu_that_loops_uses_up_the_guests_time(
    planner: Planner, forks: Forks, stock: Kernel
) -> None:
    if planner.chosen_accel().name != "tcg":
        pytest.skip("instructions are counted under emulation alone")
    spec = planner.guest_spec(stock, planner.image(stock), icount=CLOCK_SHIFT)
    with forks.start(spec) as guest:
        before = uptime(guest)
        limit = guest.machine.by_faster_clock(SECONDS)
        with pytest.raises(CommandTimeout):
            guest.run("taskset -c 1 sh -c 'while :; do :; done'", limit)
        # The host's bound is no shorter, so as much of the guest's time has passed by either.
        assert uptime(guest) - before >= SECONDS * 0.9
        nonce = secrets.token_hex(16)
        answer = guest.alive(nonce, scaled(40), 30.0)
        assert liveness.all_answered(liveness.judge(nonce, answer, 2, 0.0))
