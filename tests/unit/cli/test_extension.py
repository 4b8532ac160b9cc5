# SPDX-License-Identifier: GPL-2.0-only
"""`lab extension`: what it refuses before anything is compiled."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from lab.cli import extension
from lab.errors import UserError
from lab.workspace import RUST_ROOT


@pytest.fixture
def rust(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LAB_REPO", str(tmp_path))
    folder = tmp_path / "extensions" / "rust"
    folder.mkdir(parents=True)
    return folder


@pytest.mark.parametrize("name", ["Foo", "9x", "a-b", "_x", ""])
def test_a_name_is_refused_in_the_words_of_the_help(rust: Path, name: str) -> None:
    with pytest.raises(UserError) as refused:
        extension.new_command(name)
    words = "lower-case letters, digits and _; the first is a letter"
    assert words in (refused.value.hint or "")
    said = CliRunner().invoke(extension.app, ["new", "--help"], env={"COLUMNS": "200"}).output
    assert words.capitalize() in said
    assert not list(rust.iterdir())


@pytest.mark.parametrize(
    "name", ["core", "rex", "rex_macros", "compiler_builtins", "std", "alloc", "proc_macro"]
)
def test_the_name_of_a_crate_that_is_there_already_is_refused(rust: Path, name: str) -> None:
    with pytest.raises(UserError, match=f"'{name}' is the name of a crate"):
        extension.new_command(name)
    assert not list(rust.iterdir())


def test_a_name_with_that_of_a_crate_in_it_will_do(rust: Path) -> None:
    extension.new_command("core_count")
    assert (rust / "core_count" / RUST_ROOT).is_file()


@pytest.mark.parametrize(
    ("file", "what"),
    [("c/loop_nested.bpf.c", "in C"), ("modules/loop_nested/Kbuild", "a kernel module")],
)
def test_frames_of_what_is_not_in_rust(rust: Path, file: str, what: str) -> None:
    path = rust.parent / file
    path.parent.mkdir(parents=True)
    path.touch()
    with pytest.raises(UserError, match=f"loop_nested is {what}, not in Rust"):
        extension.frames_command("loop_nested")
