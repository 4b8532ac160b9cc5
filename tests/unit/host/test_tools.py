# SPDX-License-Identifier: GPL-2.0-only
"""Finding the host's programs and their versions."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.errors import UserError
from lab.host import packages, tools


def program(folder: Path, name: str, says: str = "") -> Path:
    path = folder / name
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tools, "search_path", lambda: str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7)", (7, 2, 22)),
        ("v1.24\n", (1, 24)),
        ("12.2.0", (12, 2, 0)),
        ("GNU ld (GNU Binutils for Debian) 2.40", (2, 40)),
        ("kmod version 30", (30,)),
        ("Debian clang version 19.1.7 (3+b1)", (19, 1, 7)),
        ("OpenSSH_9.2p1 Debian-2+deb12u7, OpenSSL 3.0.17", (9, 2)),
        ("Dropbear v2022.83", (2022, 83)),
        ("no number here", ()),
    ],
)
def test_versions_as_tools_print_them(text: str, version: tuple[int, ...]) -> None:
    assert tools.parse_version(text) == version


def test_the_newest_clang_is_taken(folder: Path) -> None:
    for name in ("clang-9", "clang-14", "clang-19", "clang-cpp-20", "clang-format-21"):
        program(folder, name)
    assert tools.locate("clang") == folder / "clang-19"


def test_plain_clang_is_taken_if_it_is_newer(folder: Path) -> None:
    program(folder, "clang-14")
    plain = program(folder, "clang", "clang version 16.0.6")
    assert tools.locate("clang") == plain


def test_plain_clang_is_left_if_it_is_older(folder: Path) -> None:
    program(folder, "clang", "clang version 14.0.6")
    newest = program(folder, "clang-19")
    assert tools.locate("clang") == newest


def test_a_missing_tool_is_an_error_that_names_its_package(folder: Path) -> None:
    with pytest.raises(UserError) as caught:
        tools.require("qemu-system-x86_64")
    assert caught.value.hint == "apt-get install qemu-system-x86"


def test_an_old_tool_is_not_new_enough(folder: Path) -> None:
    program(folder, "pahole", "v1.21")
    found = tools.find(tools.BY_NAME["pahole"])
    assert found is not None
    assert not found.new_enough
    program(folder, "pahole", "v1.24")
    found = tools.find(tools.BY_NAME["pahole"])
    assert found is not None
    assert found.new_enough


def test_each_tools_package_is_in_the_list() -> None:
    listed = {package.name for package in packages.listed()}
    essential = {"tar"}  # part of every Debian
    assert {tool.package for tool in tools.TOOLS} - listed == essential


def test_each_listed_program_is_a_tool_of_its_package() -> None:
    owner = {tool.name: tool.package for tool in tools.TOOLS}
    for package in packages.listed():
        for either in package.shown_by:
            if either[0] in owner:
                assert owner[either[0]] == package.name


def test_a_line_that_is_no_package_is_named() -> None:
    with pytest.raises(ValueError, match="line 2"):
        packages.parse("# list\ngcc | yes | builds\n")
    with pytest.raises(ValueError, match="line 1"):
        packages.parse("gcc | perhaps | gcc | builds\n")


def test_absent_names_what_is_not_there(tmp_path: Path, folder: Path) -> None:
    (package,) = packages.parse("x-dev | yes | /usr/include/x.h,/opt/x.h /usr/lib/*/x.a tool | x\n")
    assert packages.absent(package, tmp_path) == [
        "/usr/include/x.h or /opt/x.h",
        "/usr/lib/*/x.a",
        "tool",
    ]
    (tmp_path / "opt").mkdir()
    (tmp_path / "opt/x.h").touch()
    (tmp_path / "usr/lib/arch").mkdir(parents=True)
    (tmp_path / "usr/lib/arch/x.a").touch()
    program(folder, "tool")
    assert packages.absent(package, tmp_path) == []


def test_distribution_is_read_from_os_release(tmp_path: Path) -> None:
    path = tmp_path / "os-release"
    path.write_text('PRETTY_NAME="Ubuntu 24.04.1 LTS"\nID=ubuntu\nVERSION_ID="24.04"\n')
    assert packages.distribution(path) == ("ubuntu", "24.04", "Ubuntu 24.04.1 LTS")
    assert packages.distribution(tmp_path / "none") == ("", "", "")
