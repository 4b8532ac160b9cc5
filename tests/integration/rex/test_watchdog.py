# SPDX-License-Identifier: GPL-2.0-only
"""The watchdog of the Rex kernel, by images without Rust: what does not end is ended."""

from __future__ import annotations

import errno
import json
import re
import subprocess

import pytest
from harness.rex_guest import BUDGET_MS, RexGuest, timers_run

from lab.deadline import scaled

pytestmark = pytest.mark.integration

LOOPS = (
    "loops",
    "loops_over_map",
    "loops_in_rcu",
    "loops_holding",
    "loops_over_map_holding",
    "loops_disturbing",
    "loops_over_map_disturbing",
    "loops_backwards",
    "loops_tc",
    "loops_xdp",
)
TERMINATED = rf"terminated on CPU [01]: ran for more than {BUDGET_MS} ms(: \d+ ms)?$"


@pytest.mark.parametrize("program", LOOPS)
def test_what_does_not_end_is_ended(shared: RexGuest, program: str) -> None:
    runs = 3 if program in ("loops_tc", "loops_xdp") else 1  # what one test run repeats
    before = shared.counts()
    shared.log()
    for _ in range(2):
        assert shared.run(program) == {"load": 0, "run": 0, "retval": 8}
    gone = {key: value - before[key] for key, value in shared.counts().items()}
    assert gone["runs"] == gone["terminated"] == 2 * runs
    assert gone["repaired"] == (2 if "disturbing" in program else 0)
    if "over_map" in program:
        assert gone["deferred"] <= 2
    log = shared.log()
    assert re.search(TERMINATED, log[0]), log
    assert " #0 0x" in log[1]
    if "holding" in program:
        assert log[-1].endswith("released: spin_lock 1 rcu 1 ringbuf 1 task 2")
        assert shared.run("takes_lock")["retval"] == -errno.EBUSY  # the first time it got it
    assert timers_run(shared)
    assert shared.unharmed()


def test_a_report_of_a_loop_shows_where_it_was(shared: RexGuest) -> None:
    text = subprocess.run(
        ["nm", shared.image], check=True, capture_output=True, text=True
    ).stdout.splitlines()
    places = sorted((int(line.split()[0], 16), line.split()[2]) for line in text if line[0] == "0")
    for program, calls in (
        ("loops", ["loop", "loops"]),
        ("loops_over_map", ["loop_over_map", "loops_over_map"]),
    ):
        shared.log()
        shared.run(program)
        offsets = [line.split()[-1] for line in shared.log() if re.search(r" #\d+ 0x", line)]
        names = [
            max(place for place in places if place[0] <= int(offset, 16))[1] for offset in offsets
        ]
        assert names[-len(calls) :] == calls


def test_what_ends_in_time_is_not_ended(shared: RexGuest) -> None:
    before = shared.counts()
    assert shared.run("takes_time", 50) == {"load": 0, "run": 0, "retval": 9}
    assert shared.run("context", 100_000)["retval"] == 3
    gone = {key: value - before[key] for key, value in shared.counts().items()}
    assert gone["returned"] == gone["runs"] == 100_050
    assert gone["deferred"] == 0
    assert shared.unharmed()


def test_the_budget_can_be_set(fresh: RexGuest) -> None:
    fresh.guest.run("sysctl -w kernel.rex.budget_ms=20")
    # One that takes 70 ms may end first: time in which a busy host leaves the guest is no budget.
    assert fresh.run("loops", 5)["retval"] == 8
    assert "ran for more than 20 ms" in fresh.log()[0]
    fresh.guest.run("sysctl -w kernel.rex.budget_ms=0")
    assert fresh.run("takes_time", 5)["retval"] == 9
    assert fresh.counts()["terminated"] == 5
    assert not fresh.guest.run("sysctl -w kernel.rex.budget_ms=10001").ok
    fresh.guest.run(f"sysctl -w kernel.rex.budget_ms={BUDGET_MS}")
    fresh.guest.run("sysctl -w kernel.rex.disable_on_panic=1")
    assert fresh.run("loops", 3)["retval"] == 8
    assert fresh.counts()["disabled"] == 2
    assert fresh.unharmed()


def test_what_loops_on_every_cpu_is_ended(shared: RexGuest) -> None:
    before = shared.counts()
    each = " & ".join(
        f"taskset -c {cpu} /root/rexrun run /root/image.so {program} 5"
        for cpu, program in ((0, "loops"), (1, "loops_over_map"))
    )
    done = shared.guest.run(f"{each}; wait", scaled(60))
    assert [json.loads(line)["retval"] for line in done.stdout.splitlines()] == [8, 8]
    assert shared.counts()["terminated"] - before["terminated"] == 10
    assert timers_run(shared)
    assert shared.unharmed()


@pytest.mark.parametrize("hook", ["hrtimer_expire_entry", "timer_expire_entry"])
@pytest.mark.parametrize("inner", ["loops_on_first", "loops_over_map_on_first"])
def test_what_loops_inside_of_another_is_ended_by_itself(
    shared: RexGuest, hook: str, inner: str
) -> None:
    """In a hard interrupt and in a softirq."""
    shared.guest.run("sysctl -w kernel.rex.disable_on_panic=1")
    before = shared.counts()
    # Two seconds: some timers of the kernel's come once a second, and the hook has to come again.
    run = f"taskset -c 0 /root/rexrun run /root/image.so takes_time 30 {hook} {inner}"
    traced = shared.traced(lambda: shared.guest.run(run, scaled(60)), "rex_terminate")
    shared.guest.run("sysctl -w kernel.rex.disable_on_panic=0")
    gone = {key: value - before[key] for key, value in shared.counts().items()}
    assert gone["terminated"] >= 1
    assert gone["disabled"] > 0
    assert any(f"name={inner[:15]} " in line for line in traced), traced
    assert gone["repaired"] == 0
    assert shared.run("takes_time")["retval"] == 9
    assert timers_run(shared)
    assert shared.unharmed()


def test_control_without_the_watchdog_a_loop_stalls_the_kernel(fresh: RexGuest) -> None:
    """Until it is there again."""
    fresh.guest.run("echo 8 > /sys/kernel/debug/rex/unprotected")
    run = "/root/rexrun run /root/image.so loops > /root/answer 2>&1"
    fresh.guest.run("echo 1 > /proc/sys/kernel/watchdog_thresh")  # a soft lockup after two seconds
    fresh.log()
    reported = "dmesg | grep -q -e 'detected.* stall' -e 'soft lockup'"
    wait = f"until {reported}; do usleep 100000; done"
    assert fresh.guest.run(f"(taskset -c 1 {run}) > /dev/null 2>&1 & {wait}", scaled(60)).ok
    fresh.log()
    assert any("stall" in line or "lockup" in line for line in fresh.complaints)
    assert fresh.counts()["terminated"] == 0
    fresh.guest.run("echo 0 > /sys/kernel/debug/rex/unprotected; sleep 2", scaled(60))
    assert json.loads(fresh.guest.run("cat /root/answer").stdout)["retval"] == 8
    assert fresh.counts()["terminated"] == 1


def test_cpus_come_and_go_while_they_are_watched(fresh: RexGuest) -> None:
    online = "/sys/devices/system/cpu/cpu1/online"
    background = "taskset -c 0 /root/rexrun run /root/image.so takes_time 40"
    turns = f"for i in 1 2 3 4 5; do echo 0 > {online}; echo 1 > {online}; done"
    done = fresh.guest.run(f"{background} & {turns}; wait", scaled(120))
    assert json.loads(done.stdout)["retval"] == 9
    each = "taskset -c 1 /root/rexrun run /root/image.so loops"
    twice = f"/root/rexrun run /root/image.so takes_time 20 & {turns}; {each}; wait"
    done = fresh.guest.run(twice, scaled(120))
    assert {json.loads(line)["retval"] for line in done.stdout.splitlines()} == {8, 9}
    assert fresh.unharmed()


def test_the_watchdog_ends_waiting_for_a_lock_as_well(fresh: RexGuest) -> None:
    fresh.guest.run("echo 1 > /sys/kernel/debug/rex/unprotected")
    programs = "panics_holding takes_lock"
    done = fresh.guest.run(f"/root/rexrun cpus /root/image.so {programs}", scaled(60))
    assert [json.loads(line)["retval"] for line in done.stdout.splitlines()] == [4, 4]
    assert fresh.counts()["terminated"] == 1


def test_a_run_that_an_oops_lost_is_forgotten_with_its_program(fresh: RexGuest) -> None:
    """While others run, so that the watchdog looks: it would call the run overdue in a second."""
    fresh.guest.run("echo 2 > /sys/kernel/debug/rex/unprotected")
    run = "/root/rexrun run /root/image.so"
    lost = f"sleep 0.3; taskset -c 1 {run} panics 1 rex_panic reads_null; sleep 1.5"
    done = fresh.guest.run(f"(taskset -c 0 {run} takes_time 60) & {lost}; wait", scaled(60))
    assert json.loads(done.stdout)["retval"] == 9
    assert not [line for line in fresh.log() if "overdue" in line]
