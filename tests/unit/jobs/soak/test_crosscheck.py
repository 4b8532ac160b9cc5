# SPDX-License-Identifier: GPL-2.0-only
"""Test that a soak reads the programs' and the kernel's counts, and compares them."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from lab.errors import InfraError
from lab.jobs.soak import crosscheck
from lab.jobs.soak.crosscheck import RunCounts, Tally
from lab.jobs.soak.plan import HOOKS, NUMBERS
from lab.scenario.model.base import Ref

COUNTERS = (
    *("runs", "returned", "panicked", "faulted", "terminated", "overflowed", "refused"),
    *("leaked_spin_lock", "leaked_rcu", "leaked_ringbuf", "leaked_task"),
)


def dump(values: dict[int, int]) -> str:
    size = len(HOOKS) * crosscheck.PLACES * 3
    entries = []
    for at in range(size):
        value = values.get(at, 0).to_bytes(8, "little")
        key = [f"0x{byte:02x}" for byte in at.to_bytes(4, "little")]
        entries.append({"key": key, "value": [f"0x{byte:02x}" for byte in value]})
    return json.dumps(entries)


def numbers(**values: int) -> str:
    return "".join(f"{name} {values.get(name, 0)}\n" for name in COUNTERS)


def printed(tallies: str, progs: str) -> str:
    return f"{numbers(runs=9)}latency_max_ns 700\n==\n{progs}==\n{tallies}\n"


def test_counts_are_read() -> None:
    # The second program, and the behaviour `panic`.
    at = (crosscheck.PLACES + NUMBERS["panic"]) * 3
    text = printed(
        dump({at: 300, at + 1: 0, at + 2: 1}),
        f"id 7\nname kretprobe\n{numbers(runs=5, panicked=2)}id 8\nid 9\nname hello\n{numbers()}",
    )
    counts = crosscheck.parse(text, {7: Ref("main", "kretprobe")})
    assert counts.tallies["kretprobe"] == {"panic": Tally(300, 0, 1)}
    assert counts.tallies["kprobe"] == {}
    assert list(counts.counters) == ["kretprobe"]
    assert counts.counters["kretprobe"]["panicked"] == 2
    assert counts.stats["latency_max_ns"] == 700


@pytest.mark.parametrize(
    "text",
    [
        "",
        "runs 1\n==\n==\n",
        "runs 1\n==\n==\n[]",
        "runs x\n==\n==\n" + dump({}),
        "runs 1\n==\nid x\nname a\nruns 1\n==\n" + dump({}),
        "runs 1\n==\n==\n" + dump({}).replace("0x00", "??"),
        "runs 1\n==\n==\n" + dump({}) + "Error: no such map",
    ],
)
def test_text_without_counts_is_an_error(text: str) -> None:
    with pytest.raises(InfraError, match="run counts"):
        crosscheck.parse(text, {})


# The runs of one program when all is well. Of 20 that panic, the watchdog terminated one; of 6
# that loop, one had no slot to loop in.
TALLIES = {
    "return": Tally(10, 10, 0),
    "panic": Tally(12, 0, 0),
    "panic_locked": Tally(9, 0, 1),
    "fault_null": Tally(4, 0, 0),
    "recurse": Tally(3, 0, 0),
    "loop": Tally(6, 0, 1),
    "leak": Tally(5, 4, 0),
    "leak_locked": Tally(2, 1, 1),
}
WELL = Counter(
    runs=1048,
    returned=1016,
    panicked=19,
    faulted=4,
    overflowed=3,
    terminated=6 + 1,
    refused=4,
    leaked_spin_lock=1,
    leaked_rcu=5,
    leaked_ringbuf=4,
    leaked_task=4,
) - Counter(returned=1)


def wrong(tallies: dict[str, Tally], counters: Counter[str]) -> list[str]:
    known = {name: counters[name] for name in COUNTERS}
    counts = RunCounts({"xdp": tallies}, {"xdp": known}, {})
    return [one.what for one in crosscheck.findings(counts, ("xdp",)) if not one.holds]


def test_counts_that_agree() -> None:
    assert wrong(TALLIES, WELL) == []


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"panicked": 2, "returned": -2}, "panicked"),
        ({"faulted": 1, "returned": -1}, "faulted"),
        ({"overflowed": 1, "returned": -1}, "overflowed"),
        ({"terminated": -1, "returned": 1}, "terminated"),
        ({"panicked": -1, "returned": 1}, "terminated"),
        ({"leaked_spin_lock": -1}, "leaked_spin_lock"),
        ({"leaked_spin_lock": 1}, "leaked_spin_lock"),
        ({"leaked_task": 2}, "leaked_task"),
        ({"leaked_ringbuf": -1}, "leaked_ringbuf"),
    ],
)
def test_counters_that_disagree(change: dict[str, int], what: str) -> None:
    counters = Counter(WELL)
    for name, more in change.items():
        counters[name] += more
    assert wrong(TALLIES, counters) == [f"xdp: {what}"]


@pytest.mark.parametrize("behaviour", ["panic", "fault_null", "recurse", "loop"])
def test_no_run_completes_what_ends_it(behaviour: str) -> None:
    before = TALLIES[behaviour]
    tallies = TALLIES | {behaviour: Tally(before.begun, 1, before.waived)}
    assert f"xdp: runs that completed {behaviour}" in wrong(tallies, WELL)


def test_a_program_without_counts() -> None:
    counts = RunCounts({"xdp": {}}, {}, {})
    (finding,) = crosscheck.findings(counts, ("xdp",))
    assert not finding.holds


@pytest.mark.parametrize(("name", "more"), [("returned", 1), ("runs", 1), ("terminated", -1)])
def test_each_run_ends_once(name: str, more: int) -> None:
    assert crosscheck.balance(WELL).holds
    assert not crosscheck.balance({**WELL, name: WELL[name] + more}).holds
