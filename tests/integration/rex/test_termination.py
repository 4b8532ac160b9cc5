# SPDX-License-Identifier: GPL-2.0-only
"""Test the watchdog of Rust programs by counts: it ends late runs once, and no run in time.

A busy host can stop an emulated CPU at any time, so these tests do not check how late a run is
ended. They check that none is ended too early, twice or not at all.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

import pytest
from harness.loader_guest import LoaderGuest, alone

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
def loader(rex_guest: Guest, rex: Kernel, planner: Planner) -> Iterator[LoaderGuest]:
    for loader in alone(rex_guest, rex, planner):
        before = rex_guest.run("cat /proc/sys/kernel/rex/budget_ms").stdout
        yield loader
        rex_guest.run(f"echo {before.strip()} > /proc/sys/kernel/rex/budget_ms")


def stats(guest: Guest) -> dict[str, int]:
    lines = guest.run(f"cat {STATS}").stdout.splitlines()
    return {name: int(count) for name, count in map(str.split, lines)}


def begin(loader: LoaderGuest, planner: Planner) -> None:
    path = loader.push_file(build_rust(Workspace.default(), "limits", planner.cache).path)
    assert loader.guest.run(f"echo {BUDGET_MS} > /proc/sys/kernel/rex/budget_ms").ok
    loader.do("load", handle="a", path=path)
    loader.do("attach", handle="a", program="ends")
    loader.do("write", handle="a", map="settings", key=0, value=BUDGET_MS * 1_000_000)


def spin(loader: LoaderGuest, times: int) -> None:
    loader.do("run", handle="a", program="spins", repeat=times, size=64, cpu=1)


def read_counts(loader: LoaderGuest) -> tuple[list[int], list[int]]:
    """Return the programs' counts, and the count of each event that must not happen."""
    counts = [loader.value(place) for place in range(8)]
    return counts, [loader.value(place, "wrong") for place in range(4)]


def test_of_many_runs_near_the_limit_none_is_ended_wrongly(
    loader: LoaderGuest, planner: Planner
) -> None:
    guest = loader.guest
    begin(loader, planner)
    before = stats(guest)
    for _ in range(RUNS // AT_A_TIME):
        spin(loader, AT_A_TIME)
    now = stats(guest)
    rose = {name: now[name] - before[name] for name in now}
    counts, wrong = read_counts(loader)
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
    loader.do("unload", handle="a")


def test_control_without_the_watchdog_what_takes_far_too_long_comes_to_its_end(
    loader: LoaderGuest, planner: Planner
) -> None:
    begin(loader, planner)
    knob = "/sys/kernel/debug/rex/unprotected"
    assert loader.guest.run(f"echo 8 > {knob}").ok
    try:
        spin(loader, 800)  # of which every eightieth is such a run
    finally:
        loader.guest.run(f"echo 0 > {knob}")
    counts, wrong = read_counts(loader)
    assert wrong[LOST] > 0
    assert (counts[LEFT], counts[ENDED]) == (800, 0)
    loader.do("unload", handle="a")
