# SPDX-License-Identifier: GPL-2.0-only
"""Test the Rex kernel alone, with images that are not Rust and do what safe Rust can't."""

from __future__ import annotations

import errno
import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from harness.rex_guest import BUDGET_MS, RexGuest, start

from lab.deadline import scaled
from lab.guest.forks import Forks
from lab.runner.plan import Planner

pytestmark = pytest.mark.integration

# The hooks of other programs: each has a bound of its own, and the depth bounds all of them.
NESTED = (
    ("rex_panic", "panics"),
    ("rex_panic", "panics_holding"),
    ("rex_panic", "runs_ud2"),
    ("rex_fault", "panics"),
    ("rex_fault", "divides"),
    ("rex_release", "faults_holding"),
    ("rex_refused", "panics"),
    ("rex_refused", "runs_ud2"),
)
ENOTSUPP = 524  # the kernel's own, which it lets out here
PAGE_FAULT = "faulted on CPU [01]: page fault at 0x"


@pytest.mark.parametrize(
    ("program", "outcome", "value", "said"),
    [
        ("hello", "returned", 42, r"rex: hello: hello\?rex: forged\[1\]: line$"),
        ("context", "returned", 3, None),
        ("takes_lock", "returned", -errno.EBUSY, None),
        ("panics", "panicked", 2, r"panicked on CPU [01]: deep down \(image\.c:\d+\)$"),
        ("reads_null", "faulted", 3, PAGE_FAULT + "8$"),
        ("reads_user", "faulted", 3, PAGE_FAULT + "400000$"),
        ("writes_user", "faulted", 3, PAGE_FAULT + "400000$"),
        ("reads_unmapped", "faulted", 3, PAGE_FAULT + "ffff800000000000$"),
        ("writes_itself", "faulted", 3, PAGE_FAULT + "ffffffff[0-9a-f]{8}$"),
        ("reads_noncanonical", "faulted", 3, r"CPU [01]: general protection fault$"),
        ("runs_ud2", "faulted", 3, r"CPU [01]: invalid opcode$"),
        ("divides", "faulted", 3, r"CPU [01]: division error$"),
        ("turns_flags", "faulted", 3, r"CPU [01]: invalid opcode$"),
        ("panics_with_access", "panicked", 3, r"CPU [01]: with AC set \(image\.c:\d+\)$"),
        ("leaves_code", "faulted", 3, r"CPU [01]: breakpoint$"),
        ("breaks", "faulted", 3, r"CPU [01]: breakpoint$"),
        ("updates_locked", "returned", -errno.EINVAL, None),
        ("misuses_maps", "returned", -errno.EOPNOTSUPP, None),
        ("calls_other", "panicked", 2, r"panicked on CPU [01]: a call that is not for this type"),
        ("recurses", "overflowed", 7, r"overflowed on CPU [01]: less than \d+ bytes"),
        ("fills_ledger", "returned", 64, None),
        ("disturbs", "returned", 6, None),
    ],
)
def test_outcome(
    shared: RexGuest, program: str, outcome: str, value: int, said: str | None
) -> None:
    before = shared.counts()
    shared.log()
    assert shared.run(program) == {"load": 0, "run": 0, "retval": value}
    after = shared.counts()
    assert after["runs"] - before["runs"] == 1
    assert after[outcome] - before[outcome] == 1
    log = shared.log()
    if said is None:
        assert log == []
    else:
        assert re.search(said, log[0]), log
    assert shared.unharmed()


def test_a_report_shows_the_calls_that_led_there(shared: RexGuest) -> None:
    shared.log()
    shared.run("panics")
    frames = [line.split()[-1] for line in shared.log() if re.search(r" #\d+ 0x", line)]
    # deep() four times, of which three are the same call, and the program.
    assert len(frames) == 5
    assert frames[1] == frames[2] == frames[3]
    text = subprocess.run(
        ["nm", shared.image], check=True, capture_output=True, text=True
    ).stdout.splitlines()
    places = sorted((int(line.split()[0], 16), line.split()[2]) for line in text if line[0] == "0")

    def function(offset: str) -> str:
        return max(place for place in places if place[0] <= int(offset, 16))[1]

    assert [function(frame) for frame in frames] == ["deep"] * 4 + ["panics"]


@pytest.mark.parametrize("program", ["panics_holding", "faults_holding", "forgets"])
def test_what_is_held_at_the_end_is_released(shared: RexGuest, program: str) -> None:
    before = shared.counts()
    shared.log()
    shared.run(program)
    kind = "leaked" if program == "forgets" else "released"
    gone = {key: value - before[key] for key, value in shared.counts().items() if kind in key}
    assert gone == {
        f"{kind}_spin_lock": 1,
        f"{kind}_rcu": 1,
        f"{kind}_ringbuf": 1,
        f"{kind}_task": 2,
        f"{kind}_socket": 0,
    }
    if kind == "released":
        assert shared.log()[-1].endswith("released: spin_lock 1 rcu 1 ringbuf 1 task 2")
    assert shared.run("takes_lock")["retval"] == -errno.EBUSY  # the first time it got it
    assert shared.counts()["repaired"] == before["repaired"]
    assert shared.unharmed()


def test_a_full_ledger_is_said_before_anything_is_acquired(shared: RexGuest) -> None:
    before = shared.counts()
    assert shared.run("fills_ledger")["retval"] == 64
    after = shared.counts()
    assert after["ledger_full"] - before["ledger_full"] == 1
    assert after["leaked_task"] - before["leaked_task"] == 64


def test_the_interrupt_flag_is_put_right(shared: RexGuest) -> None:
    before = shared.counts()["repaired"]
    shared.run("disturbs")
    assert shared.counts()["repaired"] == before + 1


def test_ten_thousand_panics_leave_nothing(shared: RexGuest) -> None:
    def slab() -> int:
        text = shared.guest.run("cat /proc/meminfo").stdout
        return int(re.search(r"^Slab:\s+(\d+) kB$", text, re.M)[1])  # type: ignore[index]

    shared.run("panics_holding", 100)
    before, count = slab(), shared.counts()["panicked"]
    shared.run("panics_holding", 10_000)
    assert shared.counts()["panicked"] == count + 10_000
    assert slab() - before < 1000  # less than a tenth of a kilobyte each
    assert shared.unharmed()
    assert shared.leaks() == ""


def test_an_interrupt_that_runs_programs_leaves_the_run_that_it_interrupts_alone(
    shared: RexGuest,
) -> None:
    before = shared.counts()
    result = shared.run("context", 20_000, "hrtimer_expire_entry", "counts_others")
    assert result["retval"] == 3
    assert result["others"] > 100  # that many chances to hit
    gone = {key: value - before[key] for key, value in shared.counts().items()}
    assert gone["runs"] == gone["returned"] >= 20_000 + result["others"]
    assert gone["repaired"] == 0
    assert shared.unharmed()


@pytest.mark.parametrize("program", ["tc", "xdp"])
def test_packets_and_sockets_of_who_holds_a_lock(shared: RexGuest, program: str) -> None:
    before = shared.counts()
    assert shared.run(program) == {"load": 0, "run": 0, "retval": 0}
    gone = {key: value - before[key] for key, value in shared.counts().items()}
    assert gone["runs"] == gone["returned"] == 3
    assert gone["leaked_socket"] == 0
    assert shared.unharmed()


@pytest.mark.parametrize("program", ["kprobe", "tracepoint", "perf_event"])
def test_what_only_runs_attached_is_not_run_by_hand(shared: RexGuest, program: str) -> None:
    before = shared.counts()
    assert shared.run(program)["run"] == ENOTSUPP
    assert shared.counts() == before
    assert shared.unharmed()


def test_without_smap_nothing_is_loaded(
    planner: Planner, forks: Forks, built: tuple[Path, Path]
) -> None:
    """Nothing would keep a program from reading a user's page that is present."""
    for shared in start(planner, forks, built, "clearcpuid=smap"):
        assert "smap" not in shared.guest.run("cat /proc/cpuinfo").stdout.split()
        assert shared.run("reads_user") == {"load": errno.EOPNOTSUPP}
        assert "without SMAP" in shared.log()[0]
        assert shared.unharmed()


def test_control_without_redirection_a_fault_is_an_oops(fresh: RexGuest) -> None:
    """That this is seen is what the tests of faults rely on."""
    fresh.guest.run("echo 2 > /sys/kernel/debug/rex/unprotected")
    done = fresh.guest.run("/root/rexrun run /root/image.so reads_null", scaled(60))
    assert not done.ok
    assert fresh.guest.run("cat /sys/kernel/oops_count").stdout.strip() == "1"
    assert not fresh.unharmed()


def test_a_lock_that_nobody_releases_is_given_up(fresh: RexGuest) -> None:
    fresh.guest.run("echo 9 > /sys/kernel/debug/rex/unprotected")
    programs = "panics_holding takes_lock"
    done = fresh.guest.run(f"/root/rexrun cpus /root/image.so {programs}", scaled(60))
    results = [json.loads(line)["retval"] for line in done.stdout.splitlines()]
    assert results == [4, -errno.EDEADLK]
    assert fresh.counts("ledger")["spin_lock"] == 1
    assert fresh.counts()["repaired"] == 1


def test_a_program_that_panicked_can_be_taken_out_of_service(fresh: RexGuest) -> None:
    fresh.guest.run("sysctl -w kernel.rex.disable_on_panic=1")
    assert fresh.run("panics", 3)["retval"] == 2
    counts = fresh.counts()
    assert (counts["panicked"], counts["disabled"], counts["runs"]) == (1, 2, 1)


def test_each_event_is_traced(fresh: RexGuest) -> None:
    def each(*programs: str) -> Callable[[], object]:
        return lambda: [fresh.run(program) for program in programs]

    who = r"id=\d+ name={} cpu=[01]"
    expected = [
        ("panics", r"rex_load {who} type=17"),
        ("panics", r'rex_panic {who} message="deep down" at=image\.c:\d+'),
        ("reads_null", r"rex_fault {who} trapnr=14 address=0x8 offset=0x\w+"),
        ("recurses", r"rex_overflow {who} offset=0x\w+"),
        ("loops", rf"rex_terminate {{who}} budget_ms={BUDGET_MS} offset=0x\w+"),
        ("forgets", r"rex_release {who} resource=task count=2 leaked=1"),
        ("faults_holding", r"rex_release {who} resource=spin_lock count=1 leaked=0"),
        ("fills_ledger", r"rex_ledger_full {who}"),
        ("disturbs", r"rex_repair {who} preempt=\+0 rcu=\+0 irqs_off=\+1"),
    ]
    traced = fresh.traced(each(*dict.fromkeys(program for program, _ in expected)))
    for program, form in expected:
        pattern = form.replace("{who}", who.format(program))
        assert sum(bool(re.fullmatch(pattern, line)) for line in traced) == 1, (pattern, traced)

    def refused() -> None:
        fresh.load(b"no image")
        fresh.guest.run("/root/rexrun load /root/image.so /root/image.so nobody")

    traced = fresh.traced(refused, "rex_load_refused")
    assert set(traced) == {
        f'rex_load_refused error=-{errno.ENOEXEC} reason="8 bytes are no ELF file"',
        f'rex_load_refused error=-{errno.EPERM} reason="not permitted"',
    }
    fresh.guest.run("sysctl -w kernel.rex.disable_on_panic=1")
    traced = fresh.traced(lambda: fresh.run("panics", 3), "rex_disabled")
    assert [re.sub(r"=\d+", "", line) for line in traced] == ["rex_disabled id name=panics cpu"] * 2
    assert fresh.traced(lambda: None) == []
    assert fresh.unharmed()


def test_programs_on_the_tracepoints_of_rex_are_bounded_by_the_depth(shared: RexGuest) -> None:
    before = shared.counts()
    others = [word for pair in NESTED for word in pair]
    act = lambda: shared.run("panics_holding", 50, *others)  # noqa: E731
    traced = shared.traced(act)
    gone = {key: value - before[key] for key, value in shared.counts().items()}
    assert gone["panicked"] > 100
    assert gone["faulted"] > 100
    assert gone["refused"] > 0
    assert gone["runs"] == gone["panicked"] + gone["faulted"]
    assert gone["repaired"] == 0
    assert any("rex_refused" in line and "depth=4 nmi=0" in line for line in traced)
    assert shared.unharmed()


def test_whoever_may_not_load_modules_may_not_load_programs(shared: RexGuest) -> None:
    done = shared.guest.run("/root/rexrun load /root/image.so /root/image.so nobody")
    assert set(json.loads(done.stdout)) == {errno.EPERM}
