# SPDX-License-Identifier: GPL-2.0-only
"""The Rex kernel by itself: images without Rust, that do what safe Rust can't."""

from __future__ import annotations

import errno
import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from rex_image import build

from lab.deadline import scaled
from lab.guest.forks import Forks
from lab.guest.guest import Guest
from lab.runner.plan import Planner

pytestmark = pytest.mark.integration

FLAVOR = os.environ.get("LAB_REX_FLAVOR", "rex")
# The hooks of other programs: each is bounded by itself, all of them by the depth.
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

# Of a handler of NMIs that took long an emulated kernel tells when its host was busy.
COMPLAINT = re.compile(r"BUG: |WARNING: |INFO: (?!NMI handler )|DEBUG_LOCKS|kmemleak: \d+ new")
ENOTSUPP = 524  # the kernel's own, which it lets out here
PAGE_FAULT = "faulted on CPU [01]: page fault at 0x"
# An emulated CPU does less in a millisecond than a real one.
BUDGET_MS = 100


@dataclass(frozen=True)
class Bench:
    """A guest of the Rex kernel with the image and what runs it."""

    guest: Guest
    image: Path
    # What else the kernel complained of: not all that detectors say is counted.
    complaints: list[str] = field(default_factory=list)

    def run(self, program: str, times: int = 1, *others: str) -> dict[str, int]:
        """Run a program by hand; `others` are tracepoints and programs that are attached there."""
        words = " ".join((program, str(times), *others))
        done = self.guest.run(f"/root/rexrun run /root/image.so {words}", scaled(60))
        assert done.ok, done.stderr
        return dict(json.loads(done.stdout))

    def load(self, image: bytes) -> list[int]:
        """The errno of loading each program of an image, without running it."""
        self.guest.push({"/root/other.so": image})
        done = self.guest.run("/root/rexrun load /root/image.so /root/other.so", scaled(60))
        assert done.ok, done.stderr
        return list(json.loads(done.stdout))

    def counts(self, name: str = "stats") -> dict[str, int]:
        text = self.guest.run(f"cat /sys/kernel/debug/rex/{name}").stdout
        return {key: int(value) for key, value in (line.split() for line in text.splitlines())}

    def log(self) -> list[str]:
        """What Rex wrote to the log since it was last asked."""
        lines = self.guest.run("dmesg -c").stdout.splitlines()
        self.complaints.extend(line for line in lines if COMPLAINT.search(line))
        found = [re.search(r"rex: .*", line) for line in lines]
        return [match[0] for match in found if match]

    def traced(self, act: Callable[[], object], *events: str) -> list[str]:
        """What the tracepoints of Rex said while something was done."""
        folder = "/sys/kernel/tracing"
        for event in events or ("",):
            assert self.guest.run(f"echo 1 > {folder}/events/rex/{event}/enable").ok
        act()
        self.guest.run(f"echo 0 > {folder}/events/rex/enable")
        text = self.guest.run(f"cat {folder}/trace; echo > {folder}/trace").stdout
        lines = [re.search(r"(rex_\w+): (.*)", line) for line in text.splitlines()]
        return [" ".join(match.groups()) for match in lines if match]

    def unharmed(self) -> bool:
        """Nothing is held, nothing is loaded, and the kernel has nothing to complain of."""
        self.log()
        troubles = self.guest.run("cat /sys/kernel/oops_count /sys/kernel/warn_count").stdout
        programs = self.guest.run("bpftool -j prog list").stdout.strip()
        return (
            not any(self.counts("ledger").values())
            and troubles.split() == ["0", "0"]
            and programs in ("", "[]")
            and not self.complaints
        )

    def leaks(self) -> str:
        """What nobody points to any more: "" also where the kernel does not look for it."""
        file = "/sys/kernel/debug/kmemleak"
        # It is silent of what is younger than 5 s, or what changed since the scan before.
        scan = f"sleep 6 && echo scan > {file}"
        done = self.guest.run(
            f"! test -e {file} || {{ {scan} && {scan} && cat {file}; }}", scaled(180)
        )
        assert done.ok, done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return build(tmp_path_factory.mktemp("image"))


def start(
    planner: Planner, forks: Forks, built: tuple[Path, Path], *arguments: str
) -> Iterator[Bench]:
    kernel = planner.kernel(FLAVOR)
    spec = planner.guest_spec(kernel, planner.image(kernel), extra=arguments)
    image, rexrun = built
    with forks.start(spec) as guest:
        guest.push({"/root/image.so": image, "/root/rexrun": rexrun})
        guest.run(f"chmod +x /root/rexrun; sysctl -w kernel.rex.budget_ms={BUDGET_MS}")
        yield Bench(guest, image)


@pytest.fixture(scope="module")
def bench(planner: Planner, forks: Forks, built: tuple[Path, Path]) -> Iterator[Bench]:
    yield from start(planner, forks, built)


@pytest.fixture
def fresh(planner: Planner, forks: Forks, built: tuple[Path, Path]) -> Iterator[Bench]:
    """A guest that the test may harm."""
    yield from start(planner, forks, built)


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
def test_outcome(bench: Bench, program: str, outcome: str, value: int, said: str | None) -> None:
    before = bench.counts()
    bench.log()
    assert bench.run(program) == {"load": 0, "run": 0, "retval": value}
    after = bench.counts()
    assert after["runs"] - before["runs"] == 1
    assert after[outcome] - before[outcome] == 1
    log = bench.log()
    if said is None:
        assert log == []
    else:
        assert re.search(said, log[0]), log
    assert bench.unharmed()


def test_a_report_shows_the_calls_that_led_there(bench: Bench) -> None:
    bench.log()
    bench.run("panics")
    frames = [line.split()[-1] for line in bench.log() if re.search(r" #\d+ 0x", line)]
    # deep() four times, of which three are the same call, and the program.
    assert len(frames) == 5
    assert frames[1] == frames[2] == frames[3]
    text = subprocess.run(
        ["nm", bench.image], check=True, capture_output=True, text=True
    ).stdout.splitlines()
    places = sorted((int(line.split()[0], 16), line.split()[2]) for line in text if line[0] == "0")

    def function(offset: str) -> str:
        return max(place for place in places if place[0] <= int(offset, 16))[1]

    assert [function(frame) for frame in frames] == ["deep"] * 4 + ["panics"]


@pytest.mark.parametrize("program", ["panics_holding", "faults_holding", "forgets"])
def test_what_is_held_at_the_end_is_released(bench: Bench, program: str) -> None:
    before = bench.counts()
    bench.log()
    bench.run(program)
    kind = "leaked" if program == "forgets" else "released"
    gone = {key: value - before[key] for key, value in bench.counts().items() if kind in key}
    assert gone == {
        f"{kind}_spin_lock": 1,
        f"{kind}_rcu": 1,
        f"{kind}_ringbuf": 1,
        f"{kind}_task": 2,
        f"{kind}_socket": 0,
    }
    if kind == "released":
        assert bench.log()[-1].endswith("released: spin_lock 1 rcu 1 ringbuf 1 task 2")
    assert bench.run("takes_lock")["retval"] == -errno.EBUSY  # the first time it got it
    assert bench.counts()["repaired"] == before["repaired"]
    assert bench.unharmed()


def test_a_full_ledger_is_said_before_anything_is_acquired(bench: Bench) -> None:
    before = bench.counts()
    assert bench.run("fills_ledger")["retval"] == 64
    after = bench.counts()
    assert after["ledger_full"] - before["ledger_full"] == 1
    assert after["leaked_task"] - before["leaked_task"] == 64


def test_the_interrupt_flag_is_put_right(bench: Bench) -> None:
    before = bench.counts()["repaired"]
    bench.run("disturbs")
    assert bench.counts()["repaired"] == before + 1


def test_ten_thousand_panics_leave_nothing(bench: Bench) -> None:
    def slab() -> int:
        text = bench.guest.run("cat /proc/meminfo").stdout
        return int(re.search(r"^Slab:\s+(\d+) kB$", text, re.M)[1])  # type: ignore[index]

    bench.run("panics_holding", 100)
    before, count = slab(), bench.counts()["panicked"]
    bench.run("panics_holding", 10_000)
    assert bench.counts()["panicked"] == count + 10_000
    assert slab() - before < 1000  # less than a tenth of a kilobyte each
    assert bench.unharmed()
    assert bench.leaks() == ""


def test_an_interrupt_that_runs_programs_leaves_the_run_that_it_interrupts_alone(
    bench: Bench,
) -> None:
    before = bench.counts()
    result = bench.run("context", 20_000, "hrtimer_expire_entry", "counts_others")
    assert result["retval"] == 3
    assert result["others"] > 100  # that many chances to hit
    gone = {key: value - before[key] for key, value in bench.counts().items()}
    assert gone["runs"] == gone["returned"] >= 20_000 + result["others"]
    assert gone["repaired"] == 0
    assert bench.unharmed()


@pytest.mark.parametrize("program", ["tc", "xdp"])
def test_packets_and_sockets_of_who_holds_a_lock(bench: Bench, program: str) -> None:
    before = bench.counts()
    assert bench.run(program) == {"load": 0, "run": 0, "retval": 0}
    gone = {key: value - before[key] for key, value in bench.counts().items()}
    assert gone["runs"] == gone["returned"] == 3
    assert gone["leaked_socket"] == 0
    assert bench.unharmed()


@pytest.mark.parametrize("program", ["kprobe", "tracepoint", "perf_event"])
def test_what_only_runs_attached_is_not_run_by_hand(bench: Bench, program: str) -> None:
    before = bench.counts()
    assert bench.run(program)["run"] == ENOTSUPP
    assert bench.counts() == before
    assert bench.unharmed()


def test_without_smap_nothing_is_loaded(
    planner: Planner, forks: Forks, built: tuple[Path, Path]
) -> None:
    """Nothing would keep a program from reading a user's page that is present."""
    for bench in start(planner, forks, built, "clearcpuid=smap"):
        assert "smap" not in bench.guest.run("cat /proc/cpuinfo").stdout.split()
        assert bench.run("reads_user") == {"load": errno.EOPNOTSUPP}
        assert "without SMAP" in bench.log()[0]
        assert bench.unharmed()


def test_twin_without_redirection_a_fault_is_an_oops(fresh: Bench) -> None:
    """That this is seen is what the tests of faults rely on."""
    fresh.guest.run("echo 2 > /sys/kernel/debug/rex/unprotected")
    done = fresh.guest.run("/root/rexrun run /root/image.so reads_null", scaled(60))
    assert not done.ok
    assert fresh.guest.run("cat /sys/kernel/oops_count").stdout.strip() == "1"
    assert not fresh.unharmed()


def test_a_run_that_an_oops_lost_is_forgotten_with_its_program(fresh: Bench) -> None:
    """While others run, so that the watchdog looks: it would call the run overdue in a second."""
    fresh.guest.run("echo 2 > /sys/kernel/debug/rex/unprotected")
    run = "/root/rexrun run /root/image.so"
    lost = f"sleep 0.3; taskset -c 1 {run} panics 1 rex_panic reads_null; sleep 1.5"
    done = fresh.guest.run(f"(taskset -c 0 {run} takes_time 60) & {lost}; wait", scaled(60))
    assert json.loads(done.stdout)["retval"] == 9
    assert not [line for line in fresh.log() if "overdue" in line]


def test_a_lock_that_nobody_releases_is_given_up(fresh: Bench) -> None:
    fresh.guest.run("echo 9 > /sys/kernel/debug/rex/unprotected")
    programs = "panics_holding takes_lock"
    done = fresh.guest.run(f"/root/rexrun cpus /root/image.so {programs}", scaled(60))
    results = [json.loads(line)["retval"] for line in done.stdout.splitlines()]
    assert results == [4, -errno.EDEADLK]
    assert fresh.counts("ledger")["spin_lock"] == 1
    assert fresh.counts()["repaired"] == 1


def test_the_watchdog_ends_waiting_for_a_lock_as_well(fresh: Bench) -> None:
    fresh.guest.run("echo 1 > /sys/kernel/debug/rex/unprotected")
    programs = "panics_holding takes_lock"
    done = fresh.guest.run(f"/root/rexrun cpus /root/image.so {programs}", scaled(60))
    assert [json.loads(line)["retval"] for line in done.stdout.splitlines()] == [4, 4]
    assert fresh.counts()["terminated"] == 1


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


def timers_run(bench: Bench) -> bool:
    """On each CPU a timer comes, and work that is queued there is done."""
    sleep = "taskset -c {} sleep 0.05"
    done = bench.guest.run(f"{sleep.format(0)} && {sleep.format(1)}", scaled(10))
    return done.ok and bench.guest.run("echo 1 > /proc/sys/vm/stat_refresh", scaled(10)).ok


@pytest.mark.parametrize("program", LOOPS)
def test_what_does_not_end_is_ended(bench: Bench, program: str) -> None:
    runs = 3 if program in ("loops_tc", "loops_xdp") else 1  # what one test run repeats
    before = bench.counts()
    bench.log()
    for _ in range(2):
        assert bench.run(program) == {"load": 0, "run": 0, "retval": 8}
    gone = {key: value - before[key] for key, value in bench.counts().items()}
    assert gone["runs"] == gone["terminated"] == 2 * runs
    assert gone["repaired"] == (2 if "disturbing" in program else 0)
    if "over_map" in program:
        assert gone["deferred"] <= 2
    log = bench.log()
    assert re.search(TERMINATED, log[0]), log
    assert " #0 0x" in log[1]
    if "holding" in program:
        assert log[-1].endswith("released: spin_lock 1 rcu 1 ringbuf 1 task 2")
        assert bench.run("takes_lock")["retval"] == -errno.EBUSY  # the first time it got it
    assert timers_run(bench)
    assert bench.unharmed()


def test_a_report_of_a_loop_shows_where_it_was(bench: Bench) -> None:
    text = subprocess.run(
        ["nm", bench.image], check=True, capture_output=True, text=True
    ).stdout.splitlines()
    places = sorted((int(line.split()[0], 16), line.split()[2]) for line in text if line[0] == "0")
    for program, calls in (
        ("loops", ["loop", "loops"]),
        ("loops_over_map", ["loop_over_map", "loops_over_map"]),
    ):
        bench.log()
        bench.run(program)
        offsets = [line.split()[-1] for line in bench.log() if re.search(r" #\d+ 0x", line)]
        names = [
            max(place for place in places if place[0] <= int(offset, 16))[1] for offset in offsets
        ]
        assert names[-len(calls) :] == calls


def test_what_ends_in_time_is_not_ended(bench: Bench) -> None:
    before = bench.counts()
    assert bench.run("takes_time", 50) == {"load": 0, "run": 0, "retval": 9}
    assert bench.run("context", 100_000)["retval"] == 3
    gone = {key: value - before[key] for key, value in bench.counts().items()}
    assert gone["returned"] == gone["runs"] == 100_050
    assert gone["deferred"] == 0
    assert bench.unharmed()


def test_the_budget_can_be_set(fresh: Bench) -> None:
    fresh.guest.run("sysctl -w kernel.rex.budget_ms=20")
    assert fresh.run("takes_time", 5)["retval"] == 8
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


def test_what_loops_on_every_cpu_is_ended(bench: Bench) -> None:
    before = bench.counts()
    each = " & ".join(
        f"taskset -c {cpu} /root/rexrun run /root/image.so {program} 5"
        for cpu, program in ((0, "loops"), (1, "loops_over_map"))
    )
    done = bench.guest.run(f"{each}; wait", scaled(60))
    assert [json.loads(line)["retval"] for line in done.stdout.splitlines()] == [8, 8]
    assert bench.counts()["terminated"] - before["terminated"] == 10
    assert timers_run(bench)
    assert bench.unharmed()


@pytest.mark.parametrize("hook", ["hrtimer_expire_entry", "timer_expire_entry"])
@pytest.mark.parametrize("inner", ["loops_on_first", "loops_over_map_on_first"])
def test_what_loops_inside_of_another_is_ended_by_itself(
    bench: Bench, hook: str, inner: str
) -> None:
    """In a hard interrupt and in a softirq."""
    bench.guest.run("sysctl -w kernel.rex.disable_on_panic=1")
    before = bench.counts()
    run = f"taskset -c 0 /root/rexrun run /root/image.so takes_time 10 {hook} {inner}"
    traced = bench.traced(lambda: bench.guest.run(run, scaled(60)), "rex_terminate")
    bench.guest.run("sysctl -w kernel.rex.disable_on_panic=0")
    gone = {key: value - before[key] for key, value in bench.counts().items()}
    assert gone["terminated"] >= 1
    assert gone["disabled"] > 0
    assert any(f"name={inner[:15]} " in line for line in traced), traced
    assert gone["repaired"] == 0
    assert bench.run("takes_time")["retval"] == 9
    assert timers_run(bench)
    assert bench.unharmed()


def test_twin_without_the_watchdog_a_loop_stalls_the_kernel(fresh: Bench) -> None:
    """Until it is there again."""
    fresh.guest.run("echo 8 > /sys/kernel/debug/rex/unprotected")
    run = "/root/rexrun run /root/image.so loops > /root/answer 2>&1"
    assert fresh.guest.run(f"(taskset -c 1 {run}) > /dev/null 2>&1 & sleep 15", scaled(60)).ok
    fresh.log()
    assert any("stall" in line or "lockup" in line for line in fresh.complaints)
    assert fresh.counts()["terminated"] == 0
    fresh.guest.run("echo 0 > /sys/kernel/debug/rex/unprotected; sleep 2", scaled(60))
    assert json.loads(fresh.guest.run("cat /root/answer").stdout)["retval"] == 8
    assert fresh.counts()["terminated"] == 1


def test_cpus_come_and_go_while_they_are_watched(fresh: Bench) -> None:
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


def test_a_program_that_panicked_can_be_taken_out_of_service(fresh: Bench) -> None:
    fresh.guest.run("sysctl -w kernel.rex.disable_on_panic=1")
    assert fresh.run("panics", 3)["retval"] == 2
    counts = fresh.counts()
    assert (counts["panicked"], counts["disabled"], counts["runs"]) == (1, 2, 1)


def test_each_event_is_traced(fresh: Bench) -> None:
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


def test_programs_on_the_tracepoints_of_rex_are_bounded_by_the_depth(bench: Bench) -> None:
    before = bench.counts()
    others = [word for pair in NESTED for word in pair]
    act = lambda: bench.run("panics_holding", 50, *others)  # noqa: E731
    traced = bench.traced(act)
    gone = {key: value - before[key] for key, value in bench.counts().items()}
    assert gone["panicked"] > 100
    assert gone["faulted"] > 100
    assert gone["refused"] > 0
    assert gone["runs"] == gone["panicked"] + gone["faulted"]
    assert gone["repaired"] == 0
    assert any("rex_refused" in line and "depth=4 nmi=0" in line for line in traced)
    assert bench.unharmed()


def test_whoever_may_not_load_modules_may_not_load_programs(bench: Bench) -> None:
    done = bench.guest.run("/root/rexrun load /root/image.so /root/image.so nobody")
    assert set(json.loads(done.stdout)) == {errno.EPERM}
