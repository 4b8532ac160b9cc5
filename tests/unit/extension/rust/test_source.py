# SPDX-License-Identifier: GPL-2.0-only
"""Test the list of a Rust extension's declarations."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.errors import UserError
from lab.extension.c_source import ProgramDecl
from lab.extension.rust.source import (
    KINDS,
    maps_in_source,
    maps_in_text,
    programs_in_source,
    programs_in_text,
)
from lab.workspace import Workspace

NAMES = st.from_regex(r"[a-z_][a-z0-9_]{0,12}", fullmatch=True).filter(
    lambda name: name not in ("fn", "static", "mut", "pub", "const", "unsafe", "extern", "r", "b")
)


@pytest.mark.parametrize(
    ("text", "name", "section"),
    [
        ('#[rex_kprobe("f")]\nfn p(ctx: &Kprobe) -> Result {', "p", "kprobe/f"),
        ("#[rex_xdp]\npub fn p(ctx: &Xdp) -> XdpAction {", "p", "xdp"),
        ('#[rex::rex_tracepoint("a/b")] pub(crate) fn p() {', "p", "tracepoint/a/b"),
        ('#[rex_raw_tracepoint("enter", default = 1)]\nfn p() {', "p", "raw_tracepoint/enter"),
        ('#[rex_tc(default = 0)]\n#[inline(never)]\nfn p() {', "p", "tc"),
        ('#[allow(dead_code)]\n#[rex_perf_event]\n/// what it does\nfn p() {', "p", "perf_event"),
        ('#[ rex_kprobe ( r#"f"# ) ]\nconst unsafe extern "C" fn p() {', "p", "kprobe/f"),
    ],
)  # fmt: skip
def test_each_way_to_write_a_program(text: str, name: str, section: str) -> None:
    assert programs_in_text(text) == [ProgramDecl(name, section)]


def test_what_is_no_program() -> None:
    text = r"""
    // #[rex_xdp] fn commented() {}
    /* /* nested */ #[rex_xdp] fn commented_too() {} */
    const TEXT: &str = "#[rex_xdp] fn in_a_string() {}";
    const RAW: &str = r#"a " #[rex_xdp] fn in_a_raw_string() {}"#;
    const QUOTE: char = '"';
    #[rex_map] static A: RexArray<u64> = RexArray::new(1);
    #[rex_xdp_like] fn other() {}
    #[inline] fn helper<'a>(x: &'a u64, y: &'a u64) {}
    const OTHER: char = '\'';
    const LAST: &str = "\" #[rex_xdp] fn escaped() {}";
    """
    assert programs_in_text(text) == []
    assert maps_in_text(text) == ["a"]


def test_maps_are_called_like_their_statics_in_lower_case() -> None:
    text = """
    #[rex_map] static COUNTS: RexArrayMap<u64> = RexArrayMap::new(1);
    #[rex::rex_map(flags = 1)]
    #[used]
    pub(crate) static mut PER_CPU: RexPerCpuArray<u64> = RexPerCpuArray::new(1);
    static PLAIN: u64 = 0;
    """
    assert maps_in_text(text) == ["counts", "per_cpu"]


def test_all_files_of_the_folder_are_read_and_the_root_first(tmp_path: Path) -> None:
    source = tmp_path / "hello" / "src"
    (source / "more").mkdir(parents=True)
    (source / "lib.rs").write_text('#[rex_kprobe("f")] fn first() {}\n#[rex_map] static A: M = M;')
    (source / "early.rs").write_text("#[rex_map] static B: M = M;")
    (source / "more" / "mod.rs").write_text("#[rex_xdp] fn second() {}\n#[rex_xdp] fn first() {}")
    (tmp_path / "unfinished").mkdir()
    workspace = Workspace(rust=(tmp_path,))
    assert workspace.names("rust") == ["hello"]
    place = workspace.find("rust", "hello")
    assert programs_in_source(place) == [
        ProgramDecl("first", "kprobe/f"),
        ProgramDecl("second", "xdp"),
    ]
    assert maps_in_source(place) == ["a", "b"]
    with pytest.raises(UserError, match="no Rust extension 'helo'") as caught:
        workspace.find("rust", "helo")
    assert "hello" in caught.value.hint


# These texts would mislead a parser without comments and literals.
NOISE = st.sampled_from(
    [
        "",
        "// \"'/* \n",
        "/* \" // /* ' */ */",
        "const Q: char = '\"';\n",
        'const S: &str = "/* // ";\n',
        'const R: &str = r#"" #[rex_xdp] fn x() {}"#;\n',
    ]
)


@given(
    st.lists(
        st.tuples(NAMES, st.sampled_from([*KINDS, "map"]), st.booleans(), NOISE),
        unique_by=lambda thing: thing[0],
    )
)
def test_every_program_and_map_is_found(things: list[tuple[str, str, bool, str]]) -> None:
    text, programs, maps = "", [], []
    for name, kind, has_target, noise in things:
        target = '("to")' if has_target else ""
        text += f"{noise}#[rex_{kind}{target}]\n"
        if kind == "map":
            text += f"static {name.upper()}: RexMap<u64> = RexMap::new(1);\n"
            maps.append(name)
        else:
            text += f"fn {name}<'a>(ctx: &'a Ctx) -> i32 {{ 0 }}\n"
            programs.append(ProgramDecl(name, f"{kind}/to" if has_target else kind))
    assert programs_in_text(text) == programs
    assert maps_in_text(text) == maps


@given(st.text(max_size=200))
def test_any_text_is_read_to_its_end(text: str) -> None:
    programs_in_text(text)
    maps_in_text(text)
