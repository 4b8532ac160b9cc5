# SPDX-License-Identifier: GPL-2.0-only
"""The watchdog of Rust programs by the books: what ends in time lives, all else is ended once.

An emulated CPU stands still whenever its host likes, so how late a run is ended says nothing
here. Whether it was ended too early, twice or not at all does.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

import pytest
from harness.loader_guest import Bench, alone

from lab.extension.rust.build import build_rust
from lab.guest.guest import Guest
from lab.kernel.artifact import Kernel
from lab.runner.plan import Planner
from lab.workspace import Workspace

pytestmark = pytest.mark.integration

RUNS = 100_000 if os.environ.get("LAB_NIGHTLY") else 10_000
AT_A_TIME = 1000
BUDGET_MS = 1
STATS = "/sys/kernel/debug/rex/stats"
# The places of the extension's maps.
ENTERED, LEFT, LEFT_NEAR, ENDED, ENDED_AT_THE_END = range(5)
EARLY, TWICE, VANISHED, LOST = range(4)


@pytest.fixture
def bench(rex_guest: Guest, rex: Kernel, planner: Planner) -> Iterator[Bench]:
    for bench in alone(rex_guest, rex, planner):
        before = rex_guest.run("cat /proc/sys/kernel/rex/budget_ms").stdout
        yield bench
        rex_guest.run(f"echo {before.strip()} > /proc/sys/kernel/rex/budget_ms")


def stats(guest: Guest) -> dict[str, int]:
    lines = guest.run(f"cat {STATS}").stdout.splitlines()
    return {name: int(count) for name, count in map(str.split, lines)}


def begin(bench: Bench, planner: Planner) -> None:
    path = bench.push_file(build_rust(Workspace.default(), "limits", planner.cache).path)
    assert bench.guest.run(f"echo {BUDGET_MS} > /proc/sys/kernel/rex/budget_ms").ok
    bench.do("load", handle="a", path=path)
    bench.do("attach", handle="a", program="ends")
    bench.do("write", handle="a", map="settings", key=0, value=BUDGET_MS * 1_000_000)


def spin(bench: Bench, times: int) -> None:
    bench.do("run", handle="a", program="spins", repeat=times, size=64, cpu=1)


def books(bench: Bench) -> tuple[list[int], list[int]]:
    """What the programs counted, and how often each thing happened that must not."""
    counts = [bench.value(place) for place in range(8)]
    return counts, [bench.value(place, "wrong") for place in range(4)]


def test_of_many_runs_near_the_limit_none_is_ended_wrongly(bench: Bench, planner: Planner) -> None:
    guest = bench.guest
    begin(bench, planner)
    before = stats(guest)
    for _ in range(RUNS // AT_A_TIME):
        spin(bench, AT_A_TIME)
    now = stats(guest)
    rose = {name: now[name] - before[name] for name in now}
    counts, wrong = books(bench)
    print(f"of {RUNS} runs, by place: {counts}")
    assert wrong == [0, 0, 0, 0], f"early, twice, vanished, lost: {wrong}; counted: {counts}"
    # What the kernel counts is what the programs have seen, to the last run.
    assert counts[ENTERED] == RUNS
    assert rose["runs"] == RUNS + counts[ENDED]  # those of `ends` as well
    assert rose["terminated"] == counts[ENDED]
    assert counts[LEFT] == RUNS - counts[ENDED] + counts[ENDED_AT_THE_END]
    assert rose["returned"] + rose["terminated"] == rose["runs"]
    assert rose["refused"] == rose["repaired"] == 0
    # The limit was come near to from both sides.
    assert counts[LEFT_NEAR] > RUNS / 10
    assert counts[ENDED] > RUNS / 50
    reports = guest.run("dmesg").stdout
    assert not re.search(r"BUG: |WARNING: |rcu: INFO|soft lockup", reports)
    bench.do("unload", handle="a")


def test_twin_without_the_watchdog_what_takes_far_too_long_comes_to_its_end(
    bench: Bench, planner: Planner
) -> None:
    begin(bench, planner)
    knob = "/sys/kernel/debug/rex/unprotected"
    assert bench.guest.run(f"echo 8 > {knob}").ok
    try:
        spin(bench, 800)  # of which every eightieth is such a run
    finally:
        bench.guest.run(f"echo 0 > {knob}")
    counts, wrong = books(bench)
    assert wrong[LOST] > 0
    assert (counts[LEFT], counts[ENDED]) == (800, 0)
    bench.do("unload", handle="a")
