# SPDX-License-Identifier: GPL-2.0-only
"""Seeded faults in real guests: every oracle sees its fault, and is quiet without one."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.cache import Cache
from lab.deadline import scaled
from lab.extension.module import build_module
from lab.guest.guest import Guest, GuestSpec
from lab.guest.ssh import CommandTimeout, ConnectionLost
from lab.kernel.artifact import Kernel
from lab.oracle import counters, liveness, machine
from lab.oracle.console.parser import Report, Shape, parse
from lab.oracle.evidence import Evidence
from lab.oracle.inventory import bpf_objects
from lab.workspace import Workspace

pytestmark = pytest.mark.integration

FIRE = "/sys/kernel/debug/kextlab_faults/fire"


@pytest.fixture(scope="module")
def modules(stock: Kernel) -> dict[str, Path]:
    return {
        name: build_module(Workspace.default(), name, stock, Cache.default())
        for name in ("faults", "hello")
    }


@pytest.fixture(scope="module")
def shape(stock: Kernel, spec: GuestSpec) -> Shape:
    return Shape.of_kernel(stock.config_options, spec.arguments)


@pytest.fixture
def victim(spec: GuestSpec, modules: dict[str, Path]) -> Iterator[Guest]:
    """A guest of one's own, with the faults loaded."""
    with Guest.boot(spec) as guest:
        insert(guest, modules["faults"])
        yield guest


@pytest.fixture(scope="module")
def survivor(spec: GuestSpec, modules: dict[str, Path]) -> Iterator[Guest]:
    """A guest for faults that a kernel survives, one after the other."""
    with Guest.boot(spec) as guest:
        insert(guest, modules["faults"])
        yield guest


def insert(guest: Guest, module: Path, arguments: str = "") -> None:
    guest.push({f"/root/{module.name}": module})
    done = guest.run(f"insmod /root/{module.name} {arguments}")
    assert done.status == 0, done.stderr


def fire(guest: Guest, fault: str, cpu: int | None = None) -> None:
    """Ask for a fault in a process of its own; that process may not come back."""
    prefix = f"taskset {1 << cpu:x} " if cpu is not None else ""
    guest.run(f"{prefix}setsid sh -c 'echo {fault} > {FIRE}' < /dev/null > /dev/null 2>&1 &")


def reports(guest: Guest, shape: Shape, mark: int = 0) -> list[Report]:
    lines = guest.machine.console.lines(since=mark)
    return parse([line.text for line in lines], shape)


def wait_for_report(guest: Guest, shape: Shape, kind: str, mark: int, seconds: float) -> Report:
    """The first report of a kind that is complete, or as much as there is when the guest ends."""

    def seen(lines: object) -> list[Report]:
        found = reports(guest, shape, mark)
        return [report for report in found if kind in report.kinds and report.complete]

    limit = scaled(seconds)
    found = guest.machine.console.wait_for(seen, limit, f"a report of kind {kind}", since=mark)
    assert found, guest.machine.console.tail()
    report: Report = found[0]
    return report


def counts(guest: Guest) -> counters.Snapshot:
    return counters.snapshot(guest.read_files(counters.FILES))


def ask(guest: Guest) -> Evidence:
    nonce = secrets.token_hex(16)
    try:
        answer = guest.alive(nonce, scaled(9), 5.0)
    except (ConnectionLost, CommandTimeout) as error:
        return liveness.silence(nonce, 2, str(error), 9.0)
    return liveness.judge(nonce, answer, 2, 1.0)


def qemu(guest: Guest) -> list[Evidence]:
    vm = guest.machine
    events = [(event.name, event.data, event.at) for event in vm.events]
    return machine.evidence(events, vm.exit_status, vm.stderr)


def test_harmless_module_leaves_every_oracle_quiet(
    spec: GuestSpec, modules: dict[str, Path], shape: Shape
) -> None:
    with Guest.boot(spec) as guest:
        before, held = counts(guest), bpf_objects.parse(guest.bpf_objects())
        insert(guest, modules["hello"])
        assert guest.run("sleep 0.3; cat /sys/kernel/debug/kextlab_hello/ticks").stdout != "0\n"
        assert guest.run("rmmod hello").status == 0
        assert counters.new_taint(before, counts(guest)) == ""
        assert not any(counters.increase(before, counts(guest)).values())
        assert bpf_objects.settled(held, bpf_objects.parse(guest.bpf_objects()))
        assert liveness.all_answered(ask(guest))
        assert reports(guest, shape) == []
        assert qemu(guest) == []


@pytest.mark.parametrize(
    ("fault", "kind", "function", "counter"),
    [
        ("null-read", "page-fault", "fault_null_read", "oops"),
        ("null-exec thread", "page-fault", "fault_null_exec", "oops"),
        ("noncanonical", "general-protection", "fault_noncanonical", "oops"),
        ("divide task 50", "oops", "fault_divide", "oops"),
        ("bug", "bug", "fault_bug", "oops"),
        ("warn", "warning", "fault_warn", "warn"),
        ("warn-bare softirq", "warning", "fault_warn_bare", "warn"),
        ("warn hardirq 50", "warning", "fault_warn", "warn"),
        ("list-add", "list-corruption", "fault_list_add", "warn"),
        ("refcount", "warning", "fault_refcount", "warn"),
    ],
)
def test_fault_that_the_kernel_survives(
    survivor: Guest, shape: Shape, fault: str, kind: str, function: str, counter: str
) -> None:
    mark, before = survivor.machine.console.count, counts(survivor)
    fire(survivor, fault)
    report = wait_for_report(survivor, shape, kind, mark, 10)
    assert report.function == function
    rose = counters.increase(before, counts(survivor))
    assert {name: value for name, value in rose.items() if value} == {counter: 1}
    assert liveness.all_answered(ask(survivor))
    assert qemu(survivor) == []


def test_taint_tells_the_faults_of_before(survivor: Guest) -> None:
    # Runs after the faults above, in whichever number: each leaves D or W.
    fire(survivor, "warn")
    scaled(10).poll(
        lambda: "W" in counters.new_taint(counters.Snapshot(0), counts(survivor)), "the taint"
    )


def test_panic_is_told_by_qemu_and_the_console(victim: Guest, shape: Shape) -> None:
    fire(victim, "panic")
    victim.machine.wait(lambda: bool(qemu(victim)), scaled(10), "the panic")
    assert qemu(victim)[0].kind == "guest-panic"
    assert any(report.kind == "panic" for report in reports(victim, shape))
    assert not liveness.all_answered(ask(victim))


@pytest.mark.parametrize(
    ("fault", "kind"), [("soft-lockup", "soft-lockup"), ("hard-lockup", "hard-lockup")]
)
def test_cpu_that_is_lost_does_not_answer(
    victim: Guest, shape: Shape, fault: str, kind: str
) -> None:
    # The detectors then look each second or two, instead of at each eight.
    assert victim.run("echo 1 > /proc/sys/kernel/watchdog_thresh").ok
    fire(victim, fault, cpu=1)
    wait_for_report(victim, shape, kind, 0, 60)
    found = ask(victim)
    assert not liveness.all_answered(found)
    assert 1 in found.data["missing"]
    assert not [one for one in qemu(victim) if one.kind == "guest-panic"]
