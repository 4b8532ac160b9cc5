# SPDX-License-Identifier: GPL-2.0-only
"""The oracles that read QEMU and the nonce: seeded faults, and benign runs that stay quiet."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.errors import InfraError
from lab.oracle import evidence, liveness, machine
from lab.oracle.evidence import EVIDENCE_KINDS, SOURCE_OF_KIND, TRUST_OF, Trust
from lab.vm.registers import CpuRegisters

NONCE = "0123456789abcdef"


def line(cpu: int, nonce: str = NONCE, **more: object) -> str:
    return json.dumps({"cpu": cpu, "nonce": nonce, "ok": True, **more})


# QEMU


def test_running_machine_without_events_is_no_evidence() -> None:
    assert machine.evidence([], None, "") == []


def test_events_of_daily_life_are_no_evidence() -> None:
    events: list[tuple[str, dict[str, object], float]] = [
        ("RTC_CHANGE", {"offset": 1}, 1.0),
        ("NIC_RX_FILTER_CHANGED", {}, 1.0),
        ("SHUTDOWN", {"guest": False, "reason": "host-qmp-quit"}, 2.0),
    ]
    assert machine.evidence(events, None, "") == []


def cpus(*states: tuple[int, int, int]) -> list[CpuRegisters]:
    """CPUs with these flags and privilege levels; the last number says whether one is halted."""
    return [
        CpuRegisters(cpu, 0xFFFFFFFF81000000, flags, level, bool(halted))
        for cpu, (flags, level, halted) in enumerate(states)
    ]


def test_a_cpu_in_the_kernel_with_interrupts_off_is_named() -> None:
    off, on = 0x046, 0x246
    assert machine.interrupts_off(cpus((off, 0, 0), (on, 0, 0), (off, 0, 0))) == {0, 2}
    assert machine.interrupts_off(cpus((on, 0, 1), (off, 0, 1), (off, 3, 0))) == set()
    assert machine.interrupts_off([]) == set()


def test_a_cpu_that_is_halted_or_runs_a_program_is_not_bound_to_the_kernel() -> None:
    on = 0x246
    assert machine.in_kernel(cpus((on, 0, 0), (on, 0, 1), (on, 3, 0), (0x046, 0, 0))) == {0, 3}
    assert machine.in_kernel([]) == set()
    found = machine.kernel_bound({0, 3}, 4, 1.0, 2.0)
    assert "CPU 0, 3 ran kernel code in each of 4 looks" in found.summary


def test_evidence_names_the_cpus_and_the_number_of_looks() -> None:
    found = machine.interrupts_off_evidence({3, 1}, 20, 2.04, 9.0)
    assert found.summary == "CPU 1, 3 had interrupts off in each of 20 looks within 2.0 s"
    assert found.trust == Trust.QMP_OR_EXIT


def test_panic_is_seen() -> None:
    (found,) = machine.evidence([("GUEST_PANICKED", {"action": "run"}, 3.5)], None, "")
    assert (found.kind, found.trust, found.at) == ("guest-panic", Trust.QMP_OR_EXIT, 3.5)
    assert found.data["action"] == "run"


@pytest.mark.parametrize("reason", ["guest-reset", "guest-shutdown", "guest-panic", "strange"])
def test_end_of_the_guest_is_seen(reason: str) -> None:
    events = [("SHUTDOWN", {"guest": True, "reason": reason}, 3.0)]
    shutdown, gone = machine.evidence(events, 0, "")
    assert (shutdown.kind, shutdown.data["reason"]) == ("shutdown", reason)
    assert gone.kind == "qemu-exit"


def test_unseen_end_with_status_0_is_the_guests() -> None:
    (found,) = machine.evidence([], 0, "")
    assert (found.kind, found.data["status"]) == ("qemu-exit", 0)


@pytest.mark.parametrize(("status", "word"), [(1, "status 1"), (-6, "SIGABRT"), (-99, "signal 99")])
def test_breakdown_of_qemu_itself_is_the_labs_trouble(status: int, word: str) -> None:
    with pytest.raises(InfraError, match=word) as caught:
        machine.evidence([], status, "qemu: kvm_buf_set_msrs: failed\n")
    assert "kvm_buf_set_msrs" in str(caught.value)


def test_breakdown_after_a_panic_keeps_the_panic() -> None:
    found = machine.evidence([("GUEST_PANICKED", {}, 1.0)], -9, "")
    assert [one.kind for one in found] == ["guest-panic", "qemu-exit"]
    assert found[1].data["signal"] == "SIGKILL"


# Liveness


def test_all_cpus_answered() -> None:
    answer = "\n".join([line(1), line(0), '{"ok":true,"cpus":[0,1],"missing":[]}'])
    found = liveness.judge(NONCE, answer, 2, 0.3)
    assert liveness.all_answered(found)
    assert found.trust is Trust.WIRE_NONCE


def test_silent_cpu_is_named() -> None:
    found = liveness.judge(NONCE, line(0) + "\n" + '{"ok":false,"missing":[1]}', 2, 5.0)
    assert not liveness.all_answered(found)
    assert found.data["missing"] == [1]
    assert "CPU 1" in found.summary


def test_answer_of_yesterday_is_worth_nothing() -> None:
    recorded = "\n".join(line(cpu, nonce="fedcba9876543210") for cpu in range(2))
    found = liveness.judge(NONCE, recorded, 2, 0.1)
    assert found.data["answered"] == []
    assert "wrong nonce" in found.summary


@pytest.mark.parametrize(
    "liar",
    [
        '{"ok":true,"cpus":[0,1],"missing":[]}',
        f'{{"cpu":true,"nonce":"{NONCE}","ok":true}}',
        f'{{"cpu":1.0,"nonce":"{NONCE}","ok":true}}',
        f'{{"cpu":"1","nonce":"{NONCE}","ok":true}}',
        f'{{"cpu":2,"nonce":"{NONCE}","ok":true}}',
        f'{{"cpu":-1,"nonce":"{NONCE}","ok":true}}',
        f'{{"cpu":1,"nonce":"{NONCE}","ok":false}}',
        f'{{"cpu":1,"nonce":"{NONCE}","ok":1}}',
        f"all well {NONCE}",
        "[" * 100000,
        "null",
    ],
)
def test_liar_does_not_bring_a_cpu_to_life(liar: str) -> None:
    assert not liveness.all_answered(liveness.judge(NONCE, line(0) + "\n" + liar, 2, 0.1))


def test_silence_names_its_cause() -> None:
    found = liveness.silence(NONCE, 2, "the connection broke", 7.0)
    assert not liveness.all_answered(found)
    assert "the connection broke" in found.summary


def test_no_cpu_is_not_all_cpus() -> None:
    assert not liveness.all_answered(liveness.judge(NONCE, "", 0, 0.1))


def test_short_nonce_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="nonce"):
        liveness.judge("", line(0, nonce=""), 1, 0.1)


@given(st.text(max_size=300))
def test_no_text_without_the_nonce_makes_a_guest_alive(answer: str) -> None:
    assert not liveness.all_answered(liveness.judge(NONCE, answer, 1, 0.1))


# Trust


def test_trust_orders_as_designed() -> None:
    order = ["QMP_OR_EXIT", "WIRE_NONCE", "CONSOLE", "COUNTER", "GUEST_TEXT"]
    assert [one.name for one in sorted(Trust, reverse=True)] == order


def test_every_kind_has_a_trust_and_a_source() -> None:
    assert set(TRUST_OF) == set(SOURCE_OF_KIND) == set(EVIDENCE_KINDS)


def test_every_kind_is_described_with_its_data() -> None:
    described = re.findall(r"^\| `([a-z-]+)` +\|", str(evidence.__doc__), re.MULTILINE)
    assert described == list(EVIDENCE_KINDS)


def test_evidence_is_json() -> None:
    found = machine.evidence([("GUEST_PANICKED", {"action": "run"}, 3.5)], None, "")
    assert json.loads(json.dumps(found[0].to_json()))["trust"] == "qmp_or_exit"
