# SPDX-License-Identifier: GPL-2.0-only
"""Test that the key of a C extension covers all files read and all paths tried before."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab import events
from lab.cache import Cache
from lab.extension import c
from lab.extension.c_source import clang_options
from lab.extension.includes import inputs_of, names_in_rule, search_list
from lab.kernel.artifact import Kernel
from lab.workspace import Workspace

TYPES = "".join(
    f"typedef {kind} {name};\n"
    for kind, names in {
        "unsigned char": "__u8",
        "unsigned short": "__u16 __be16",
        "unsigned int": "__u32 __be32 __wsum",
        "int": "__s32",
        "long long": "__s64",
        "unsigned long long": "__u64",
    }.items()
    for name in names.split()
)

TREE = {
    "it.bpf.c": """\
// clang: -Inone -Ifirst -Isecond -isystem third -include forced.h
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include "a/size.h"
#include "b/size.h"
#include "found.h"
#include <listed.h>
#if __has_include("asked.h")
#define ASKED 1
#else
#define ASKED 0
#endif
const char data[] = {
#embed "data.bin"
};
SEC("socket") int it(void *context) { return A + B + FOUND + LISTED + FORCED + ASKED; }
""",
    "a/size.h": "#define A 1\n",
    "b/size.h": '#include "inner.h"\n',
    "b/inner.h": "#define B 1\n",
    "second/found.h": "#define FOUND 1\n",
    "third/listed.h": "#define LISTED 1\n",
    "forced.h": "#define FORCED 1\n",
    "data.bin": "bytes",
}
# Missing files: each would be read first, or its presence is tested.
ELSEWHERE = {
    "none/found.h": "#define FOUND 2\n",
    "first/found.h": "#define FOUND 2\n",
    "found.h": "#define FOUND 2\n",
    "first/listed.h": "#define LISTED 2\n",
    "second/listed.h": "#define LISTED 2\n",
    "asked.h": "/* 2\n */",
    "second/asked.h": "/* 2\n */",
    "first/vmlinux.h": TYPES,
    "third/bpf/bpf_helpers.h": "#include_next <bpf/bpf_helpers.h>\n",
}


@pytest.fixture
def types(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Write the types that bpftool would write, without a kernel."""
    made = tmp_path / "types" / "vmlinux.h"
    made.parent.mkdir()
    made.write_text(TYPES)
    monkeypatch.setattr(c, "kernel_types", lambda *_: made)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "tree"
    for name, text in TREE.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (folder / "first").mkdir()
    return folder


@pytest.mark.usefixtures("types")
class TestInputs:
    """The key covers all files that the compiler read."""

    def test_each_file_that_is_read_counts(self, tree: Path, cache: Cache, kernel: Kernel) -> None:
        first = c.build_c(Workspace(c=(tree,)), "it", kernel, cache)
        for file, text in TREE.items():
            (tree / file).write_text(text + "\n")
            assert c.build_c(Workspace(c=(tree,)), "it", kernel, cache).path != first.path, file
            (tree / file).write_text(text)
            seen: list[events.Event] = []
            assert c.build_c(Workspace(c=(tree,)), "it", kernel, cache, seen.append) == first
            assert seen == []

    def test_a_file_that_is_gone_is_an_error(
        self, tree: Path, cache: Cache, kernel: Kernel
    ) -> None:
        c.build_c(Workspace(c=(tree,)), "it", kernel, cache)
        for file in [name for name in TREE if name != "it.bpf.c"]:
            (tree / file).rename(tree / "aside")
            with pytest.raises(c.CompileRejected, match=Path(file).name) as caught:
                c.build_c(Workspace(c=(tree,)), "it", kernel, cache)
            assert caught.value.missing, file
            (tree / "aside").rename(tree / file)

    def test_each_file_that_would_come_first_counts(
        self, tree: Path, cache: Cache, kernel: Kernel
    ) -> None:
        first = c.build_c(Workspace(c=(tree,)), "it", kernel, cache)
        for file, text in ELSEWHERE.items():
            (tree / file).parent.mkdir(parents=True, exist_ok=True)
            (tree / file).write_text(text)
            built = c.build_c(Workspace(c=(tree,)), "it", kernel, cache)
            assert built.path != first.path, file
            assert (built.path.read_bytes() != first.path.read_bytes()) == (" 2\n" in text), file
            (tree / file).unlink()
            assert c.build_c(Workspace(c=(tree,)), "it", kernel, cache) == first

    def test_a_header_that_is_only_asked_for(
        self, tree: Path, cache: Cache, kernel: Kernel
    ) -> None:
        (tree / "asked.h").write_text("")
        first = c.build_c(Workspace(c=(tree,)), "it", kernel, cache)
        (tree / "asked.h").unlink()
        assert c.build_c(Workspace(c=(tree,)), "it", kernel, cache).path != first.path

    def test_it_is_what_clang_says_with_another_option(
        self, tree: Path, cache: Cache, kernel: Kernel
    ) -> None:
        """-H prints each header as it is entered. The lab uses -MD, another part of clang."""
        entry = c.build_c(Workspace(c=(tree,)), "it", kernel, cache).path.parent
        (manifest,) = (cache.root / "inputs").glob("*/*.json")
        assert manifest.stem == entry.name
        known = {str(tree / name) for name in json.loads(manifest.read_text())["files"]}
        clang, _ = c.find_clang()
        options = clang_options(tree / "it.bpf.c")
        types = c.kernel_types(kernel, cache).parent
        said = subprocess.run(
            [clang, *c.FLAGS, *options, "-I", types, "-H", "-fsyntax-only", "it.bpf.c"],
            cwd=tree, capture_output=True, text=True, check=True,
        ).stderr  # fmt: skip
        entered = {line.split(" ", 1)[1] for line in said.splitlines() if line.startswith(".")}
        assert {str(tree / name) for name in entered} <= known
        assert len(entered) >= 8

    def test_a_file_of_the_assembler_is_in_no_list(
        self, tree: Path, cache: Cache, kernel: Kernel
    ) -> None:
        source = tree / "it.bpf.c"
        source.write_text(
            TREE["it.bpf.c"] + 'asm(".pushsection x; .incbin \\"more.bin\\"; .popsection");\n'
        )
        for text in ("one", "two"):
            (tree / "more.bin").write_text(text)
            built = c.build_c(Workspace(c=(tree,)), "it", kernel, cache)
            assert text.encode() in built.path.read_bytes()

    def test_a_computed_name_is_asked_for_each_time(
        self, tree: Path, cache: Cache, kernel: Kernel
    ) -> None:
        source = TREE["it.bpf.c"].replace('("asked.h")', "(NAME)")
        (tree / "it.bpf.c").write_text(
            source.replace("// clang:", "// clang: '-DNAME=\"asked.h\"'")
        )
        first = c.build_c(Workspace(c=(tree,)), "it", kernel, cache).path.read_bytes()
        (tree / "asked.h").write_text("")
        assert c.build_c(Workspace(c=(tree,)), "it", kernel, cache).path.read_bytes() != first

    def test_variables_of_the_user_add_no_folders(
        self, tree: Path, cache: Cache, kernel: Kernel, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tree / "second/found.h").rename(tree / "first/moved.h")
        monkeypatch.setenv("CPATH", str(tree / "extra"))
        (tree / "extra").mkdir()
        (tree / "extra/found.h").write_text("#define FOUND 3\n")
        with pytest.raises(c.CompileRejected, match=r"found\.h"):
            c.build_c(Workspace(c=(tree,)), "it", kernel, cache)


def test_a_rule_for_make_is_read_back() -> None:
    rule = "object: a.c inc/../b.h \\\n  a\\ b\\#$$.h \\\n /usr/x.h\n\nb.h:\n"
    assert names_in_rule(rule) == ["a.c", "inc/../b.h", "a b#$.h", "/usr/x.h"]


@given(st.lists(st.text("ab /._-+#$", min_size=1).map(str.strip).filter(bool), min_size=1))
def test_any_names_of_files_survive_a_rule(names: list[str]) -> None:
    quoted = [name.replace("$", "$$").replace("#", "\\#").replace(" ", "\\ ") for name in names]
    assert names_in_rule(f"object: {' '.join(quoted)}\n") == names


def test_the_search_list_has_what_is_missing() -> None:
    said = (
        'ignoring nonexistent directory "none"\n'
        '#include "..." search starts here:\n quoted\n'
        "#include <...> search starts here:\n inc\n /usr/include\nEnd of search list.\n more\n"
    )
    assert search_list(said) == ["none", "quoted", "inc", "/usr/include"]
    assert search_list("nothing of the kind") == []


@pytest.mark.parametrize(
    ("text", "complete"),
    [
        ("#if __has_include(<x.h>)\n", True),
        ('#if defined(__has_include) && __has_include("x.h")\n', True),
        ("#ifdef __has_include\n", True),
        ("#define __has_include(x) 0\n", True),
        ("/* __has_include(NAME) */ // __has_include(NAME)\n", True),
        ("#if __has_include(NAME)\n", False),
        ("#if __has_include_next(NAME)\n", False),
        ("#if __has_embed(NAME)\n", False),
        ('asm(".incbin NAME");\n', False),
    ],
)
def test_what_can_not_be_told_is_not_kept(tmp_path: Path, text: str, complete: bool) -> None:
    (tmp_path / "a.c").write_text(text)
    assert inputs_of(["a.c"], [], tmp_path).complete is complete
