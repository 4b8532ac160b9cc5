# SPDX-License-Identifier: GPL-2.0-only
"""The inventory: each kind is seen when it is left over, and nothing else is."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lab.errors import InfraError
from lab.oracle import inventory
from lab.oracle.evidence import Trust
from lab.oracle.inventory import ITEM_KINDS, KINDS, Context, memory

# Addresses as a vmlinux has them; sizes tell the kind of a notifier chain's head.
SYMBOLS = {
    "_stext": (0xFFFFFFFF81000000, 0),
    "reboot_notifier_list": (0xFFFFFFFF81E2E7A0, 48),
    "netdev_chain": (0xFFFFFFFF82386778, 8),
    "ftrace_ops_list": (0xFFFFFFFF81FA40C8, 8),
    "ftrace_list_end": (0xFFFFFFFF81FA4100, 216),
    "kprobe_table": (0xFFFFFFFF82363C60, 512),
    "file_systems": (0xFFFFFFFF82372340, 8),
    "ioport_resource": (0xFFFFFFFF81E26FC0, 64),
    "cpuhp_hp_states": (0xFFFFFFFF81E23320, 9480),
    "init_net": (0xFFFFFFFF82386100, 3000),
    "nr_files": (0xFFFFFFFF81E08500, 40),
    "__per_cpu_offset": (0xFFFFFFFF819EC820, 64),
    "__tracepoint_one": (0xFFFFFFFF81F915C0, 72),
    "__tracepoint_two": (0xFFFFFFFF81F91620, 72),
    "__tracepoint_three": (0xFFFFFFFF81F91680, 72),
}
LAYOUT = {
    "kprobe.hlist": 0,
    "kprobe.addr": 40,
    "file_system_type.next": 56,
    "file_system_type.name": 0,
    "cpuhp_step": 40,
    "cpuhp_step.name": 0,
    "net.dev_base_head": 136,
    "net_device.dev_list": 344,
    "net_device.name": 288,
    "net_device.dev_refcnt": 1256,
    "percpu_counter.count": 8,
    "percpu_counter.counters": 32,
    "tracepoint.funcs": 64,
}
READING = inventory.reading(SYMBOLS, LAYOUT)
SOURCES = (*READING.safe, *READING.careful)

# The guest's answers by source; sources that are not here have no entries.
ANSWERS: dict[str, dict[str, Any]] = {
    "modules": {"text": "hello 16384 0 - Live 0xffffffffa0000000\n"},
    "devices": {"text": "Character devices:\n  1 mem\n\nBlock devices:\n259 blkext\n"},
    "mounts": {"text": "14 1 0:12 / /proc rw,relatime - proc proc rw\n"},
    "dynamic-events": {"text": ""},
    "proc": {"folders": {"/proc": ["10 fs", "11 irq"], "/proc/irq": ["12 5"], "/proc/irq/5": []}},
    "sysfs": {"folders": {"/sys": ["kernel"], "/sys/kernel": []}},
    "netdevs": {"folders": {"/sys/class/net": ["7 lo"]}},
    "slab": {"folders": {"/sys/kernel/slab": [":0000064 = 1", "dentry", "pid -> :0000064"]}},
    "debugfs": {"folders": {"/sys/kernel/debug": ["3 x86"]}},
    "sysctl": {"folders": {"/proc/sys": ["kernel"], "/proc/sys/kernel": ["panic"]}},
    "tasks": {"entries": ["user 1 init", "kernel 2 kthreadd", "kernel 9 kworker/0:0-events"]},
    "reboot_notifier_list": {"nodes": ["ffffffff81f66390 ffffffff8133d070"]},
    "file_systems": {"nodes": ["ffffffff81f60000 ffffffff81a00000 proc"]},
    "ioport_resource": {"nodes": ["ffffffff81e26000 0-1f dma1"]},
    "net-device-references": {"nodes": ["3 0 lo", "9 0 eth0"]},
    "open-files": {"number": 40},
    "packets-lo": {"text": "17\n"},
}


def report(**changes: dict[str, Any]) -> dict[str, Any]:
    """Return a guest's answer with some sources replaced (dashes are underscores here)."""
    found, names = copy.deepcopy(ANSWERS), {source.name for source in SOURCES}
    for name, answer in changes.items():
        found[name if name in names else name.replace("_", "-")] = answer
    for source in SOURCES:
        verb = source.request.partition(" ")[0]
        empties: dict[str, dict[str, Any]] = {
            "file": {"text": ""},
            "tree": {"folders": {}},
            "tasks": {"entries": []},
            "counter": {"number": 0},
        }
        empty = empties.get(verb, {"nodes": []})
        found.setdefault(source.name, empty)
    return {"ok": True, "sources": [{"name": name, **one} for name, one in found.items()]}


def left(**changes: dict[str, Any]) -> list[str]:
    before = inventory.parse(report(), SOURCES)
    now = inventory.parse(report(**changes), SOURCES)
    return inventory.texts(inventory.left_over(before, now), before, now, Context())


def test_nothing_is_left_over() -> None:
    assert left() == []


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        (
            {"modules": {"text": "hello 1 0 - Live 0x0\npf 1 0 - Live 0x0\n"}},
            "module pf",
        ),
        ({"modules": {"text": "hello 16384 1 x, Live 0x0\n"}}, "reference to module hello"),
        (
            {"devices": {"text": "Character devices:\n  1 mem\n240 pf\nBlock devices:\n"}},
            "character device pf (major 240)",
        ),
        (
            {"devices": {"text": "Character devices:\n  1 mem\nBlock devices:\n240 pf\n"}},
            "block device pf (major 240)",
        ),
        (
            {"mounts": {"text": "14 1 0:1 / /proc rw - proc p rw\n19 1 0:9 / /mnt rw - tmpfs t\n"}},
            "mount /mnt (tmpfs)",
        ),
        ({"dynamic_events": {"text": "p:kprobes/p0 fn\n"}}, "tracing entry p:kprobes/p0 fn"),
        ({"proc": {"folders": {"/proc": ["10 fs", "11 irq", "20 pf"]}}}, "/proc entry pf"),
        # It was removed and made again: the name is the same, the entry is not.
        ({"proc": {"folders": {"/proc": ["77 fs", "11 irq"]}}}, "/proc entry fs"),
        (
            {"proc": {"folders": {"/proc": ["10 fs", "11 irq"], "/proc/irq": ["12 5"],
                                  "/proc/irq/5": ["30 pf"], "/proc/irq/5/pf": []}}},
            "interrupt handler pf of interrupt 5",
        ),
        (
            {"sysfs": {"folders": {"/sys": ["kernel"], "/sys/kernel": ["pf"],
                                   "/sys/kernel/pf": ["x"]}}},
            "sysfs entry /sys/kernel/pf",
        ),
        ({"netdevs": {"folders": {"/sys/class/net": ["7 lo", "8 pf0"]}}}, "network device pf0"),
        (
            {"slab": {"folders": {"/sys/kernel/slab": [":0000064 = 1", "dentry", "pf",
                                                       "pid -> :0000064"]}}},
            "slab cache pf",
        ),
        # It is merged into another cache: its entry is a link, and the other cache counts it.
        (
            {"slab": {"folders": {"/sys/kernel/slab": [":0000064 = 2", "dentry",
                                                       "pid -> :0000064", "pf -> :0000064"]}}},
            "slab cache pf",
        ),
        ({"debugfs": {"folders": {"/sys/kernel/debug": ["3 x86", "9 pf"]}}},
         "debugfs entry /sys/kernel/debug/pf"),
        ({"sysctl": {"folders": {"/proc/sys": ["kernel", "pf"], "/proc/sys/kernel": ["panic"]}}},
         "sysctl /proc/sys/pf"),
        ({"device_nodes": {"folders": {"/dev": ["pf"]}}}, "device node /dev/pf"),
        ({"trace_instances": {"folders": {"/sys/kernel/tracing/instances": ["pf"]}}},
         "tracing entry /sys/kernel/tracing/instances/pf"),
        ({"tasks": {"entries": ["user 1 init", "kernel 2 kthreadd", "kernel 77 pf"]}},
         "kernel thread pf"),
        ({"tasks": {"entries": ["user 1 init", "kernel 2 kthreadd", "kernel 77 kworker/R-pf"]}},
         "kernel thread kworker/R-pf"),
        ({"file_systems": {"nodes": ["ffffffff81f60000 ffffffff81a00000 proc",
                                     "ffffffffa0002000 ffffffffa0003000 pf"]}},
         "file system type pf"),
        ({"ioport_resource": {"nodes": ["ffffffff81e26000 0-1f dma1",
                                        "ffff888000001000 5a0-5a3 pf"]}},
         "reserved range 5a0-5a3 pf"),
        ({"cpuhp_hp_states": {"nodes": ["ffffffff81e23340 ffffffffa0003010 pf:online"]}},
         "CPU hotplug state pf:online"),
        ({"net_device_references": {"nodes": ["4 0 lo", "9 0 eth0"]}},
         "reference to network device lo"),
        ({"open_files": {"number": 41}}, "open file that no process holds"),
        ({"open_files": {"number": 42}}, "open file that no process holds (2 of them)"),
    ],
)  # fmt: skip
def test_each_kind_is_seen_and_named(changes: dict[str, Any], text: str) -> None:
    assert left(**changes) == [text]


@pytest.mark.parametrize(
    "changes",
    [
        # Objects that went away, the kernel's own pools, the lab's own connection.
        {"proc": {"folders": {"/proc": ["11 irq"], "/proc/irq": ["12 5"], "/proc/irq/5": []}}},
        {"tasks": {"entries": ["user 1 init", "kernel 2 kthreadd", "kernel 70 kworker/u8:3"]}},
        {"net_device_references": {"nodes": ["3 0 lo", "12 0 eth0"]}},
        # Packets passed: cached routes refer to the device.
        {"net_device_references": {"nodes": ["6 0 lo", "9 0 eth0"]},
         "packets_lo": {"text": "18\n"}},
        {"open_files": {"number": 12}},
        # Another process runs: the number of open files says nothing.
        {"open_files": {"number": 90},
         "tasks": {"entries": ["user 1 init", "user 50 sleep", "kernel 2 kthreadd"]}},
        # The entry of a slab cache that was destroyed stays if another shares its objects.
        {"slab": {"folders": {"/sys/kernel/slab": [":0000064 = 1", "dentry",
                                                   "pid -> :0000064", "pf -> :0000064"]}}},
        {"sysfs": {"folders": {"/sys": ["kernel"], "/sys/kernel": [],
                               "/sys/devices/system/cpu/cpu1/": ["topology"]}}},
    ],
)  # fmt: skip
def test_what_comes_and_goes_by_itself_is_no_leftover(changes: dict[str, Any]) -> None:
    assert left(**changes) == []


def test_a_device_is_named_once() -> None:
    found = left(
        netdevs={"folders": {"/sys/class/net": ["7 lo", "8 pf0"]}},
        sysfs={"folders": {"/sys/class/net": ["pf0"], "/sys/devices/virtual/net": ["pf0"]}},
        sysctl={
            "folders": {
                "/proc/sys": ["kernel"],
                "/proc/sys/kernel": ["panic"],
                "/proc/sys/net/ipv4/conf": ["pf0"],
            }
        },
    )
    assert found == ["network device pf0"]


DEVICES: dict[str, dict[str, Any]] = {
    "netdevs": {"folders": {"/sys/class/net": ["7 lo", "8 v0"]}},
    "sysfs": {"folders": {"/sys/class/net": ["v0"], "/sys/devices/virtual/net": ["v0"]}},
    "mounts": {"text": "14 1 0:1 / /proc rw - proc p rw\n19 1 0:9 / /mnt rw - tmpfs t\n"},
    "trace_instances": {"folders": {"/sys/kernel/tracing/instances": ["mine"]}},
}


def test_what_processes_make_is_not_held_against_programs() -> None:
    before = inventory.parse(report(), SOURCES)
    now = inventory.parse(report(**DEVICES), SOURCES)
    assert inventory.left_over(before, now, modules_ran=False) == []
    assert {item.kind for item in inventory.left_over(before, now)} == {
        "netdev",
        "mount",
        "tracing",
    }


def test_a_device_of_the_kernels_own_kind_was_made_by_a_process() -> None:
    # veth_link_ops is in the kernel; a module's own kind would be among the modules.
    veth = ["3 0 lo", "1 ffffffff81f6ca20 v0"]
    assert left(netdevs=DEVICES["netdevs"], net_device_references={"nodes": veth}) == []
    own = ["3 0 lo", "1 ffffffffa0002000 v0"]
    found = left(netdevs=DEVICES["netdevs"], net_device_references={"nodes": own})
    assert found == ["network device v0"]


# Lists in the kernel's memory

DEAD = {0xFFFFFFFFA0001000: ("on_reboot", "pf"), 0xFFFFFFFFA0002000: ("reboot_block", "pf")}


@pytest.mark.parametrize(
    ("source", "kind", "text"),
    [
        ("reboot_notifier_list", "notifier",
         "notifier of pf (function on_reboot) in reboot_notifier_list"),
        ("ftrace_ops_list", "ftrace", "ftrace hook of pf (function on_reboot) in ftrace_ops_list"),
        ("kprobe_table", "kprobe", "kprobe of pf at on_reboot"),
    ],
)  # fmt: skip
def test_an_entry_of_a_list_is_named_by_its_function(source: str, kind: str, text: str) -> None:
    before = inventory.parse(report(), SOURCES)
    entries = [*ANSWERS.get(source, {}).get("nodes", []), "ffffffffa0002000 ffffffffa0001000"]
    now = inventory.parse(report(**{source: {"nodes": entries}}), SOURCES)
    items = inventory.left_over(before, now)
    assert [item.kind for item in items] == [kind]
    loaded = Context(["pf"], DEAD.get)
    assert inventory.texts(items, before, now, loaded) == [f"{text} (its code is gone)"]


def test_a_function_that_can_no_longer_be_read_is_named_as_it_was() -> None:
    before = inventory.parse(report(), SOURCES)
    nodes = [*ANSWERS["reboot_notifier_list"]["nodes"], "ffffffffa0002000 0"]
    now = inventory.parse(report(reboot_notifier_list={"nodes": nodes}), SOURCES)
    seen = {("reboot_notifier_list", 0xFFFFFFFFA0002000): 0xFFFFFFFFA0001000}
    (text,) = inventory.texts(
        inventory.left_over(before, now), before, now, Context((), DEAD.get, seen)
    )
    assert text == "notifier of pf (function on_reboot) in reboot_notifier_list"


def test_a_tracepoint_is_named() -> None:
    before = inventory.parse(report(), SOURCES)
    nodes = {"nodes": ["ffffffff81f91620 ffffffffa0001000"]}
    now = inventory.parse(report(tracepoints=nodes), SOURCES)
    (text,) = inventory.texts(inventory.left_over(before, now), before, now, Context((), DEAD.get))
    assert text == "tracepoint probe of pf (function on_reboot) in two"


def test_the_head_of_a_chain_is_its_last_member() -> None:
    lists = {one.name: one.request for one in memory.memory_lists(SYMBOLS, LAYOUT)}
    assert "at=0xffffffff81e2e7c8" in lists["reboot_notifier_list"]
    assert "at=0xffffffff82386778" in lists["netdev_chain"]
    assert all("stext=0xffffffff81000000" in request for request in lists.values())


def test_tracepoints_at_uneven_distances_are_not_guessed() -> None:
    uneven = {**SYMBOLS, "__tracepoint_four": (0xFFFFFFFF81F91700, 72)}
    lists = memory.memory_lists(uneven, LAYOUT)
    assert "tracepoints" not in {one.name for one in lists}
    assert "tracepoint" in memory.unknown_kinds(lists)


# Kinds that are not checked


def test_a_kernel_without_symbols_says_so() -> None:
    reading = inventory.reading({}, {})
    assert {"notifier", "ftrace", "tracepoint", "open-file"} <= {*reading.unknown}
    assert set(reading.unknown.values()) == {"the lab has no symbols of this kernel"}
    # Kinds that memory can't show there are read from files, at the end.
    assert {"filesystems", "kprobes", "ioports"} <= {one.name for one in reading.careful}
    assert not {"filesystems", "kprobes", "ioports"} & {one.name for one in READING.careful}


def test_an_absent_source_is_no_error_and_is_said() -> None:
    absent = {"absent": "/sys/kernel/debug: No such file or directory"}
    found = inventory.parse(report(debugfs=absent), SOURCES)
    assert inventory.unseen(found, found)["debugfs entries"] == absent["absent"]
    said = inventory.evidence([], inventory.unseen(found, found))
    assert "not checked: debugfs entries (/sys/kernel/debug: No such" in said.summary
    assert said.trust is Trust.COUNTER


def test_what_was_read_of_a_list_that_does_not_end_counts() -> None:
    """A module can tie its notifier to itself: what stands behind it is not seen."""
    nodes = [*ANSWERS["reboot_notifier_list"]["nodes"], *["ffffffffa0001000 ffffffffa0000000"] * 3]
    endless = {"nodes": nodes, "absent": "it does not end"}
    before = inventory.parse(report(), SOURCES)
    now = inventory.parse(report(reboot_notifier_list=endless), SOURCES)
    assert [item.node for item in inventory.left_over(before, now)] == [0xFFFFFFFFA0001000]
    assert inventory.unseen(before, now) == {"notifiers": "it does not end"}


def test_one_of_several_sources_of_a_kind_that_is_absent_is_said() -> None:
    now = inventory.parse(report(netdev_chain={"absent": "its head can't be read"}), SOURCES)
    assert inventory.unseen(now, now) == {"notifiers": "its head can't be read"}


def test_evidence_leads_with_what_is_left() -> None:
    said = inventory.evidence(["/proc entry pf (its code is gone)"], {})
    assert said.summary == "left over: /proc entry pf (its code is gone)"
    assert said.data == {"left": ["/proc entry pf (its code is gone)"], "not_looked_at": {}}


@pytest.mark.parametrize("source", [source.name for source in SOURCES])
def test_a_source_that_is_missing_is_an_error(source: str) -> None:
    whole = report()
    whole["sources"] = [one for one in whole["sources"] if one["name"] != source]
    with pytest.raises(InfraError, match=source):
        inventory.parse(whole, SOURCES)


@pytest.mark.parametrize(
    "changes",
    [
        {"reboot_notifier_list": {"nodes": ["xyz"]}},
        {"tasks": {"entries": ["kernel 7"]}},
        {"modules": {"text": "hello\n"}},
        {"net_device_references": {"nodes": ["many 0 lo"]}},
        {"proc": {"folders": ["/proc"]}},
        {"slab": {"folders": {"/sys/kernel/slab": ["pf = many"]}}},
        {"devices": {}},
    ],
)
def test_malformed_answers_are_errors(changes: dict[str, Any]) -> None:
    with pytest.raises(InfraError, match="malformed"):
        inventory.parse(report(**changes), SOURCES)


@given(st.text(), st.sampled_from([source.name for source in SOURCES]))
@example("  ", "net-device-references")
def test_any_text_is_an_inventory_or_an_infra_error(text: str, source: str) -> None:
    fields = {"text": text, "nodes": [text], "entries": [text], "folders": {"/x": [text]}}
    found = report()
    found["sources"] = [one for one in found["sources"] if one["name"] != source]
    found["sources"].append({"name": source, **fields})
    try:
        now = inventory.parse(json.loads(json.dumps(found)), SOURCES)
    except InfraError:
        return
    before = inventory.parse(report(), SOURCES)
    inventory.texts(inventory.left_over(before, now), before, now, Context())


def test_of_known_folders_alone_sysctls_are_listed() -> None:
    lines = inventory.request(READING.careful, ["/proc/sys", "/proc/sys/kernel"]).decode()
    assert "only=/proc/sys,/proc/sys/kernel" in lines
    assert "only" not in inventory.request(READING.careful).decode()


def test_every_kind_has_words() -> None:
    assert {*KINDS} == {*ITEM_KINDS}


def test_counts_that_only_modules_keep_are_not_held_against_programs() -> None:
    before = inventory.parse(report(), SOURCES)
    busy = report(net_device_references={"nodes": ["6 0 lo"]}, open_files={"number": 50})
    now = inventory.parse(busy, SOURCES)
    assert len(inventory.left_over(before, now)) == 13
    assert inventory.left_over(before, now, modules_ran=False) == []


def test_counts_that_say_nothing_are_said_not_to_be_looked_at() -> None:
    before = inventory.parse(report(), SOURCES)
    tasks = {"entries": ["user 1 init", "user 50 sleep"]}
    now = inventory.parse(report(tasks=tasks, packets_lo={"text": "18\n"}), SOURCES)
    assert inventory.unseen(before, now) == {
        "references to network devices": "packets passed on lo",
        "open files that no process holds": "other processes run than at the baseline",
    }
    assert inventory.unseen(before, now, modules_ran=False) == {}
