# SPDX-License-Identifier: GPL-2.0-only
"""Which Rust compiler the lab takes, and what it says if none will do."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.cli import doctor
from lab.errors import UserError
from lab.extension import rust_toolchain
from lab.extension.rust_toolchain import TARGET, find_toolchain, sysroot_flags


def fake(folder: Path, version: str, *, source: str | None = None, target: bool = False) -> Path:
    """A compiler that says what one says; its library is as told."""
    library = folder / "lib/rustlib"
    library.mkdir(parents=True)
    if source is not None:
        real = folder / f"src/rustc-{source}/library/core/src"
        real.mkdir(parents=True)
        (real / "lib.rs").touch()
        (library / "src").mkdir()
        (library / "src/rust").symlink_to(folder / f"src/rustc-{source}")
    if target:
        (library / TARGET / "lib").mkdir(parents=True)
        (library / TARGET / "lib/libcore-0123.rlib").touch()
    rustc = folder / "rustc"
    rustc.write_text(
        f'#!/bin/sh\ncase "$*" in -vV) printf "rustc\\nrelease: {version}\\n" ;; '
        f'*) echo "{folder}" ;; esac\n'
    )
    rustc.chmod(0o755)
    return rustc


def chosen(monkeypatch: pytest.MonkeyPatch, *paths: Path) -> None:
    monkeypatch.setattr(rust_toolchain, "_candidates", lambda _: iter(map(str, paths)))


def test_sources_of_the_same_version_make_core(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    chosen(monkeypatch, fake(tmp_path, "1.96.0", source="1.96.0"))
    found = find_toolchain()
    assert found.source == tmp_path / "lib/rustlib/src/rust/library"
    assert found.version == "rustc 1.96.0"


def test_a_target_that_brings_core_needs_no_source(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from lab.cache import Cache

    chosen(monkeypatch, fake(tmp_path, "1.97.1", target=True))
    found = find_toolchain()
    assert found.source is None
    assert sysroot_flags(found, Cache(tmp_path / "cache")) == ()


def test_the_first_that_will_do_is_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    bad = fake(tmp_path / "bad", "1.63.0", source="1.63.0")
    good = fake(tmp_path / "good", "1.96.0", source="1.96.0")
    chosen(monkeypatch, bad, good)
    assert find_toolchain().rustc == good


@pytest.mark.parametrize(
    ("version", "source", "target", "said"),
    [
        ("1.63.0", "1.63.0", True, "version 1.63.0 is older than 1.91"),
        ("1.95.0", "1.96.0", False, "its library's source is of version 1.96.0"),
        ("1.95.0", None, False, f"has neither its library's source nor {TARGET}"),
    ],
)
def test_each_that_will_not_do_is_named_with_the_reason(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    version: str,
    source: str | None,
    target: bool,
    said: str,
) -> None:
    rustc = fake(tmp_path, version, source=source, target=target)
    chosen(monkeypatch, rustc)
    with pytest.raises(UserError) as error:
        find_toolchain()
    assert f"{rustc}: " in error.value.details
    assert said in error.value.details
    assert "rustc-web" in error.value.hint
    assert "rustup target add" in error.value.hint
    check = doctor.rust_check()
    assert check.status == "warning"
    assert said in check.detail


def test_what_is_no_compiler_is_passed_over(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    silent = tmp_path / "rustc"
    silent.write_text("#!/bin/sh\nexit 0\n")
    silent.chmod(0o755)
    chosen(monkeypatch, silent, tmp_path / "nothing")
    with pytest.raises(UserError, match="no Rust compiler"):
        find_toolchain()


def test_the_environment_of_a_compilation_is_bare(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("RUSTFLAGS", "--cfg evil")
    chosen(monkeypatch, fake(tmp_path, "1.96.0", target=True))
    command = [str(word) for word in find_toolchain().command()]
    assert command[2:4] == ["env", "-i"]
    assert not any(word.startswith("HOME=") for word in command)
    assert not any("evil" in word for word in command)
