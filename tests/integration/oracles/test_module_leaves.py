# SPDX-License-Identifier: GPL-2.0-only
"""Modules that leave kernel objects behind are found, each by its kind, and named."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lab.extension.module import build_module
from lab.guest.forks import Forks
from lab.guest.guest import Guest, GuestSpec
from lab.judge import judge
from lab.kernel.artifact import Kernel
from lab.runner.catalog import catalog_of
from lab.runner.census import Census, reading_of
from lab.runner.plan import Planner
from lab.runner.run import Run
from lab.scenario.items import items
from lab.scenario.load import load_scenarios
from lab.vm.symbols import data_symbols
from lab.workspace import Workspace

pytestmark = pytest.mark.integration

GONE = " (its code is gone)"
# The objects that the module `leaves` registers, by its parameter, as the report names them.
KINDS = {
    "notifier": "notifier of leaves (function on_reboot) in reboot_notifier_list" + GONE,
    "netdev_notifier": "notifier of leaves (function on_device) in netdev_chain" + GONE,
    "kprobe": "kprobe of leaves at kernel_restart" + GONE,
    "ftrace": "ftrace hook of leaves (function on_call) in ftrace_ops_list" + GONE,
    "tracepoint": "tracepoint probe of leaves (function on_point) in swiotlb_bounced" + GONE,
    "interrupt": "interrupt handler leaves of interrupt 5" + GONE,
    "thread": "kernel thread leaves" + GONE,
    "workqueue": "workqueue leaves_queue",
    "slab_cache": "slab cache leaves_cache",
    "chardev": "character device leaves (major 254)" + GONE,
    "misc": "device node /dev/leaves_misc" + GONE,
    "netdev": "network device leaves0" + GONE,
    "netdev_ref": "reference to network device lo",
    "proc": "/proc entry leaves" + GONE,
    "debugfs": "debugfs entry /sys/kernel/debug/leaves" + GONE,
    "sysfs": "sysfs entry /sys/kernel/leaves" + GONE,
    "filesystem": "file system type leaves" + GONE,
    "binary_format": "binary format of leaves (function load_nothing) in formats" + GONE,
    "packet": "packet handler of leaves (function on_packet) in ptype_base" + GONE,
    "cpu_hotplug": "CPU hotplug state leaves:online" + GONE,
    "ioport": "reserved range 5a0-5a3 leaves",
    "file": "open file that no process holds",
}


WRONG = """
summary: A module that leaves something behind
extension: {{module: leaves, args: {{what: {kind}}}}}
steps:
  - load: main
  - shell: "true"
    expect: {{status: 0}}
  - unload: main
expect: {{kernel: alive, resources: released}}
"""


@pytest.fixture(scope="module")
def leaves(planner: Planner, stock: Kernel) -> Path:
    return build_module(Workspace.default(), "leaves", stock, planner.cache)


@contextmanager
def unloaded(
    spec: GuestSpec, forks: Forks, kernel: Kernel, module: Path, args: str
) -> Iterator[Census]:
    """Start a separate guest, and load and unload the module in it."""
    with forks.start(spec) as guest:
        guest.push({"/root/leaves.ko": module})
        _ = guest.loader
        census = Census(guest, reading_of(kernel), kernel.vmlinux)
        done = guest.run(f"insmod /root/leaves.ko {args}")
        assert done.ok, done.stderr
        census.look_at_module("leaves", module)
        assert guest.run("rmmod leaves").ok
        try:
            yield census
        except Exception as error:
            # Code that is gone may have been called: the console says so.
            error.add_note(guest.machine.console.tail(60))
            raise


def test_what_a_wrong_module_leaves_is_named(
    spec: GuestSpec, forks: Forks, stock: Kernel, leaves: Path
) -> None:
    # All are in one guest: none of them may be used, and nothing here uses them.
    with unloaded(spec, forks, stock, leaves, "what=all") as census:
        census.look_after_unload()
    left = census.left_at_unload
    assert {kind for kind, text in KINDS.items() if text not in left} == set()
    assert set(left) == {*KINDS.values()}


def test_a_sysctl_that_is_left_is_not_followed(
    spec: GuestSpec, forks: Forks, stock: Kernel, leaves: Path
) -> None:
    # Its table is in the module: listing the folder runs into freed memory.
    with unloaded(spec, forks, stock, leaves, "what=sysctl") as census:
        assert census.look(modules_ran=True).left == [f"sysctl /proc/sys/leaves{GONE}"]
        assert census.guest.run("true").ok


def test_a_correct_module_leaves_nothing(
    spec: GuestSpec, forks: Forks, stock: Kernel, leaves: Path
) -> None:
    with unloaded(spec, forks, stock, leaves, "what=all release=1") as census:
        census.look_after_unload()
        found = census.look(modules_ran=True)
        assert census.left_at_unload == []
    assert (found.left, found.not_looked_at) == ([], {})


def test_a_list_that_does_not_end_is_told(guest: Guest, stock: Kernel) -> None:
    symbols = data_symbols(stock.vmlinux)
    at, stext = (f"{symbols[name][0]:#x}" for name in ("pernet_list", "_stext"))
    lines = f"chain name=round at={at} next=0 show=16\nring name=ends at={at} link=0 show=16\n"
    other = f"ring name=other at={at} link=0 show=16 stext={int(stext, 16) + 4096:#x}\n"
    found = guest.inventory((lines + other).encode())["sources"]
    assert [one.get("absent") for one in found] == [
        "it does not end",
        None,
        "the host's vmlinux is of another kernel",
    ]
    # As a ring it has the entries that a walk without its end goes through again and again.
    round_, ends = ({*one["nodes"]} for one in found[:2])
    assert ends < round_


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("proc", f"left over: {KINDS['proc']}"),
        # The SSH server reads /proc/interrupts, so the guest does not live on.
        ("interrupt", f"left over after the unload: {KINDS['interrupt']}"),
    ],
)
def test_the_verdict_begins_with_the_cause(
    planner: Planner, forks: Forks, tmp_path: Path, kind: str, text: str
) -> None:
    path = tmp_path / "modules" / "wrong.yaml"
    path.parent.mkdir()
    path.write_text(WRONG.format(kind=kind))
    (scenario,) = load_scenarios(path, catalog_of(Workspace.default()))
    (item,) = items(scenario)
    seen = Run(planner.plan(item), start=forks.start).go()
    found = judge(scenario, seen)
    assert found.verdict == "failed"
    assert found.reasons[0].startswith(f"resources: expected released, but {text}")
