# SPDX-License-Identifier: GPL-2.0-only
"""The loader in a real guest: every verb, every kind of attachment, and that nothing is left."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from harness.loader_guest import SECONDS, LoaderGuest, alone

from lab.deadline import Deadline, scaled
from lab.guest.guest import Guest
from lab.kernel.artifact import Kernel
from lab.runner.plan import Planner

pytestmark = pytest.mark.integration

# Extension and program, where it goes, what makes it run 50 times.
ORDINARY = {
    "kprobe": ("count_getpgid_kprobe", "count_getpgid", None, "syscall getpgid times=50"),
    "kprobe by name": (
        "count_getpgid_kprobe",
        "count_getpgid",
        "kprobe:__x64_sys_getpgid",
        "syscall getpgid times=50",
    ),
    "kretprobe": (
        "count_getpgid_kprobe",
        "count_getpgid",
        "kretprobe:__x64_sys_getpgid",
        "syscall getpgid times=50",
    ),
    "tracepoint": ("count_getpgid_tracepoint", "count_getpgid", None, "syscall getpgid times=50"),
    "raw_tracepoint": (
        "count_getpgid_raw_tracepoint",
        "count_getpgid",
        None,
        "syscall getpgid times=50",
    ),
    "fentry": ("count_getpgid_fentry", "count_getpgid", None, "syscall getpgid times=50 cpu=1"),
    "xdp": ("count_packets_xdp", "count_packets", "xdp:lo", "packets dev=lo times=50"),
    "xdp on a driver": (
        "count_packets_xdp",
        "count_packets",
        "xdp:eth0",
        "packets dev=lo times=50",
    ),
    "tc ingress": ("count_packets_tc", "count_packets", "tc:lo/ingress", "packets dev=lo times=50"),
    "tc egress": ("count_packets_tc", "count_packets", "tc:lo/egress", "packets dev=lo times=50"),
}


@pytest.fixture
def loader(guest: Guest, stock: Kernel, planner: Planner) -> Iterator[LoaderGuest]:
    yield from alone(guest, stock, planner)


@pytest.mark.parametrize("case", ORDINARY)
def test_each_kind_counts_and_is_gone_after_detach(loader: LoaderGuest, case: str) -> None:
    name, program, target, trigger = ORDINARY[case]
    before = loader.bpf_objects()
    assert loader.load(name).ok
    attached = loader.do("attach", handle="a", program=program, to=target)
    assert attached["kind"] == (target or attached["to"]).split(":")[0]
    if attached["kind"] != "tc":
        assert attached["id"] in [link["id"] for link in loader.bpf_objects()["links"]]
    loader.pull(trigger)
    if "eth0" not in (target or ""):
        assert loader.value() == 50
    loader.do("detach", handle="a", program=program)
    loader.pull(trigger)
    if "eth0" not in (target or ""):
        assert loader.value() == 50
    loader.do("unload", handle="a")
    loader.settle(before)


def test_perf_events_on_all_cpus_and_on_one(loader: LoaderGuest) -> None:
    assert loader.load("count_samples_perf").ok
    loader.do("attach", handle="a", program="count_samples")
    for cpu in (0, 1):
        loader.pull(f"spin ms=300 cpu={cpu}")
    (entry,) = loader.do("read", handle="a", map="counts")["entries"]
    first, second = entry["values"]
    assert first > 0
    assert second > 0
    assert entry["value"] == first + second
    loader.do("detach", handle="a", program="count_samples")
    loader.do(
        "attach", handle="a", program="count_samples", to="perf:software/cpu-clock@200", cpu=1
    )
    (entry,) = loader.do("read", handle="a", map="counts")["entries"]
    still = entry["values"][0]
    loader.pull("spin ms=300 cpu=1")
    (entry,) = loader.do("read", handle="a", map="counts")["entries"]
    assert entry["values"][0] == still
    assert entry["values"][1] > second


@pytest.mark.parametrize(
    ("target", "errname"),
    [
        ("kprobe:no_such_function_at_all", "ENOENT"),
        ("kprobe:__x64_sys_getpgid+zz", "EINVAL"),
        ("tracepoint:syscalls", "EINVAL"),
        ("nonsense:x", "EOPNOTSUPP"),
        ("kprobe", "EINVAL"),
        ("xdp:nosuchdev", "ENODEV"),
        ("tc:lo/sideways", "EINVAL"),
        ("cgroup:/nowhere", "ENOENT"),
    ],
)
def test_targets_that_can_not_be(loader: LoaderGuest, target: str, errname: str) -> None:
    assert loader.load("count_getpgid_kprobe").ok
    answer = loader.call("attach", handle="a", program="count_getpgid", to=target)
    assert (answer.ok, answer["errname"], answer["stage"]) == (False, errname, "attach")
    assert loader.do("list")["handles"][0]["links"] == []


def test_fentry_is_bound_at_load(loader: LoaderGuest) -> None:
    answer = loader.load("count_getpgid_fentry", target="count_getpgid:do_sys_openat2")
    assert answer.ok, answer
    wrong = loader.call(
        "attach", handle="a", program="count_getpgid", to="fentry:__x64_sys_getpgid"
    )
    assert "fixed at load" in wrong["error"]
    attached = loader.do("attach", handle="a", program="count_getpgid")
    assert attached["to"] == "fentry:do_sys_openat2"
    loader.pull("syscall openat times=50")
    assert loader.value() >= 50


def test_load_says_what_it_loaded(loader: LoaderGuest) -> None:
    answer = loader.load("nested_kprobe")
    outer, inner = answer["programs"]
    assert (outer["name"], outer["type"], inner["type"]) == ("outer", "tracepoint", "kprobe")
    assert outer["section"] == "tracepoint/syscalls/sys_enter_getpgid"
    for program in (outer, inner):
        assert program["id"] in [p["id"] for p in loader.bpf_objects()["programs"]]
        assert program["xlated_len"] > 0
        assert program["jited_len"] > 0
        assert len(program["tag"]) == 16
    (counts,) = answer["maps"]
    assert (counts["name"], counts["type"], counts["max_entries"]) == ("counts", "array", 2)
    assert answer["log"].count("processed ") == 2


def test_a_part_of_an_object(loader: LoaderGuest) -> None:
    answer = loader.load("nested_kprobe", autoload="inner")
    assert [program["name"] for program in answer["programs"]] == ["inner"]
    assert loader.call("attach", handle="a", program="outer")["errname"] == "ENOENT"
    loader.do("unload", handle="a")
    assert "no program nobody" in loader.load("nested_kprobe", autoload="nobody")["error"]


def test_a_rejection_has_the_whole_way(loader: LoaderGuest) -> None:
    answer = loader.load("two_locks")
    assert (answer.ok, answer["stage"], answer["program"]) == (False, "verify", "two_locks")
    assert answer["log_level"] == 1
    assert answer["log"].startswith("0: R1=ctx() R10=fp0")
    assert "bpf_spin_lock(&to->lock); @ two_locks.bpf.c:" in answer["log"]
    assert "function calls are not allowed while holding a lock" in answer["log"]
    assert loader.do("list")["handles"] == []


def test_a_log_of_megabytes_arrives_whole(loader: LoaderGuest) -> None:
    answer = loader.load("count_words")
    assert answer["log_level"] == 1
    assert len(answer["log"]) > 1 << 20
    assert answer["log"].startswith("0: R1=ctx() R10=fp0")
    assert "\nThe sequence of 8193 jumps is too complex.\nprocessed " in answer["log"]


def test_a_way_too_long_to_print_leaves_the_verdict(loader: LoaderGuest) -> None:
    answer = loader.load("test_bitmap")
    assert answer["log_level"] == 4
    assert answer["log"].startswith("BPF program is too large. Processed 1000001 insn")
    assert len(answer["log"]) < 1000


def test_run_with_data_in_and_out(loader: LoaderGuest) -> None:
    assert loader.load("count_packets_xdp").ok
    run = loader.do("run", handle="a", program="count_packets", repeat=10, size=100)
    assert run["retval"] == 2  # XDP_PASS
    assert run["duration_ns"] > 0
    assert "data_out" not in run
    assert (loader.value(0), loader.value(1)) == (10, 1000)
    data = "02" * 60
    run = loader.do("run", handle="a", program="count_packets", data=data, out=1, cpu=1)
    assert run["data_out"] == data
    for wrong, errname in (
        ({"data": "0"}, "EINVAL"),
        ({"data": "zz"}, "EINVAL"),
        ({"data": "00" * 60, "size": 60}, "EINVAL"),
        ({"size": 0}, "EINVAL"),
        ({"repeat": -1}, "EINVAL"),
    ):
        answer = loader.call("run", handle="a", program="count_packets", **wrong)
        assert (answer.ok, answer["errname"]) == (False, errname), wrong


def test_run_a_raw_tracepoint_on_a_cpu(loader: LoaderGuest) -> None:
    assert loader.load("count_getpgid_raw_tracepoint").ok
    getpgid = (121).to_bytes(8, "little").hex()
    loader.do("run", handle="a", program="count_getpgid", ctx="00" * 8 + getpgid + "00" * 80, cpu=1)
    loader.do("run", handle="a", program="count_getpgid")
    assert (loader.value(0), loader.value(1)) == (1, 1)


def test_a_kind_that_has_no_test_run(loader: LoaderGuest) -> None:
    assert loader.load("count_getpgid_kprobe").ok
    answer = loader.call("run", handle="a", program="count_getpgid")
    assert (answer["errname"], answer["stage"]) == ("ENOTSUPP", "run")


def test_maps_are_written_and_read(loader: LoaderGuest) -> None:
    assert loader.load("count_packets_xdp").ok
    loader.do("write", handle="a", map="counts", key=1, value=300)
    assert loader.value(1) == 300
    loader.do("write", handle="a", map="counts", key="0x00000000", value="0x0100000000000000")
    answer = loader.do("read", handle="a", map="counts")
    assert [(entry["key"], entry["value"]) for entry in answer["entries"]] == [(0, 1), (1, 300)]
    assert answer["entries"][1]["value_hex"] == "2c01000000000000"
    assert answer["truncated"] is False
    assert loader.do("read", handle="a", map="counts", limit=1)["truncated"] is True
    for key, value, errname in (
        ("2", "1", "E2BIG"),
        ("-1", "1", "E2BIG"),
        ("4294967296", "1", "EINVAL"),
        ("0x00", "1", "EINVAL"),
        ("0", "x", "EINVAL"),
        ("0", "18446744073709551616", "EINVAL"),
    ):
        answer = loader.call("write", handle="a", map="counts", key=key, value=value)
        assert (answer.ok, answer["errname"]) == (False, errname), (key, value)
    assert loader.call("read", handle="a", map="counts", key=9)["error"] == "counts[9]: no such key"
    assert loader.call("read", handle="a", map="nope")["error"] == "a has no map nope"


def test_a_write_to_a_per_cpu_map_reaches_every_cpu(loader: LoaderGuest) -> None:
    assert loader.load("count_samples_perf").ok
    loader.do("write", handle="a", map="counts", key=0, value=5)
    (entry,) = loader.do("read", handle="a", map="counts")["entries"]
    assert (entry["values"], entry["value"]) == ([5, 5], 10)


def test_runs_and_misses_are_counted(loader: LoaderGuest) -> None:
    assert loader.load("nested_kprobe").ok
    for program in ("outer", "inner"):
        loader.do("attach", handle="a", program=program)
    loader.pull("syscall getpgid times=20")
    stats = loader.do("stats", handle="a")
    assert stats["counted"] is True
    outer, inner = stats["programs"]
    assert (outer["run_cnt"], outer["recursion_misses"]) == (20, 0)
    assert (inner["run_cnt"], inner["recursion_misses"]) == (0, 20)


def test_what_is_pinned_stays_and_is_seen(loader: LoaderGuest) -> None:
    path = "/sys/fs/bpf/kept"
    answer = loader.load("count_getpgid_kprobe")
    loader.do("pin", handle="a", map="counts", path=path)
    again = loader.call("pin", handle="a", map="counts", path=path)
    assert again["errname"] == "EEXIST"
    loader.do("unload", handle="a")
    identifier = answer["maps"][0]["id"]
    loader.guest.end_loader()
    objects = loader.bpf_objects()
    assert objects["pins"] == [path]
    assert identifier in [found["id"] for found in objects["maps"]]
    loader.do("unpin", path=path)
    assert loader.bpf_objects()["pins"] == []
    loader.guest.push({"/root/plain": b"x"})
    assert not loader.call("unpin", path="/root/plain").ok
    assert loader.guest.run("cat /root/plain").stdout == "x"


@pytest.mark.parametrize("end", ["end of input", "TERM"])
def test_nothing_is_left_when_it_ends(loader: LoaderGuest, end: str) -> None:
    before = loader.bpf_objects()
    loader.push("count_packets_tc")
    assert loader.load("count_packets_xdp").ok
    loader.do("attach", handle="a", program="count_packets", to="xdp:lo")
    loader.do("load", handle="b", path="/root/count_packets_tc.bpf.o")
    for side in ("ingress", "egress"):
        loader.do("attach", handle="b", program="count_packets", to=f"tc:lo/{side}")
    kinds = [entry["kind"] for entry in loader.bpf_objects()["net"]]
    assert kinds == ["xdp", "tc-ingress", "tc-egress"]
    if end == "TERM":
        loader.guest.run("kill -TERM $(pidof kextload)")
        loader.guest.forget_loader()
    else:
        loader.guest.end_loader()
    loader.settle(before)
    # Not even the qdisc that it made: the next loader makes, and removes, its own.
    assert "clsact" not in loader.guest.run("tc qdisc show dev lo 2>/dev/null || true").stdout


def test_a_tc_filter_outlives_sigkill_and_is_among_the_bpf_objects(loader: LoaderGuest) -> None:
    guest = loader.guest
    assert guest.run("ip link add kept0 type dummy && ip link set kept0 up").ok
    assert loader.load("count_packets_tc").ok
    loader.do("attach", handle="a", program="count_packets", to="tc:kept0/egress")
    guest.run("kill -KILL $(pidof kextload)")
    guest.forget_loader()
    Deadline(SECONDS).poll(
        lambda: not guest.run("pidof kextload").stdout.strip(), "the end of the loader"
    )
    (entry,) = loader.bpf_objects()["net"]
    assert (entry["ifname"], entry["kind"]) == ("kept0", "tc-egress")
    assert guest.run("ip link del kept0").ok  # takes the filter with it


def test_frames_over_a_device_that_is_no_loopback(loader: LoaderGuest) -> None:
    guest = loader.guest
    assert guest.run("ip link add d0 type dummy && ip link set d0 up").ok
    assert loader.load("count_packets_tc").ok
    loader.do("attach", handle="a", program="count_packets", to="tc:d0/egress")
    before = loader.value(), loader.value(1)
    loader.pull("packets dev=d0 times=20 size=58")
    # The kernel may announce itself on a new device too; that is more, never less.
    assert loader.value() >= before[0] + 20
    assert loader.value(1) >= before[1] + 20 * 100
    loader.do("unload", handle="a")
    assert guest.run("ip link del d0").ok


def test_alive_names_every_cpu(loader: LoaderGuest) -> None:
    out = loader.guest.alive("nonce-1", scaled(SECONDS))
    assert '{"cpu":0,"nonce":"nonce-1","ok":true}' in out
    assert '{"ok":true,"cpus":[0,1],"missing":[]}' in out
