# SPDX-License-Identifier: GPL-2.0-only
"""Taint, counters, BPF objects, slopes, allowances: seeded faults, and quiet benign runs."""

from __future__ import annotations

import copy
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.errors import InfraError
from lab.oracle import allow, counters, slopes
from lab.oracle.allow import Allowance
from lab.oracle.console.reports import Report
from lab.oracle.counters import Snapshot
from lab.oracle.evidence import Trust
from lab.oracle.inventory import bpf_objects
from lab.words import ReportKind

# What the module `faults` leaves on a 6.12 kernel, by /proc/sys/kernel/tainted.
OUT_OF_TREE = 1 << 12
OOPSED = OUT_OF_TREE | 1 << 7
WARNED = OUT_OF_TREE | 1 << 9


def files(taint: int = 0, oops: int = 0, warn: int = 0, **more: str) -> dict[str, str | None]:
    texts: dict[str, str | None] = dict.fromkeys(counters.FILES)
    texts["/proc/sys/kernel/tainted"] = f"{taint}\n"
    texts["/sys/kernel/oops_count"] = f"{oops}\n"
    texts["/sys/kernel/warn_count"] = f"{warn}\n"
    return {**texts, **more}


def at(taint: int = 0, oops: int = 0, warn: int = 0) -> Snapshot:
    return counters.snapshot(files(taint, oops, warn))


# Taint and counters


def test_nothing_happened() -> None:
    assert counters.evidence(at(), at()) == []
    assert counters.new_taint(at(), at()) == ""
    assert counters.increase(at(warn=3), at(warn=3)) == {"oops": 0, "warn": 0}


def test_loading_a_module_is_no_failure() -> None:
    assert counters.new_taint(at(), at(taint=OUT_OF_TREE | 1 << 13 | 1)) == ""


@pytest.mark.parametrize(
    ("taint", "letters"),
    [(OOPSED, "D"), (WARNED, "W"), (1 << 14, "L"), (1 << 5, "B"), (OOPSED | WARNED, "DW")],
)
def test_new_fatal_flag_is_seen(taint: int, letters: str) -> None:
    assert counters.new_taint(at(), at(taint=taint)) == letters


def test_flag_of_the_baseline_is_not_new() -> None:
    assert counters.new_taint(at(taint=WARNED), at(taint=WARNED)) == ""
    assert counters.new_taint(at(taint=WARNED), at(taint=WARNED | OOPSED)) == "D"


def test_flag_that_nobody_knows_counts() -> None:
    assert counters.new_taint(at(), at(taint=1 << 25)) == "[25]"


def test_letters_are_the_kernels() -> None:
    letters = "".join(flag.letter for flag in counters.TAINT_FLAGS)
    assert letters[:19] == "PFSRMBUDAWCIOELKXTN"


def test_counters_rise() -> None:
    found = counters.evidence(at(), at(taint=OOPSED, oops=2, warn=1))
    assert [one.kind for one in found] == ["taint", "counters"]
    assert all(one.trust is Trust.COUNTER for one in found)
    assert dict(found[1].data) == {"oops": 2, "warn": 1}
    assert found[0].data["fatal"] is True


def test_counters_of_newer_kernels_are_read_where_they_are() -> None:
    newer = counters.snapshot(files() | {"/sys/kernel/rcu_stall_count": "4\n"})
    assert newer.counters["rcu-stall"] == 4
    assert "rcu-stall" not in at().counters


@pytest.mark.parametrize(
    "path", ["/proc/sys/kernel/tainted", "/sys/kernel/oops_count", "/sys/kernel/warn_count"]
)
@pytest.mark.parametrize("text", [None, "", "what?\n"])
def test_book_that_cannot_be_read_is_an_error(path: str, text: str | None) -> None:
    with pytest.raises(InfraError, match=path):
        counters.snapshot({**files(), path: text})


def test_counter_that_went_back_or_away_is_an_error() -> None:
    with pytest.raises(InfraError, match="from 2 to 1"):
        counters.increase(at(oops=2), at(oops=1))
    with pytest.raises(InfraError, match="can no longer be read"):
        counters.increase(at(), Snapshot(0, {"oops": 0}))


MEMINFO = """\
MemTotal:         230000 kB
MemFree:          180000 kB
MemAvailable:     200000 kB
Slab:              12000 kB
VmallocUsed:        3000 kB
Percpu:              640 kB
HugePages_Total:       0
"""


def test_gauges_are_amounts_of_memory() -> None:
    assert counters.gauges({"/proc/meminfo": MEMINFO}) == {
        "slab": 12000.0,
        "percpu": 640.0,
        "vmalloc": 3000.0,
        "used": 30000.0,
    }


@pytest.mark.parametrize("text", [None, "", MEMINFO.replace("Slab", "Slob")])
def test_gauge_that_cannot_be_read_is_an_error(text: str | None) -> None:
    with pytest.raises(InfraError, match="meminfo"):
        counters.gauges({"/proc/meminfo": text})


# BPF objects

OBJECTS: dict[str, Any] = {
    "ok": True,
    "programs": [{"id": 7, "name": "count", "type": "kprobe"}],
    "maps": [{"id": 3, "name": "counts", "type": "array"}],
    "links": [],
    "btfs": [{"id": 1, "name": "vmlinux", "kernel": True}],
    "net": [],
    "pins": [],
}


def with_more(**more: list[Any]) -> dict[str, Any]:
    report = copy.deepcopy(OBJECTS)
    for kind, entries in more.items():
        report[kind] += entries
    return report


def test_nothing_is_left_over() -> None:
    before, after = bpf_objects.parse(OBJECTS), bpf_objects.parse(copy.deepcopy(OBJECTS))
    assert bpf_objects.leaked(before, after) == []
    assert bpf_objects.settled(before, after)
    assert not any(bpf_objects.increase(before, after).values())


def test_what_went_away_is_no_leak() -> None:
    assert bpf_objects.settled(
        bpf_objects.parse(OBJECTS), bpf_objects.parse(with_more() | {"programs": []})
    )


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({"programs": [{"id": 8, "name": "again", "type": "xdp"}]}, "program 8 (again, xdp)"),
        ({"maps": [{"id": 9, "name": "", "type": "hash"}]}, "map 9 (hash)"),
        ({"links": [{"id": 2, "type": "tracing", "prog_id": 7}]}, "link 2 (tracing, program 7)"),
        ({"btfs": [{"id": 5, "name": "", "kernel": False}]}, "BTF object 5"),
        (
            {"net": [{"ifindex": 2, "ifname": "eth0", "kind": "xdp", "prog_id": 8}]},
            "network attachment eth0 xdp, program 8",
        ),
        ({"pins": ["/sys/fs/bpf/kept"]}, "pin /sys/fs/bpf/kept"),
    ],
)
def test_each_kind_of_leak_is_seen(more: dict[str, list[Any]], text: str) -> None:
    before, after = bpf_objects.parse(OBJECTS), bpf_objects.parse(with_more(**more))
    assert [str(item) for item in bpf_objects.leaked(before, after)] == [text]
    assert bpf_objects.increase(before, after)[next(iter(more))] == 1
    found = bpf_objects.evidence(before, after)
    assert text in found.summary
    assert found.trust is Trust.COUNTER


def test_same_name_with_a_new_id_is_a_leak() -> None:
    # One went, one like it came: numbers alone would not show it.
    after = bpf_objects.parse(
        OBJECTS | {"programs": [{"id": 8, "name": "count", "type": "kprobe"}]}
    )
    assert len(bpf_objects.leaked(bpf_objects.parse(OBJECTS), after)) == 1


def test_modules_types_are_nobodys_leak() -> None:
    after = bpf_objects.parse(with_more(btfs=[{"id": 6, "name": "faults", "kernel": True}]))
    assert bpf_objects.settled(bpf_objects.parse(OBJECTS), after)


@pytest.mark.parametrize("kind", ["programs", "maps", "links", "btfs", "net", "pins"])
def test_bpf_objects_that_lack_a_list_are_an_error(kind: str) -> None:
    with pytest.raises(InfraError, match=kind):
        bpf_objects.parse({key: value for key, value in OBJECTS.items() if key != kind})


@pytest.mark.parametrize(
    "more", [{"programs": [{}]}, {"maps": ["x"]}, {"pins": [3]}, {"links": [{"id": "many"}]}]
)
def test_malformed_bpf_objects_are_an_error(more: dict[str, list[Any]]) -> None:
    with pytest.raises(InfraError, match="malformed"):
        bpf_objects.parse(with_more(**more))


def test_sizes_count_by_kind() -> None:
    assert bpf_objects.sizes(bpf_objects.parse(OBJECTS)) == {
        "programs": 1,
        "maps": 1,
        "links": 0,
        "btfs": 0,
        "net": 0,
        "pins": 0,
    }


# Slopes


def test_slope_of_a_leak_is_found_in_noise() -> None:
    noise = random.Random(1)
    samples = [1000 + 4 * turn + noise.uniform(-10, 10) for turn in range(40)]
    samples[7] += 5000
    samples[20] -= 3000
    assert slopes.slope(samples) == pytest.approx(4, abs=0.3)


def test_slope_of_no_leak_is_none() -> None:
    noise = random.Random(2)
    samples = [1000 + noise.uniform(-10, 10) for _ in range(40)]
    samples[0] -= 400  # caches fill once
    assert abs(slopes.slope(samples)) < 0.3


def test_slope_of_uneven_repetitions() -> None:
    assert slopes.slope([(1, 10), (2, 12), (10, 28)]) == 2


@pytest.mark.parametrize("samples", [[], [3.0], [(2, 1.0), (2, 5.0)]])
def test_slope_needs_repetitions(samples: list[Any]) -> None:
    with pytest.raises(ValueError, match="at least two"):
        slopes.slope(samples)


@given(
    st.integers(-50, 50),
    st.integers(-1000, 1000),
    st.lists(st.integers(-10000, 10000), min_size=1, max_size=2),
)
def test_slope_bears_outliers(rate: int, start: int, outliers: list[int]) -> None:
    samples: list[float] = [start + rate * turn for turn in range(12)]
    for place, value in enumerate(outliers):
        samples[4 * place + 3] += value
    assert slopes.slope(samples) == rate


# Allowances


def report(kind: ReportKind) -> Report:
    return Report(kind, kind, (), 1)


OOPS, FAULT, WARNING = report("oops"), report("page-fault"), report("warning")


def test_nothing_is_allowed_by_default() -> None:
    assert allow.unallowed([OOPS, WARNING], []) == [OOPS, WARNING]
    assert allow.unallowed([], []) == []


def test_a_kind_is_allowed_and_no_other() -> None:
    assert allow.unallowed([WARNING, OOPS], [Allowance("warning", "why")]) == [OOPS]


def test_a_wider_kind_covers_its_special_cases_and_not_the_reverse() -> None:
    assert allow.unallowed([FAULT], [Allowance("oops", "why")]) == []
    assert allow.unallowed([OOPS], [Allowance("page-fault", "why")]) == [OOPS]


def test_more_than_allowed_is_refused() -> None:
    assert allow.unallowed([WARNING] * 3, [Allowance("warning", "why", at_most=2)]) == [WARNING]


@pytest.mark.parametrize("reverse", [False, True])
def test_narrow_allowances_are_used_first(reverse: bool) -> None:
    entries = [Allowance("oops", "a", at_most=1), Allowance("page-fault", "b", at_most=1)]
    if reverse:
        entries.reverse()
    assert allow.unallowed([FAULT, OOPS], entries) == []
    assert allow.unallowed([FAULT, FAULT, OOPS], entries) == [OOPS]


def test_missing_reports_are_named() -> None:
    assert allow.missing([FAULT], ["oops", "soft-lockup"]) == ["soft-lockup"]
