# SPDX-License-Identifier: GPL-2.0-only
"""The loader in a real guest: every verb, every kind of attachment, and that nothing is left."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from harness.loader_guest import SECONDS, Bench, alone

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
def bench(guest: Guest, stock: Kernel, planner: Planner) -> Iterator[Bench]:
    yield from alone(guest, stock, planner)


@pytest.mark.parametrize("case", ORDINARY)
def test_each_kind_counts_and_is_gone_after_detach(bench: Bench, case: str) -> None:
    name, program, target, trigger = ORDINARY[case]
    before = bench.bpf_objects()
    assert bench.load(name).ok
    attached = bench.do("attach", handle="a", program=program, to=target)
    assert attached["kind"] == (target or attached["to"]).split(":")[0]
    if attached["kind"] != "tc":
        assert attached["id"] in [link["id"] for link in bench.bpf_objects()["links"]]
    bench.pull(trigger)
    if "eth0" not in (target or ""):
        assert bench.value() == 50
    bench.do("detach", handle="a", program=program)
    bench.pull(trigger)
    if "eth0" not in (target or ""):
        assert bench.value() == 50
    bench.do("unload", handle="a")
    bench.settle(before)


def test_perf_events_on_all_cpus_and_on_one(bench: Bench) -> None:
    assert bench.load("count_samples_perf").ok
    bench.do("attach", handle="a", program="count_samples")
    for cpu in (0, 1):
        bench.pull(f"spin ms=300 cpu={cpu}")
    (entry,) = bench.do("read", handle="a", map="counts")["entries"]
    first, second = entry["values"]
    assert first > 0
    assert second > 0
    assert entry["value"] == first + second
    bench.do("detach", handle="a", program="count_samples")
    bench.do("attach", handle="a", program="count_samples", to="perf:software/cpu-clock@200", cpu=1)
    (entry,) = bench.do("read", handle="a", map="counts")["entries"]
    still = entry["values"][0]
    bench.pull("spin ms=300 cpu=1")
    (entry,) = bench.do("read", handle="a", map="counts")["entries"]
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
def test_targets_that_can_not_be(bench: Bench, target: str, errname: str) -> None:
    assert bench.load("count_getpgid_kprobe").ok
    answer = bench.call("attach", handle="a", program="count_getpgid", to=target)
    assert (answer.ok, answer["errname"], answer["stage"]) == (False, errname, "attach")
    assert bench.do("list")["handles"][0]["links"] == []


def test_fentry_is_bound_at_load(bench: Bench) -> None:
    answer = bench.load("count_getpgid_fentry", target="count_getpgid:do_sys_openat2")
    assert answer.ok, answer
    wrong = bench.call("attach", handle="a", program="count_getpgid", to="fentry:__x64_sys_getpgid")
    assert "fixed at load" in wrong["error"]
    attached = bench.do("attach", handle="a", program="count_getpgid")
    assert attached["to"] == "fentry:do_sys_openat2"
    bench.pull("syscall openat times=50")
    assert bench.value() >= 50


def test_load_says_what_it_loaded(bench: Bench) -> None:
    answer = bench.load("nested_kprobe")
    outer, inner = answer["programs"]
    assert (outer["name"], outer["type"], inner["type"]) == ("outer", "tracepoint", "kprobe")
    assert outer["section"] == "tracepoint/syscalls/sys_enter_getpgid"
    for program in (outer, inner):
        assert program["id"] in [p["id"] for p in bench.bpf_objects()["programs"]]
        assert program["xlated_len"] > 0
        assert program["jited_len"] > 0
        assert len(program["tag"]) == 16
    (counts,) = answer["maps"]
    assert (counts["name"], counts["type"], counts["max_entries"]) == ("counts", "array", 2)
    assert answer["log"].count("processed ") == 2


def test_a_part_of_an_object(bench: Bench) -> None:
    answer = bench.load("nested_kprobe", autoload="inner")
    assert [program["name"] for program in answer["programs"]] == ["inner"]
    assert bench.call("attach", handle="a", program="outer")["errname"] == "ENOENT"
    bench.do("unload", handle="a")
    assert "no program nobody" in bench.load("nested_kprobe", autoload="nobody")["error"]


def test_a_rejection_has_the_whole_way(bench: Bench) -> None:
    answer = bench.load("two_locks")
    assert (answer.ok, answer["stage"], answer["program"]) == (False, "verify", "two_locks")
    assert answer["log_level"] == 1
    assert answer["log"].startswith("0: R1=ctx() R10=fp0")
    assert "bpf_spin_lock(&to->lock); @ two_locks.bpf.c:" in answer["log"]
    assert "function calls are not allowed while holding a lock" in answer["log"]
    assert bench.do("list")["handles"] == []


def test_a_log_of_megabytes_arrives_whole(bench: Bench) -> None:
    answer = bench.load("count_words")
    assert answer["log_level"] == 1
    assert len(answer["log"]) > 1 << 20
    assert answer["log"].startswith("0: R1=ctx() R10=fp0")
    assert "\nThe sequence of 8193 jumps is too complex.\nprocessed " in answer["log"]


def test_a_way_too_long_to_print_leaves_the_verdict(bench: Bench) -> None:
    answer = bench.load("test_bitmap")
    assert answer["log_level"] == 4
    assert answer["log"].startswith("BPF program is too large. Processed 1000001 insn")
    assert len(answer["log"]) < 1000


def test_run_with_data_in_and_out(bench: Bench) -> None:
    assert bench.load("count_packets_xdp").ok
    run = bench.do("run", handle="a", program="count_packets", repeat=10, size=100)
    assert run["retval"] == 2  # XDP_PASS
    assert run["duration_ns"] > 0
    assert "data_out" not in run
    assert (bench.value(0), bench.value(1)) == (10, 1000)
    data = "02" * 60
    run = bench.do("run", handle="a", program="count_packets", data=data, out=1, cpu=1)
    assert run["data_out"] == data
    for wrong, errname in (
        ({"data": "0"}, "EINVAL"),
        ({"data": "zz"}, "EINVAL"),
        ({"data": "00" * 60, "size": 60}, "EINVAL"),
        ({"size": 0}, "EINVAL"),
        ({"repeat": -1}, "EINVAL"),
    ):
        answer = bench.call("run", handle="a", program="count_packets", **wrong)
        assert (answer.ok, answer["errname"]) == (False, errname), wrong


def test_run_a_raw_tracepoint_on_a_cpu(bench: Bench) -> None:
    assert bench.load("count_getpgid_raw_tracepoint").ok
    getpgid = (121).to_bytes(8, "little").hex()
    bench.do("run", handle="a", program="count_getpgid", ctx="00" * 8 + getpgid + "00" * 80, cpu=1)
    bench.do("run", handle="a", program="count_getpgid")
    assert (bench.value(0), bench.value(1)) == (1, 1)


def test_a_kind_that_has_no_test_run(bench: Bench) -> None:
    assert bench.load("count_getpgid_kprobe").ok
    answer = bench.call("run", handle="a", program="count_getpgid")
    assert (answer["errname"], answer["stage"]) == ("ENOTSUPP", "run")


def test_maps_are_written_and_read(bench: Bench) -> None:
    assert bench.load("count_packets_xdp").ok
    bench.do("write", handle="a", map="counts", key=1, value=300)
    assert bench.value(1) == 300
    bench.do("write", handle="a", map="counts", key="0x00000000", value="0x0100000000000000")
    answer = bench.do("read", handle="a", map="counts")
    assert [(entry["key"], entry["value"]) for entry in answer["entries"]] == [(0, 1), (1, 300)]
    assert answer["entries"][1]["value_hex"] == "2c01000000000000"
    assert answer["truncated"] is False
    assert bench.do("read", handle="a", map="counts", limit=1)["truncated"] is True
    for key, value, errname in (
        ("2", "1", "E2BIG"),
        ("-1", "1", "E2BIG"),
        ("4294967296", "1", "EINVAL"),
        ("0x00", "1", "EINVAL"),
        ("0", "x", "EINVAL"),
        ("0", "18446744073709551616", "EINVAL"),
    ):
        answer = bench.call("write", handle="a", map="counts", key=key, value=value)
        assert (answer.ok, answer["errname"]) == (False, errname), (key, value)
    assert bench.call("read", handle="a", map="counts", key=9)["error"] == "counts[9]: no such key"
    assert bench.call("read", handle="a", map="nope")["error"] == "a has no map nope"


def test_a_write_to_a_per_cpu_map_reaches_every_cpu(bench: Bench) -> None:
    assert bench.load("count_samples_perf").ok
    bench.do("write", handle="a", map="counts", key=0, value=5)
    (entry,) = bench.do("read", handle="a", map="counts")["entries"]
    assert (entry["values"], entry["value"]) == ([5, 5], 10)


def test_runs_and_misses_are_counted(bench: Bench) -> None:
    assert bench.load("nested_kprobe").ok
    for program in ("outer", "inner"):
        bench.do("attach", handle="a", program=program)
    bench.pull("syscall getpgid times=20")
    stats = bench.do("stats", handle="a")
    assert stats["counted"] is True
    outer, inner = stats["programs"]
    assert (outer["run_cnt"], outer["recursion_misses"]) == (20, 0)
    assert (inner["run_cnt"], inner["recursion_misses"]) == (0, 20)


def test_what_is_pinned_stays_and_is_seen(bench: Bench) -> None:
    path = "/sys/fs/bpf/kept"
    answer = bench.load("count_getpgid_kprobe")
    bench.do("pin", handle="a", map="counts", path=path)
    again = bench.call("pin", handle="a", map="counts", path=path)
    assert again["errname"] == "EEXIST"
    bench.do("unload", handle="a")
    identifier = answer["maps"][0]["id"]
    bench.guest.end_loader()
    objects = bench.bpf_objects()
    assert objects["pins"] == [path]
    assert identifier in [found["id"] for found in objects["maps"]]
    bench.do("unpin", path=path)
    assert bench.bpf_objects()["pins"] == []
    bench.guest.push({"/root/plain": b"x"})
    assert not bench.call("unpin", path="/root/plain").ok
    assert bench.guest.run("cat /root/plain").stdout == "x"


@pytest.mark.parametrize("end", ["end of input", "TERM"])
def test_nothing_is_left_when_it_ends(bench: Bench, end: str) -> None:
    before = bench.bpf_objects()
    bench.push("count_packets_tc")
    assert bench.load("count_packets_xdp").ok
    bench.do("attach", handle="a", program="count_packets", to="xdp:lo")
    bench.do("load", handle="b", path="/root/count_packets_tc.bpf.o")
    for side in ("ingress", "egress"):
        bench.do("attach", handle="b", program="count_packets", to=f"tc:lo/{side}")
    kinds = [entry["kind"] for entry in bench.bpf_objects()["net"]]
    assert kinds == ["xdp", "tc-ingress", "tc-egress"]
    if end == "TERM":
        bench.guest.run("kill -TERM $(pidof kextload)")
        bench.guest.forget_loader()
    else:
        bench.guest.end_loader()
    bench.settle(before)
    # Not even the qdisc that it made: the next loader makes, and removes, its own.
    assert "clsact" not in bench.guest.run("tc qdisc show dev lo 2>/dev/null || true").stdout


def test_a_tc_filter_outlives_sigkill_and_is_among_the_bpf_objects(bench: Bench) -> None:
    guest = bench.guest
    assert guest.run("ip link add kept0 type dummy && ip link set kept0 up").ok
    assert bench.load("count_packets_tc").ok
    bench.do("attach", handle="a", program="count_packets", to="tc:kept0/egress")
    guest.run("kill -KILL $(pidof kextload)")
    guest.forget_loader()
    Deadline(SECONDS).poll(
        lambda: not guest.run("pidof kextload").stdout.strip(), "the end of the loader"
    )
    (entry,) = bench.bpf_objects()["net"]
    assert (entry["ifname"], entry["kind"]) == ("kept0", "tc-egress")
    assert guest.run("ip link del kept0").ok  # takes the filter with it


def test_frames_over_a_device_that_is_no_loopback(bench: Bench) -> None:
    guest = bench.guest
    assert guest.run("ip link add d0 type dummy && ip link set d0 up").ok
    assert bench.load("count_packets_tc").ok
    bench.do("attach", handle="a", program="count_packets", to="tc:d0/egress")
    before = bench.value(), bench.value(1)
    bench.pull("packets dev=d0 times=20 size=58")
    # The kernel may announce itself on a new device too; that is more, never less.
    assert bench.value() >= before[0] + 20
    assert bench.value(1) >= before[1] + 20 * 100
    bench.do("unload", handle="a")
    assert guest.run("ip link del d0").ok


def test_alive_names_every_cpu(bench: Bench) -> None:
    out = bench.guest.alive("nonce-1", scaled(SECONDS))
    assert '{"cpu":0,"nonce":"nonce-1","ok":true}' in out
    assert '{"ok":true,"cpus":[0,1],"missing":[]}' in out
