# SPDX-License-Identifier: GPL-2.0-only
"""Test the output of `lab doctor` about a host."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from lab.cache import Cache
from lab.cli import doctor as command
from lab.errors import UserError
from lab.host import doctor, tools
from lab.host.doctor import Check
from lab.vm import accel

GIB = 1 << 30


def test_python_that_is_too_old_is_missing() -> None:
    assert doctor.python_check((3, 10, 4)).status == "missing"
    assert doctor.python_check((3, 11, 0)).status == "ok"


def test_ubuntu_is_told_what_it_lacks_and_the_way_around() -> None:
    check = doctor.distribution_check("ubuntu", "24.04", "Ubuntu 24.04.1 LTS")
    assert check.status == "warning"
    for name in ("linux-source-6.12", "rustc-web", "bpftool"):
        assert name in check.detail
    assert "tarball" in check.remedy
    assert "tree" in check.remedy


@pytest.mark.parametrize("version", ["12", "13"])
def test_debian_is_fine(version: str) -> None:
    assert doctor.distribution_check("debian", version, "Debian").status == "ok"


def test_a_tool_that_is_not_there() -> None:
    check = doctor.tool_check(tools.BY_NAME["gcc"], None)
    assert (check.status, check.remedy) == ("missing", "apt-get install gcc")
    optional = doctor.tool_check(tools.BY_NAME["gdb"], None)
    assert optional.status == "warning"


def test_a_tool_that_is_too_old_says_which_version_it_takes_and_why() -> None:
    tool = tools.BY_NAME["pahole"]
    check = doctor.tool_check(tool, tools.Found(tool, Path("/usr/bin/pahole"), (1, 15)))
    assert check.status == "missing"
    assert "1.15" in check.detail
    assert "1.22" in check.detail
    assert tool.minimum_why in check.detail


def test_missing_headers_are_found_out(tmp_path: Path) -> None:
    before = {check.name: check for check in doctor.package_checks(tmp_path)}
    assert before["libbpf-dev"].status == "missing"
    assert before["libbpf-dev"].remedy == "apt-get install libbpf-dev"
    (tmp_path / "usr/include/bpf").mkdir(parents=True)
    (tmp_path / "usr/include/bpf/libbpf.h").touch()
    (tmp_path / "usr/lib/x").mkdir(parents=True)
    half = {check.name: check for check in doctor.package_checks(tmp_path)}
    assert "libbpf.a" in half["libbpf-dev"].detail
    assert "libbpf.h" not in half["libbpf-dev"].detail
    (tmp_path / "usr/lib/x/libbpf.a").touch()
    after = {check.name: check for check in doctor.package_checks(tmp_path)}
    assert after["libbpf-dev"].status == "ok"


@pytest.mark.parametrize(
    ("available", "status"), [(1 * GIB, "missing"), (3 * GIB, "warning"), (8 * GIB, "ok")]
)
def test_memory(available: int, status: str) -> None:
    check = doctor.memory_check(16 * GIB, available)
    assert check.status == status
    assert bool(check.remedy) == (status != "ok")


@pytest.mark.parametrize(
    ("free", "status"), [(1 * GIB, "missing"), (6 * GIB, "warning"), (20 * GIB, "ok")]
)
def test_disk(tmp_path: Path, free: int, status: str) -> None:
    assert doctor.disk_check(tmp_path, free).status == status


def test_one_processor_is_a_warning() -> None:
    assert doctor.processors_check(1).status == "warning"
    assert doctor.processors_check(2).status == "ok"


def test_a_warning_leaves_the_lab_usable_and_a_missing_tool_does_not() -> None:
    fine = [Check("a", "ok", ""), Check("b", "warning", "")]
    assert doctor.usable(fine)
    assert not doctor.usable([*fine, Check("c", "missing", "")])


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Check]:
    found: list[Check] = []

    def all_checks(cache: Cache, *, refresh: bool = False) -> Iterator[Check]:
        yield from found

    monkeypatch.setattr(command, "all_checks", all_checks)
    monkeypatch.setenv("LAB_CACHE", str(tmp_path))
    return found


def invoke(*args: str) -> tuple[int, str]:
    app = typer.Typer()
    app.command()(command.doctor)
    result = CliRunner().invoke(app, list(args))
    return result.exit_code, result.output


def test_exit_status_and_text(checks: list[Check]) -> None:
    checks += [Check("gcc", "ok", "12.2"), Check("kvm", "warning", "absent", "modprobe kvm")]
    status, output = invoke()
    assert status == 0
    assert "gcc: 12.2" in output
    assert "-> modprobe kvm" in output
    checks.append(Check("clang", "missing", "not installed", "apt-get install clang"))
    status, output = invoke()
    assert status == 1
    assert "missing: clang" in output


def test_json(checks: list[Check]) -> None:
    checks.append(Check("clang", "missing", "not installed", "apt-get install clang"))
    status, output = invoke("--json")
    assert status == 1
    assert json.loads(output) == {
        "version": 1,
        "usable": False,
        "checks": [
            {
                "name": "clang",
                "status": "missing",
                "detail": "not installed",
                "remedy": "apt-get install clang",
            }
        ],
    }


def test_the_lab_can_work_without_kvm_but_not_without_emulation(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def probe(name: str, cache: Cache, *, refresh: bool = False) -> accel.AccelReport:
        return accel.AccelReport(name, "aborts", "QEMU ended", "fix it")

    monkeypatch.setattr(accel, "probe", probe)
    cache = Cache(tmp_path)
    assert command.accel_check("kvm", cache).status == "warning"
    assert command.accel_check("tcg", cache).status == "missing"


def test_no_qemu_is_a_failed_check_not_a_crash(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def probe(name: str, cache: Cache, *, refresh: bool = False) -> accel.AccelReport:
        raise UserError("qemu is not installed", hint="apt-get install qemu-system-x86")

    monkeypatch.setattr(accel, "probe", probe)
    check = command.accel_check("tcg", Cache(tmp_path))
    assert check.status == "missing"
    assert check.remedy == "apt-get install qemu-system-x86"
