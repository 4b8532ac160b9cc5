# SPDX-License-Identifier: GPL-2.0-only
"""The loader with Rex images: the verbs of C objects, with the same answers."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import pytest
from harness.loader_guest import KINDS_IMAGE as FILE
from harness.loader_guest import LoaderGuest, alone

from lab.guest.guest import Guest
from lab.kernel.artifact import Kernel
from lab.runner.plan import Planner

pytestmark = pytest.mark.integration

GETPGID = "syscall getpgid times=50"
PACKETS = "packets dev=lo times=50"
# What each program's type is, where its entry says that it goes, another place,
# and what makes it run 50 times.
TYPES = {
    "on_kprobe": (2, "kprobe:__x64_sys_getpgid", "kretprobe:__x64_sys_getpgid", GETPGID),
    "on_tracepoint": (
        5,
        "tracepoint:syscalls/sys_enter_getpgid",
        "tracepoint:syscalls/sys_exit_getpgid",
        GETPGID,
    ),
    "on_raw_tracepoint": (17, "raw_tracepoint:sys_enter", None, GETPGID),
    "on_xdp": (6, "xdp:lo", None, PACKETS),
    "on_tc": (3, "tc:lo/ingress", "tc:lo/egress", PACKETS),
}
MAPS = {
    "counts": ("array", 4, 8, 32),
    "hash": ("hash", 8, 8, 16),
    "lru": ("lru_hash", 4, 4, 16),
    "per_cpu": ("percpu_array", 4, 8, 2),
    "queue": ("queue", 0, 8, 4),
    "stack": ("stack", 0, 2, 4),
    "ring": ("ringbuf", 0, 0, 4096),
    "guarded": ("array", 4, 24, 1),
    "guarded_by_its_first_bytes": ("hash", 12, 12, 4),
}


@pytest.fixture
def loader(rex_guest: Guest, rex: Kernel, planner: Planner) -> Iterator[LoaderGuest]:
    yield from alone(rex_guest, rex, planner)


def load(loader: LoaderGuest, **arguments: Any) -> dict[str, Any]:
    return loader.do("load", handle="a", path=FILE, **arguments)


def run(loader: LoaderGuest, program: str, number: int = 0) -> int:
    context = number.to_bytes(8, "little").hex() + "00" * 8
    return int(loader.do("run", handle="a", program=program, ctx=context)["retval"])


def outcomes(loader: LoaderGuest, program: str) -> dict[str, int]:
    """The counts that are not zero."""
    (found,) = [
        entry for entry in loader.do("stats", handle="a")["programs"] if entry["name"] == program
    ]
    return {name: count for name, count in found["outcomes"].items() if count}


def test_load_says_what_it_loaded(loader: LoaderGuest) -> None:
    before = loader.bpf_objects()
    answer = load(loader)
    assert answer["log"] == ""
    found = {program["name"]: program for program in answer["programs"]}
    assert set(found) >= set(TYPES)
    assert {program["section"] for program in found.values()} == {".rex.progs"}
    types = {program: found[program]["type"] for program in TYPES}
    assert types == {
        "on_kprobe": "kprobe",
        "on_tracepoint": "tracepoint",
        "on_raw_tracepoint": "raw_tracepoint",
        "on_xdp": "xdp",
        "on_tc": "sched_cls",
    }
    objects = loader.bpf_objects()
    names = {entry["id"]: entry["name"] for entry in objects["programs"]}
    for program in found.values():
        assert names[program["id"]] == program["name"][:15]
        assert len(program["tag"]) == 16
    maps = {
        entry["name"]: (
            entry["type"], entry["key_size"], entry["value_size"], entry["max_entries"],
        )
        for entry in answer["maps"]
    }  # fmt: skip
    assert maps == MAPS
    names = {entry["id"]: entry["name"] for entry in objects["maps"]}
    assert [names[entry["id"]] for entry in answer["maps"]] == [
        entry["name"][:15] for entry in answer["maps"]
    ]
    # One of each for all programs, and BTF for those with a lock.
    assert len(objects["maps"]) - len(before["maps"]) == len(MAPS)
    assert len(objects["btfs"]) - len(before["btfs"]) == 2
    (listed,) = loader.do("list")["handles"]
    assert (listed["handle"], listed["path"], listed["links"]) == ("a", FILE, [])
    assert listed["programs"] == answer["programs"]
    assert listed["maps"] == answer["maps"]
    loader.do("unload", handle="a")
    assert loader.do("list")["handles"] == []
    loader.settle(before)


@pytest.mark.parametrize("program", TYPES)
def test_each_type_counts_and_is_gone_after_detach(loader: LoaderGuest, program: str) -> None:
    key, place, other, trigger = TYPES[program]
    load(loader)
    before = loader.bpf_objects()
    expected = 0
    for target in (None, place, other):
        if target is other is None:
            continue
        attached = loader.do("attach", handle="a", program=program, to=target)
        assert attached["to"] == (target or place)
        assert attached["kind"] == attached["to"].split(":")[0]
        assert attached["link"] == f"a.{program}"
        (link,) = loader.do("list")["handles"][0]["links"]
        assert (link["program"], link["to"]) == (program, attached["to"])
        if attached["kind"] == "tc":
            assert attached["id"] is None
        else:
            assert attached["id"] in [entry["id"] for entry in loader.bpf_objects()["links"]]
        loader.pull(trigger)
        expected += 50
        assert loader.value(key) == expected
        assert loader.do("detach", handle="a", program=program)["detached"] == 1
        loader.pull(trigger)
        assert loader.value(key) == expected
        loader.settle(before)
    assert outcomes(loader, program)["returned"] >= expected


def test_a_kretprobe_is_at_the_return(loader: LoaderGuest) -> None:
    """If a function never returns, only a kprobe on it counts."""
    load(loader, autoload="on_kprobe")
    loader.do("attach", handle="a", program="on_kprobe", to="kretprobe:do_exit")
    assert loader.guest.run("/bin/busybox true").ok
    assert loader.value(2) == 0
    loader.do("detach", handle="a", program="on_kprobe")
    loader.do("attach", handle="a", program="on_kprobe", to="kprobe:do_exit")
    assert loader.guest.run("/bin/busybox true").ok
    assert loader.value(2) > 0


def test_perf_events_on_all_cpus_and_on_one(loader: LoaderGuest) -> None:
    load(loader, autoload="on_perf")
    attached = loader.do("attach", handle="a", program="on_perf")
    assert attached["to"] == "perf:software/cpu-clock@100"
    assert (
        len([link for link in loader.bpf_objects()["links"] if link["type"] == "perf_event"]) == 2
    )
    loader.pull("spin ms=300 cpu=0")
    first = loader.value(7)
    assert first > 0
    loader.do("detach", handle="a", program="on_perf")
    after = loader.value(7)
    loader.pull("spin ms=300 cpu=0")
    assert loader.value(7) == after
    loader.do("attach", handle="a", program="on_perf", to="perf:software/cpu-clock@200", cpu=1)
    assert (
        len([link for link in loader.bpf_objects()["links"] if link["type"] == "perf_event"]) == 1
    )
    loader.pull("spin ms=300 cpu=1")
    assert loader.value(7) > after


@pytest.mark.parametrize(
    ("program", "target", "errname"),
    [
        ("on_kprobe", "kprobe:no_such_function_at_all", "ENOENT"),
        ("on_kprobe", "tracepoint:syscalls/sys_enter_getpgid", "EINVAL"),
        ("on_tracepoint", "tracepoint:syscalls/nothing", "ENOENT"),
        # Its context would end before what the program may read of it.
        ("on_tracepoint", "tracepoint:irq/softirq_entry", "EACCES"),
        ("on_xdp", "xdp:nosuchdev", "ENODEV"),
        ("on_tc", "xdp:lo", "EINVAL"),
        ("on_kprobe", "fentry:__x64_sys_getpgid", "EINVAL"),
        ("on_kprobe", "cgroup:/", "EOPNOTSUPP"),
        ("says", None, "EOPNOTSUPP"),
    ],
)
def test_targets_that_can_not_be(
    loader: LoaderGuest, program: str, target: str | None, errname: str
) -> None:
    load(loader)
    answer = loader.call("attach", handle="a", program=program, to=target)
    assert (answer.ok, answer["errname"], answer["stage"]) == (False, errname, "attach"), answer
    if target is None:
        assert "say where with to=" in answer["error"]
    assert loader.do("list")["handles"][0]["links"] == []


def test_a_part_of_an_image(loader: LoaderGuest) -> None:
    answer = load(loader, autoload="panics,on_kprobe")
    assert {program["name"] for program in answer["programs"]} == {"panics", "on_kprobe"}
    assert len(loader.bpf_objects()["programs"]) == 2
    missing = loader.call("attach", handle="a", program="on_xdp")
    assert missing["error"] == "on_xdp was not loaded with a"
    loader.do("unload", handle="a")
    wrong = loader.call("load", handle="a", path=FILE, autoload="on_xdp,nobody")
    assert (wrong["stage"], wrong["errname"]) == ("open", "ENOENT")
    assert "no program nobody in the image" in wrong["error"]


def test_outcomes_are_counted(loader: LoaderGuest) -> None:
    load(loader)
    assert run(loader, "says") == 0
    for _ in range(3):
        assert run(loader, "panics") == 9
    for _ in range(2):
        assert run(loader, "faults") == 9
    assert outcomes(loader, "says") == {"returned": 1}
    assert outcomes(loader, "panics") == {"panicked": 3}
    assert outcomes(loader, "faults") == {"faulted": 2}
    loader.guest.run("sysctl -w kernel.rex.disable_on_panic=1")
    try:
        for _ in range(2):
            run(loader, "panics")
    finally:
        loader.guest.run("sysctl -w kernel.rex.disable_on_panic=0")
    assert outcomes(loader, "panics") == {"panicked": 4, "disabled": 1}
    stats = loader.do("stats", handle="a")
    assert stats["counted"] is True
    for program in stats["programs"]:
        assert {"returned", "panicked", "faulted", "overflowed", "refused", "disabled"} <= set(
            program["outcomes"]
        )


def test_outcomes_that_can_not_be_read_are_no_zeros(loader: LoaderGuest) -> None:
    load(loader)
    assert loader.guest.run("mount -t tmpfs none /sys/kernel/debug/rex/progs").ok
    try:
        answer = loader.call("stats", handle="a")
        assert (answer.ok, answer["stage"], answer["errname"]) == (False, "stats", "ENOENT")
        identifier = loader.do("list")["handles"][0]["programs"][0]["id"]
        loader.guest.push({f"/sys/kernel/debug/rex/progs/{identifier}": b"name x\nruns 3\n"})
        answer = loader.call("stats", handle="a")
        assert (answer["stage"], answer["errname"]) == ("stats", "EPROTO")
    finally:
        assert loader.guest.run("umount /sys/kernel/debug/rex/progs").ok
    loader.do("stats", handle="a")


def entries(loader: LoaderGuest, name: str, **arguments: Any) -> list[Any]:
    """Read a map; return its entries with keys as pairs, or else its values in order."""
    answer = loader.do("read", handle="a", map=name, **arguments)
    return [
        (entry["key"], entry["value"]) if "key" in entry else entry["value"]
        for entry in answer["entries"]
    ]


def test_programs_and_users_see_the_same_in_each_map(loader: LoaderGuest) -> None:
    load(loader)
    for number in (7, 8):
        assert run(loader, "fills_the_maps_of_each_type", number) == 0
    assert sorted(entries(loader, "hash")) == [(7, 7), (8, 8)]
    assert sorted(entries(loader, "lru")) == [(7, 7), (8, 8)]
    assert entries(loader, "hash", key=8) == [(8, 8)]
    (entry,) = loader.do("read", handle="a", map="per_cpu", key=1)["entries"]
    assert (entry["value"], sum(entry["values"]), len(entry["values"])) == (15, 15, 2)
    assert entries(loader, "queue") == [7, 8]
    assert entries(loader, "stack") == [8, 7]
    samples = loader.do("read", handle="a", map="ring")
    assert samples == {
        "ok": True,
        "entries": [
            {"value_hex": "0700000000000000", "value": 7},
            {"value_hex": "070707"},
            {"value_hex": "0800000000000000", "value": 8},
            {"value_hex": "080808"},
        ],
        "truncated": False,
    }
    # What was popped or consumed is gone.
    for name in ("queue", "stack", "ring"):
        assert entries(loader, name) == []


def test_users_write_maps(loader: LoaderGuest) -> None:
    load(loader)
    loader.do("write", handle="a", map="hash", key=2**64 - 1, value=1)
    loader.do("write", handle="a", map="lru", key=3, value=4)
    loader.do("write", handle="a", map="per_cpu", key=1, value=5)
    assert entries(loader, "hash") == [(2**64 - 1, 1)]
    assert entries(loader, "lru") == [(3, 4)]
    assert entries(loader, "per_cpu", key=1) == [(1, 10)]
    for name, order in (("queue", (1, 2, 3, 4)), ("stack", (4, 3, 2, 1))):
        for value in (1, 2, 3, 4):
            loader.do("write", handle="a", map=name, value=value)
        full = loader.call("write", handle="a", map=name, value=5)
        assert (full["stage"], full["errname"]) == ("write", "E2BIG")
        first = loader.do("read", handle="a", map=name, limit=1)
        assert [entry["value"] for entry in first["entries"]] == [order[0]]
        assert first["truncated"] is True
        rest = loader.do("read", handle="a", map=name, limit=3)
        assert [entry["value"] for entry in rest["entries"]] == list(order[1:])
        assert rest["truncated"] is False
        keyed = loader.call("write", handle="a", map=name, key=1, value=1)
        assert (keyed["errname"], keyed["error"]) == ("EINVAL", f"{name} has no keys")
        assert loader.call("read", handle="a", map=name, key=0)["errname"] == "EINVAL"
    assert loader.call("write", handle="a", map="ring", value=1)["errname"] == "EOPNOTSUPP"
    assert loader.call("write", handle="a", map="hash", value=1)["errname"] == "EINVAL"
    # A program finds what was written.
    loader.do("write", handle="a", map="per_cpu", key=1, value=100)
    assert run(loader, "fills_the_maps_of_each_type", 1) == 0
    assert entries(loader, "per_cpu", key=1) == [(1, 201)]


def test_a_ring_goes_round_and_gives_as_much_as_is_asked(loader: LoaderGuest) -> None:
    """More than the ring's 4096 bytes pass through, in parts that cross its end."""
    load(loader)
    for turn in range(300):
        # Two samples take 32 bytes: seven numbers don't come round with the ring.
        number = turn % 7
        assert run(loader, "fills_the_maps_of_each_type", number) == 0
        for name in ("queue", "stack"):
            loader.do("read", handle="a", map=name)
        one = loader.do("read", handle="a", map="ring", limit=1)
        assert [entry["value"] for entry in one["entries"]] == [number]
        assert one["truncated"] is True
        other = loader.do("read", handle="a", map="ring", limit=1)
        assert [entry["value_hex"] for entry in other["entries"]] == [f"{number:02x}" * 3]
        assert other["truncated"] is False


def test_a_sample_that_was_discarded_is_none(loader: LoaderGuest) -> None:
    """The kernel discards what a program reserved and left."""
    load(loader)
    assert run(loader, "leaves_a_sample") == 0
    assert run(loader, "fills_the_maps_of_each_type", 5) == 0
    answer = loader.do("read", handle="a", map="ring")
    assert [entry["value_hex"] for entry in answer["entries"]] == ["05" + "00" * 7, "050505"]


def test_a_lock_in_a_value_is_one_for_both_sides(loader: LoaderGuest) -> None:
    load(loader)
    for _ in range(3):
        assert run(loader, "counts_guarded") == 0

    def guarded(**arguments: Any) -> tuple[int, ...]:
        (entry,) = loader.do("read", handle="a", map="guarded", key=0, **arguments)["entries"]
        return struct.unpack("<QIIQ", bytes.fromhex(entry["value_hex"]))

    assert guarded() == guarded(lock=1) == (3, 0, 0, 6)
    value = "0x" + struct.pack("<QIIQ", 10, 0xFFFFFFFF, 0, 20).hex()
    loader.do("write", handle="a", map="guarded", key=0, value=value, lock=1)
    assert run(loader, "counts_guarded") == 0  # the lock is not what was written there
    assert guarded(lock=1) == (11, 0, 0, 22)
    key, value = "0x" + "ab" * 12, "0x" + "00" * 4 + "cd" * 8
    name = "guarded_by_its_first_bytes"
    loader.do("write", handle="a", map=name, key=key, value=value)
    loader.do("write", handle="a", map=name, key=key, value=value, lock=1)
    (entry,) = loader.do("read", handle="a", map=name, key=key, lock=1)["entries"]
    assert (entry["key_hex"], entry["value_hex"]) == (key[2:], value[2:])
    # Where there is no lock, none is taken for one.
    assert loader.call("read", handle="a", map="hash", key=1, lock=1)["errname"] == "EINVAL"


def test_what_is_pinned_stays(loader: LoaderGuest) -> None:
    answer = load(loader)
    paths = {"map": "/sys/fs/bpf/kept_map", "program": "/sys/fs/bpf/kept_program"}
    loader.do("pin", handle="a", map="counts", path=paths["map"])
    loader.do("pin", handle="a", program="on_kprobe", path=paths["program"])
    ids = [
        next(entry["id"] for entry in answer[kind] if entry["name"] == name)
        for kind, name in (("maps", "counts"), ("programs", "on_kprobe"))
    ]
    loader.do("unload", handle="a")
    loader.guest.end_loader()
    objects = loader.bpf_objects()
    assert sorted(objects["pins"]) == sorted(paths.values())
    assert ids[0] in [entry["id"] for entry in objects["maps"]]
    assert ids[1] in [entry["id"] for entry in objects["programs"]]
    for path in paths.values():
        loader.do("unpin", path=path)


def test_a_c_object_beside_it(loader: LoaderGuest) -> None:
    load(loader)
    loader.do("load", handle="b", path=loader.push("count_getpgid_kprobe"))
    loader.do("attach", handle="a", program="on_kprobe")
    loader.do("attach", handle="b", program="count_getpgid")
    loader.pull(GETPGID)
    (entry,) = loader.do("read", handle="b", map="counts", key=0)["entries"]
    assert (loader.value(2), entry["value"]) == (50, 50)
    (stats,) = loader.do("stats", handle="b")["programs"]
    assert stats["run_cnt"] == 50
    assert "outcomes" not in stats


def test_nothing_is_left_when_it_ends(loader: LoaderGuest) -> None:
    before = loader.bpf_objects()
    load(loader)
    for program in (*TYPES, "on_perf"):
        loader.do("attach", handle="a", program=program)
    assert len(loader.bpf_objects()["links"]) > len(before["links"])
    loader.guest.run("kill -TERM $(pidof kextload)")
    loader.guest.forget_loader()
    loader.settle(before)
