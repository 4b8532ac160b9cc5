# SPDX-License-Identifier: GPL-2.0-only
"""Test the reading of an accelerator's probe; the probe itself is an integration test."""

from __future__ import annotations

import grp
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from lab import events
from lab.cache import Cache
from lab.errors import UserError
from lab.host import tools
from lab.vm import accel

SOURCE = Path(accel.__file__).with_name("probe.S")


@pytest.mark.skipif(not shutil.which("gcc"), reason="gcc is not installed")
def test_the_payload_is_the_source_assembled(tmp_path: Path) -> None:
    unit, flat = tmp_path / "probe.o", tmp_path / "probe.bin"
    subprocess.run(["gcc", "-c", "-o", str(unit), str(SOURCE)], check=True)
    subprocess.run(["objcopy", "-O", "binary", "-j", ".text", str(unit), str(flat)], check=True)
    assert flat.read_bytes() == accel.PAYLOAD


def test_a_guest_that_ran_proves_it() -> None:
    report = accel.judge("kvm", 33, "pltew", "", 0.2)
    assert report.usable
    assert not report.remedy


@pytest.mark.parametrize("marks", ["", "p", "plte"])
def test_the_exit_status_alone_proves_nothing(marks: str) -> None:
    assert not accel.judge("kvm", 33, marks, "", 0.2).usable


@pytest.mark.parametrize(
    ("marks", "missed"),
    [("", "its first instruction"), ("pl", "timer interrupt"), ("plte", "20 million iterations")],
)
def test_a_guest_that_got_stuck_says_where(marks: str, missed: str) -> None:
    report = accel.judge("kvm", None, marks, "", 4.0)
    assert report.status == "no-guest"
    assert missed in report.explanation
    assert "4.0 s" in report.explanation
    assert "--accel tcg" in report.remedy


@pytest.mark.parametrize(("status", "how"), [(-6, "signal 6"), (1, "status 1")])
def test_qemu_that_aborts_is_quoted(status: int, how: str) -> None:
    stderr = "warning\nqemu-system-x86_64: error: failed to set MSR 0x345 to 0x2000\n"
    report = accel.judge("kvm", status, "", stderr, 0.1)
    assert report.status == "aborts"
    assert how in report.explanation
    assert report.explanation.endswith("error: failed to set MSR 0x345 to 0x2000")


def test_no_device(tmp_path: Path) -> None:
    report = accel.kvm_barred(tmp_path / "kvm")
    assert report is not None
    assert report.status == "absent"
    assert report.remedy


@pytest.mark.parametrize(
    ("flags", "says"), [("vmx", "kvm_intel"), ("svm", "kvm_amd"), ("", "nested virtualization")]
)
def test_remedy_for_no_device_depends_on_the_cpu(tmp_path: Path, flags: str, says: str) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(f"flags\t\t: fpu {flags} sse\n")
    assert says in accel.absent_remedy(cpuinfo)


def test_a_device_that_opens_is_not_barred(tmp_path: Path) -> None:
    device = tmp_path / "kvm"
    device.touch()
    assert accel.kvm_barred(device) is None


def test_no_permission_names_the_group_or_the_udev_rule(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = tmp_path / "kvm"
    device.touch()

    def refuse(*args: object) -> int:
        raise PermissionError(13, "no")

    monkeypatch.setattr(os, "open", refuse)
    monkeypatch.setenv("USER", "ada")

    class Group:
        gr_name = "kvm"
        gr_mem: tuple[str, ...] = ()

    monkeypatch.setattr(grp, "getgrgid", lambda gid: Group)
    device.chmod(0o660)
    report = accel.kvm_barred(device)
    assert report is not None
    assert report.status == "no-permission"
    assert report.remedy == "sudo usermod -aG kvm ada, then log in again"
    Group.gr_mem = ("ada",)
    report = accel.kvm_barred(device)
    assert report is not None
    assert "not yet in this session" in report.remedy
    device.chmod(0o600)
    report = accel.kvm_barred(device)
    assert report is not None
    assert "udev" in report.remedy


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cache:
    """A cache, on a host whose KVM opens and whose QEMU is a file that can change."""
    qemu = tmp_path / "qemu"
    qemu.write_text("#!/bin/sh\n")
    monkeypatch.setattr(tools, "require", lambda name: qemu)
    monkeypatch.setattr(accel, "kvm_barred", lambda device: None)
    return Cache(tmp_path / "cache")


class Boots:
    """A substitute for the boot that counts its calls and returns a fixed status."""

    def __init__(self, status: accel.Status) -> None:
        self.status: accel.Status = status
        self.count = 0

    def __call__(self, name: str, qemu: Path, seconds: float) -> accel.AccelReport:
        self.count += 1
        remedy = "" if self.status == "usable" else "fix it"
        return accel.AccelReport(name, self.status, "because", remedy)


@pytest.mark.parametrize("status", ["usable", "no-guest"])
def test_what_came_of_kvm_is_kept_until_qemu_changes(
    status: accel.Status, cache: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    boots = Boots(status)
    monkeypatch.setattr(accel, "boot_probe", boots)
    first = accel.probe("kvm", cache)
    assert accel.probe("kvm", cache) == first
    assert boots.count == 1
    accel.probe("kvm", cache, refresh=True)
    assert boots.count == 2
    (tmp_path / "qemu").write_text("#!/bin/sh\n# a new version\n")
    accel.probe("kvm", cache)
    assert boots.count == 3


def test_a_damaged_result_is_made_again(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    boots = Boots("usable")
    monkeypatch.setattr(accel, "boot_probe", boots)
    accel.probe("kvm", cache)
    (kept,) = (cache.root / "accel").glob("*.json")
    kept.write_text('{"accel"')
    assert accel.probe("kvm", cache).usable
    assert boots.count == 2


def test_emulation_that_failed_is_tried_again(
    cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    boots = Boots("no-guest")
    monkeypatch.setattr(accel, "boot_probe", boots)
    accel.probe("tcg", cache)
    accel.probe("tcg", cache)
    assert boots.count == 2


def test_auto_takes_kvm_where_it_works(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accel, "boot_probe", Boots("usable"))
    said: list[events.Event] = []
    chosen = accel.choose("auto", said.append, cache)
    assert chosen.name == "kvm"
    assert chosen.cpu_model.startswith("host")
    assert said == []


def test_auto_falls_back_with_one_line(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accel, "boot_probe", Boots("no-guest"))
    said: list[events.Event] = []
    chosen = accel.choose("auto", said.append, cache)
    assert (chosen.name, chosen.reason) == ("tcg", "because")
    (notice,) = said
    assert isinstance(notice, events.Notice)
    assert "emulation" in notice.text
    assert "because" in notice.text


def test_kvm_that_is_asked_for_and_does_not_work_is_an_error(
    cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accel, "boot_probe", Boots("aborts"))
    with pytest.raises(UserError, match="because") as caught:
        accel.choose("kvm", cache=cache)
    assert caught.value.hint == "fix it"


def test_tcg_is_not_probed(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    boots = Boots("no-guest")
    monkeypatch.setattr(accel, "boot_probe", boots)
    assert accel.choose("tcg", cache=cache).name == "tcg"
    assert boots.count == 0


def test_an_unknown_accelerator_is_refused(cache: Cache) -> None:
    with pytest.raises(UserError, match="hvf"):
        accel.choose("hvf", cache=cache)
