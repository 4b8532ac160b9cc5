# SPDX-License-Identifier: GPL-2.0-only
"""Build C extensions: compilation, cache and errors."""

from __future__ import annotations

import dataclasses
import fnmatch
import pickle
import shutil
from pathlib import Path

import pytest

from lab import events
from lab.cache import Cache
from lab.errors import UserError
from lab.extension import c, c_source
from lab.host import packages, tools
from lab.kernel.artifact import Kernel
from lab.workspace import Workspace

TYPES = "typedef unsigned int __u32;\ntypedef unsigned long long __u64;\n"
GOOD = """// SPDX-License-Identifier: GPL-2.0-only
#include "vmlinux.h"
#include "own.h"
__attribute__((section("xdp"), used)) int p(void *ctx) { return RESULT; }
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "c"
    folder.mkdir()
    (folder / "good.bpf.c").write_text(GOOD)
    (folder / "own.h").write_text("#define RESULT 2\n")
    return folder


@pytest.fixture
def types(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Write the types that bpftool would write, without a kernel."""
    made = tmp_path / "types" / "vmlinux.h"
    made.parent.mkdir()
    made.write_text(TYPES)
    monkeypatch.setattr(c, "kernel_types", lambda *_: made)


@pytest.mark.usefixtures("types")
class TestBuild:
    def test_the_object_is_bpf_with_btf(self, folder: Path, cache: Cache, kernel: Kernel) -> None:
        built = c.build_c(Workspace(c=(folder,)), "good", kernel, cache)
        assert (built.name, built.path.name, built.log) == ("good", "good.bpf.o", "")
        data = built.path.read_bytes()
        assert data[:4] == b"\x7fELF"
        assert data[18:20] == b"\xf7\x00"  # EM_BPF
        assert b".BTF" in data

    def test_nothing_is_compiled_twice(self, folder: Path, cache: Cache, kernel: Kernel) -> None:
        seen: list[events.Event] = []
        first = c.build_c(Workspace(c=(folder,)), "good", kernel, cache)
        assert c.build_c(Workspace(c=(folder,)), "good", kernel, cache, seen.append) == first
        assert seen == []

    @pytest.mark.parametrize("file", ["good.bpf.c", "own.h"])
    def test_a_change_of_what_is_compiled_is_another_object(
        self, folder: Path, cache: Cache, kernel: Kernel, file: str
    ) -> None:
        first = c.build_c(Workspace(c=(folder,)), "good", kernel, cache)
        (folder / file).write_text((folder / file).read_text() + "\n")
        assert c.build_c(Workspace(c=(folder,)), "good", kernel, cache).path != first.path

    def test_the_same_bytes_from_another_folder(
        self, folder: Path, cache: Cache, kernel: Kernel, tmp_path: Path
    ) -> None:
        first = c.build_c(Workspace(c=(folder,)), "good", kernel, cache).path.read_bytes()
        other = folder.rename(tmp_path / "elsewhere")
        again = c.build_c(Workspace(c=(other,)), "good", kernel, Cache(tmp_path / "empty"))
        assert again.path.read_bytes() == first

    def test_options_in_the_source_reach_clang(
        self, folder: Path, cache: Cache, kernel: Kernel
    ) -> None:
        (folder / "own.h").write_text("")
        (folder / "good.bpf.c").write_text(f"// clang: -DRESULT=2\n{GOOD}")
        assert c.build_c(Workspace(c=(folder,)), "good", kernel, cache).path.is_file()

    def test_a_warning_is_kept(self, folder: Path, cache: Cache, kernel: Kernel) -> None:
        (folder / "own.h").write_text("#define RESULT 2\nstatic int unused(void) { return 1; }\n")
        for _ in range(2):  # from the compiler, then from the cache
            built = c.build_c(Workspace(c=(folder,)), "good", kernel, cache)
            assert "unused" in built.log

    def test_an_error_says_where(self, folder: Path, cache: Cache, kernel: Kernel) -> None:
        (folder / "own.h").write_text("#define RESULT nonsense\n")
        with pytest.raises(c.CompileRejected) as caught:
            c.build_c(Workspace(c=(folder,)), "good", kernel, cache)
        assert f"{folder}/good.bpf.c:4:" in caught.value.message
        assert "undeclared identifier 'nonsense'" in caught.value.message
        assert "expanded from macro" in caught.value.log
        assert not list((cache.root / "extension").glob("[!.]*"))

    def test_the_error_survives_a_move_between_processes(
        self, folder: Path, cache: Cache, kernel: Kernel
    ) -> None:
        (folder / "own.h").write_text("#define RESULT nonsense\n")
        with pytest.raises(c.CompileRejected) as caught:
            c.build_c(Workspace(c=(folder,)), "good", kernel, cache)
        moved = pickle.loads(pickle.dumps(caught.value))
        assert (type(moved), moved.message, moved.log) == (
            c.CompileRejected,
            caught.value.message,
            caught.value.log,
        )

    def test_a_wrong_option_is_an_error_too(
        self, folder: Path, cache: Cache, kernel: Kernel
    ) -> None:
        (folder / "good.bpf.c").write_text(f"// clang: --nonsense\n{GOOD}")
        with pytest.raises(c.CompileRejected, match="--nonsense"):
            c.build_c(Workspace(c=(folder,)), "good", kernel, cache)


def test_an_unknown_extension_has_a_neighbour(folder: Path, cache: Cache, kernel: Kernel) -> None:
    with pytest.raises(UserError) as caught:
        c.build_c(Workspace(c=(folder,)), "goood", kernel, cache)
    assert caught.value.hint == "did you mean 'good'?"


def test_no_btf_is_said_before_anything_runs(folder: Path, cache: Cache, kernel: Kernel) -> None:
    with pytest.raises(UserError, match="has no BTF"):
        c.build_c(Workspace(c=(folder,)), "good", dataclasses.replace(kernel, btf=None), cache)


def test_types_of_something_that_is_no_btf(kernel: Kernel, cache: Cache) -> None:
    assert kernel.btf is not None
    kernel.btf.write_bytes(b"not BTF")
    with pytest.raises(UserError, match="finds no BTF"):
        c.kernel_types(kernel, cache)


@pytest.mark.parametrize(
    ("installed", "chosen"),
    [
        ({"clang-19": 19, "clang-21": 21, "clang": 14}, "clang-19"),
        ({"clang-21": 21, "clang-16": 16, "clang": 14}, "clang-21"),
        ({"clang-14": 14, "clang": 18}, "clang"),
    ],
)
def test_which_clang(
    monkeypatch: pytest.MonkeyPatch, installed: dict[str, int], chosen: str
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name, **_: name if name in installed else None)
    monkeypatch.setattr(c, "_version", lambda path: f"Debian clang version {installed[path]}.1")
    assert c.find_clang()[0] == chosen


@pytest.mark.parametrize("installed", [{}, {"clang": 14}])
def test_no_usable_clang(monkeypatch: pytest.MonkeyPatch, installed: dict[str, int]) -> None:
    monkeypatch.setattr(shutil, "which", lambda name, **_: name if name in installed else None)
    monkeypatch.setattr(c, "_version", lambda path: f"clang version {installed[path]}.1")
    with pytest.raises(UserError, match="no clang of version 16") as caught:
        c.find_clang()
    assert "clang-19" in caught.value.hint


def test_errors_without_the_rest() -> None:
    output = (
        "./a.bpf.c:1:2: error: one\n  code\n"
        "a.bpf.c:2:1: warning: not this\n"
        "/usr/include/x.h:3:4: fatal error: two\n"
        "clang: error: unknown argument\n"
        "2 errors generated.\n"
    )
    assert c.compile_errors(output, "extensions/c") == [
        "extensions/c/a.bpf.c:1:2: error: one",
        "/usr/include/x.h:3:4: fatal error: two",
        "clang: error: unknown argument",
    ]


def test_what_the_repository_ships() -> None:
    workspace = Workspace.default()
    for name in workspace.names("c"):
        path = workspace.find("c", name)
        programs = c_source.programs_in_source(path)
        assert programs, f"{name} declares no program"
        text = path.read_text()
        assert "SPDX-License-Identifier: GPL-2.0-only" in text
        assert "/*" in text, f"{name} does not say what it is for"
    nested, tail, short = (
        workspace.find("c", name)
        for name in ("nested_kprobe", "tail_call_self", "search_payload_short")
    )
    assert [p.name for p in c_source.programs_in_source(nested)] == ["outer", "inner"]
    assert c_source.maps_in_source(tail) == ["programs", "counts"]
    assert c_source.programs_in_source(short)[0].name == "search_payload"


def test_the_package_that_is_asked_for_brings_a_clang_that_will_do() -> None:
    """Debian 12's package `clang` is of version 14."""
    (package,) = (one for one in packages.listed() if one.name.startswith("clang"))
    assert package.name == f"clang-{c.PREFERRED_CLANG}"
    ((tokens),) = package.shown_by
    shown = {
        number
        for number in range(10, 40)
        if any(fnmatch.fnmatch(f"/usr/bin/clang-{number}", token) for token in tokens)
    }
    assert shown == set(range(c.OLDEST_CLANG, 40))
    assert tools.BY_NAME["clang"].minimum == (c.OLDEST_CLANG,)
    assert tools.BY_NAME["clang"].package == package.name
