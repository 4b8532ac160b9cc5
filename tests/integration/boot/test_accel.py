# SPDX-License-Identifier: GPL-2.0-only
"""Probing accelerators with real QEMUs."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from lab.cache import Cache
from lab.host import tools
from lab.vm import accel

pytestmark = pytest.mark.integration

# The payload's entry point is behind a header of 32 bytes; `jmp .` stays there.
STUCK = accel.PAYLOAD[:32] + base64.b64decode("6/4=") + accel.PAYLOAD[34:]


@pytest.fixture
def qemu() -> Path:
    return tools.require("qemu-system-x86_64")


def test_emulation_runs_the_tiny_guest(tmp_path: Path) -> None:
    report = accel.probe("tcg", Cache(tmp_path))
    assert report.usable, report
    assert report.seconds > 0


def test_kvm_is_usable_or_it_is_said_why_not(tmp_path: Path) -> None:
    report = accel.probe("kvm", Cache(tmp_path))
    assert report.explanation
    assert bool(report.remedy) != report.usable
    chosen = accel.choose("auto", cache=Cache(tmp_path))
    assert chosen.name == ("kvm" if report.usable else "tcg")


def test_a_guest_that_gets_nowhere_meets_the_deadline(
    qemu: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accel, "PAYLOAD", STUCK)
    report = accel.boot_probe("tcg", qemu, 1.0)
    assert report.status == "no-guest"
    assert "its first instruction" in report.explanation


def test_qemu_that_refuses_is_quoted(qemu: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(accel.CPU_MODELS, "tcg", "abacus")
    report = accel.boot_probe("tcg", qemu, 20.0)
    assert report.status == "aborts"
    assert "abacus" in report.explanation
