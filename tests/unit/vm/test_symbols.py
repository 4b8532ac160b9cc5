# SPDX-License-Identifier: GPL-2.0-only
"""Read variables of a vmlinux and symbols of a module from files that the compiler made."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from lab.extension.module_symbols import module_symbols
from lab.vm.symbols import data_symbols

SOURCE = """
static int twice[4];
int *first(void) { return twice; }
int reboot_notifier_list[12] = { 1 };
int main(void) { return reboot_notifier_list[0] + (first() != 0); }
"""
OTHER = "static int twice[9]; int *second(void) { return twice; }"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Build a program of two files, and an object of the first, as a module is an object."""
    folder = tmp_path_factory.mktemp("symbols")
    (folder / "a.c").write_text(SOURCE)
    (folder / "b.c").write_text(OTHER)
    subprocess.run(["gcc", "-c", "a.c", "-o", "a.ko"], cwd=folder, check=True)
    subprocess.run(["gcc", "a.c", "b.c", "-o", "vmlinux"], cwd=folder, check=True)
    return folder / "vmlinux", folder / "a.ko"


def test_variables_have_their_address_and_size(built: tuple[Path, Path]) -> None:
    address, size = data_symbols(built[0])["reboot_notifier_list"]
    assert address > 0
    assert size == 48


def test_a_name_that_is_there_twice_is_not_guessed(built: tuple[Path, Path]) -> None:
    assert "twice" not in data_symbols(built[0])


def test_functions_are_no_variables(built: tuple[Path, Path]) -> None:
    assert "main" not in data_symbols(built[0])


def test_a_kernel_without_a_vmlinux_has_no_symbols(tmp_path: Path) -> None:
    assert data_symbols(None) == data_symbols(tmp_path / "none") == {}


def test_symbols_of_a_module_are_in_sections(built: tuple[Path, Path]) -> None:
    found = {
        name: (section, size)
        for section, symbols in module_symbols(built[1]).items()
        for _, size, name in symbols
    }
    assert found["reboot_notifier_list"] == (".data", 48)
    assert found["main"][0] == ".text"
    assert found["twice"] == (".bss", 16)
