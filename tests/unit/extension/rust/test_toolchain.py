# SPDX-License-Identifier: GPL-2.0-only
"""Test which Rust compiler the lab uses, and the error if none is suitable."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from lab.cache import Cache
from lab.cli import doctor
from lab.errors import UserError
from lab.extension.rust import toolchain
from lab.extension.rust.toolchain import TARGET, Toolchain, find_toolchain, sysroot_flags
from lab.inputs import Inputs


def fake(folder: Path, version: str, *, source: str | None = None) -> Path:
    """Create a fake compiler of a version, with a prebuilt library of the target, as from rustup.

    `source` is the version of the library's source; None for no source.
    """
    library = folder / "lib/rustlib"
    library.mkdir(parents=True)
    if source is not None:
        real = folder / f"src/rustc-{source}/library/core/src"
        real.mkdir(parents=True)
        (real / "lib.rs").touch()
        (library / "src").mkdir()
        (library / "src/rust").symlink_to(folder / f"src/rustc-{source}")
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
    monkeypatch.setattr(toolchain, "_candidates", lambda _: iter(map(str, paths)))


def test_sources_of_the_same_version_make_core(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    chosen(monkeypatch, fake(tmp_path, "1.96.0", source="1.96.0"))
    found = find_toolchain()
    assert found.source == tmp_path / "lib/rustlib/src/rust/library"
    assert found.version == "rustc 1.96.0"


def test_a_prebuilt_core_is_not_linked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A prebuilt core has no room for checks of the stack."""
    compiled = []

    def compile_rust(_: Toolchain, words: Sequence[str], __: Path) -> Inputs:
        compiled.append(words[1])
        return Inputs()

    monkeypatch.setattr(toolchain, "compile_rust", compile_rust)
    chosen(monkeypatch, fake(tmp_path, "1.97.1", source="1.97.1"))
    option, sysroot = sysroot_flags(find_toolchain(), Cache(tmp_path / "cache"))
    assert option == "--sysroot"
    assert Path(sysroot).is_relative_to(tmp_path / "cache")
    assert compiled == ["core", "compiler_builtins"]


@pytest.mark.parametrize("other", [("1.63.0", "1.63.0"), ("1.97.1", None), ("1.95.0", "1.96.0")])
@pytest.mark.parametrize("first", [True, False])
def test_the_suitable_compiler_is_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, other: tuple[str, str | None], first: bool
) -> None:
    """It does not matter which of the two comes first."""
    good = fake(tmp_path / "good", "1.96.0", source="1.96.0")
    bad = fake(tmp_path / "bad", other[0], source=other[1])
    chosen(monkeypatch, *([good, bad] if first else [bad, good]))
    assert find_toolchain().rustc == good


def test_the_compiler_is_the_one_whose_source_it_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """rustup's command is not used, because it may choose another compiler in another folder."""
    command = fake(tmp_path, "1.96.0", source="1.96.0")
    compiler = tmp_path / "bin/rustc"
    compiler.parent.mkdir()
    compiler.touch()
    chosen(monkeypatch, command)
    assert find_toolchain().rustc == compiler


def test_of_two_the_first_is_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    one = fake(tmp_path / "one", "1.96.0", source="1.96.0")
    chosen(monkeypatch, one, fake(tmp_path / "other", "1.97.1", source="1.97.1"))
    assert find_toolchain().rustc == one


@pytest.mark.parametrize(
    ("version", "source", "said"),
    [
        ("1.63.0", "1.63.0", "version 1.63.0 is older than 1.91"),
        ("1.95.0", "1.96.0", "its library's source is of version 1.96.0"),
        ("1.95.0", None, "version 1.95.0 lacks its library's source, from which core is built"),
    ],
)
def test_each_that_will_not_do_is_named_with_the_reason(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, version: str, source: str | None, said: str
) -> None:
    rustc = fake(tmp_path, version, source=source)
    chosen(monkeypatch, rustc)
    with pytest.raises(UserError) as error:
        find_toolchain()
    assert error.value.details == f"{rustc}: {said}"
    assert error.value.hint == toolchain.HINT
    check = doctor.rust_check()
    assert check.status == "warning"
    assert said in check.detail
    assert check.remedy == ("apt install rustc-web rust-web-src, or: rustup component add rust-src")


def test_the_error_says_how_to_get_the_source_of_a_rustup_toolchain(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The hint has the toolchain's name, even if another compiler can't be fixed."""
    old = fake(tmp_path / "usr", "1.63.0")
    name = "1.97.1-x86_64-unknown-linux-gnu"
    chosen(monkeypatch, old, fake(tmp_path / "toolchains" / name, "1.97.1"))
    with pytest.raises(UserError) as error:
        find_toolchain()
    assert error.value.hint == (
        f"rustup component add rust-src --toolchain {name}, or: apt install rustc-web rust-web-src"
    )
    assert doctor.rust_check().remedy == error.value.hint


def test_the_error_has_the_output_of_a_failing_compiler(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """rustup's command fails like this without a default toolchain."""
    fails = tmp_path / "rustc"
    fails.write_text("#!/bin/sh\necho no default is configured >&2\nexit 1\n")
    fails.chmod(0o755)
    chosen(monkeypatch, fails)
    with pytest.raises(UserError) as error:
        find_toolchain()
    assert "no default is configured" in error.value.details


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
    chosen(monkeypatch, fake(tmp_path, "1.96.0", source="1.96.0"))
    command = [str(word) for word in find_toolchain().command()]
    assert command[2:4] == ["env", "-i"]
    assert not any(word.startswith("HOME=") for word in command)
    assert not any("evil" in word for word in command)
