# SPDX-License-Identifier: GPL-2.0-only
"""Test the list of a C extension's declarations."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.extension.c_source import (
    ProgramDecl,
    clang_options,
    maps_in_source,
    programs_in_source,
    sources_of,
)

NAMES = st.from_regex(r"[a-z_][a-z0-9_]{0,12}", fullmatch=True).filter(
    lambda name: name not in ("int", "long", "void", "static", "unsigned")
)


class Write(Protocol):
    def __call__(self, text: str, name: str = "x.bpf.c") -> Path: ...


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(text: str, name: str = "x.bpf.c") -> Path:
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


@pytest.mark.parametrize(
    ("text", "name", "section"),
    [
        ('SEC("xdp")\nint p(struct xdp_md *ctx)\n{', "p", "xdp"),
        ('SEC("kprobe/f") int p(void *ctx) {', "p", "kprobe/f"),
        ('SEC("fentry/f")\nint BPF_PROG(p, int a)\n{', "p", "fentry/f"),
        ('SEC("kprobe/f")\nint BPF_KPROBE(p)\n{', "p", "kprobe/f"),
        ('SEC("tc")\n__attribute_x static unsigned int p(void *c) {', "p", "tc"),
        ('SEC( "perf_event" )\nlong p (void *ctx)\n{', "p", "perf_event"),
    ],
)
def test_each_way_to_write_a_program(write: Write, text: str, name: str, section: str) -> None:
    assert programs_in_source(write(text)) == [ProgramDecl(name, section)]


def test_what_is_no_program(write: Write) -> None:
    text = """
    char LICENSE[] SEC("license") = "GPL";
    /* SEC("xdp") int commented(void) {} */
    // SEC("xdp") int commented_too(void) {}
    struct { int x; } m SEC(".maps");
    static int helper(int x) { return x; }
    int declared(void *ctx);
    """
    assert programs_in_source(write(text)) == []


def test_a_comment_inside_a_string_is_text(write: Write) -> None:
    path = write('char *url = "http://x";\nSEC("xdp")\nint p(void *ctx)')
    assert [program.name for program in programs_in_source(path)] == ["p"]


def test_maps_plain_initialised_and_by_macro(write: Write) -> None:
    write(
        '#define MAKE(size, name) struct { \\\n\t__uint(s, size); \\\n} name SEC(".maps")\n'
        "static inline int f(int x) { return x; }\n",
        "own.h",
    )
    path = write(
        '#include "own.h"\n'
        'struct { __uint(a, b); } plain SEC(".maps");\n'
        'struct { int y; } filled SEC(".maps") = { .values = { 1 } };\n'
        "MAKE(4, made);\nMAKE(8, made_too);\n"
        'SEC("xdp")\nint p(void *ctx)'
    )
    assert sorted(maps_in_source(path)) == ["filled", "made", "made_too", "plain"]
    assert [program.name for program in programs_in_source(path)] == ["p"]


def test_includes_are_followed_once_and_generated_ones_left_out(
    write: Write, tmp_path: Path
) -> None:
    write('#include "b.h"\n#include "vmlinux.h"\n#include <bpf/bpf_helpers.h>\n', "a.h")
    write('#include "a.h"\nSEC("xdp")\nint from_b(void *ctx) {', "b.h")
    path = write('#include "a.h"\nSEC("tc")\nint own(void *ctx) {')
    assert [part.name for part in sources_of(path)] == ["x.bpf.c", "a.h", "b.h"]
    assert {program.name for program in programs_in_source(path)} == {"from_b", "own"}


def test_options_only_near_the_top(write: Write) -> None:
    assert clang_options(write("// SPDX\n// clang: -mcpu=v4 -DX='a b'\n")) == [
        "-mcpu=v4",
        "-DX=a b",
    ]
    assert clang_options(write("\n" * 5 + "// clang: -mcpu=v4\n")) == []
    assert clang_options(write('char *x = "// clang: -x";\n')) == []


@given(st.lists(st.tuples(NAMES, st.booleans()), unique_by=lambda pair: pair[0]))
def test_every_program_and_map_is_found(
    tmp_path_factory: pytest.TempPathFactory, things: list[tuple[str, bool]]
) -> None:
    path = tmp_path_factory.mktemp("source") / "x.bpf.c"
    path.write_text(
        "\n".join(
            f'SEC("xdp")\nint {name}(struct xdp_md *ctx)\n{{\n\treturn 2;\n}}'
            if program
            else f'struct {{\n\t__uint(type, 1);\n}} {name} SEC(".maps");'
            for name, program in things
        )
    )
    assert [found.name for found in programs_in_source(path)] == [n for n, p in things if p]
    assert maps_in_source(path) == [n for n, p in things if not p]
