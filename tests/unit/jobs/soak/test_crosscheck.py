# SPDX-License-Identifier: GPL-2.0-only
"""What a soak's programs counted and what the kernel counted: read, and held together."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from lab.errors import InfraError
from lab.jobs.soak import crosscheck
from lab.jobs.soak.crosscheck import Books, Tally
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


def test_books_are_read() -> None:
    # The second program, and the behaviour `panic`.
    at = (crosscheck.PLACES + NUMBERS["panic"]) * 3
    text = printed(
        dump({at: 300, at + 1: 0, at + 2: 1}),
        f"id 7\nname kretprobe\n{numbers(runs=5, panicked=2)}id 8\nid 9\nname hello\n{numbers()}",
    )
    books = crosscheck.parse(text, {7: Ref("main", "kretprobe")})
    assert books.tallies["kretprobe"] == {"panic": Tally(300, 0, 1)}
    assert books.tallies["kprobe"] == {}
    assert list(books.counters) == ["kretprobe"]
    assert books.counters["kretprobe"]["panicked"] == 2
    assert books.stats["latency_max_ns"] == 700


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
def test_what_is_no_books_is_said(text: str) -> None:
    with pytest.raises(InfraError, match="books"):
        crosscheck.parse(text, {})


# One program's runs, as they are when all is well: of 20 that panic one was ended for its time,
# of 6 that loop one had no place to.
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
    books = Books({"xdp": tallies}, {"xdp": known}, {})
    return [one.what for one in crosscheck.findings(books, ("xdp",)) if not one.holds]


def test_books_that_fit() -> None:
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
def test_counters_that_do_not_fit(change: dict[str, int], what: str) -> None:
    counters = Counter(WELL)
    for name, more in change.items():
        counters[name] += more
    assert wrong(TALLIES, counters) == [f"xdp: {what}"]


@pytest.mark.parametrize("behaviour", ["panic", "fault_null", "recurse", "loop"])
def test_nobody_comes_through_what_ends_a_run(behaviour: str) -> None:
    before = TALLIES[behaviour]
    tallies = TALLIES | {behaviour: Tally(before.begun, 1, before.waived)}
    assert f"xdp: runs that came through {behaviour}" in wrong(tallies, WELL)


def test_a_program_without_books() -> None:
    books = Books({"xdp": {}}, {}, {})
    (finding,) = crosscheck.findings(books, ("xdp",))
    assert not finding.holds


@pytest.mark.parametrize(("name", "more"), [("returned", 1), ("runs", 1), ("terminated", -1)])
def test_each_run_ends_once(name: str, more: int) -> None:
    assert crosscheck.balance(WELL).holds
    assert not crosscheck.balance({**WELL, name: WELL[name] + more}).holds
