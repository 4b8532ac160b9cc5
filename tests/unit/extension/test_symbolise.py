# SPDX-License-Identifier: GPL-2.0-only
"""Test the functions and lines of offsets in an image."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection
from hypothesis import given
from hypothesis import strategies as st

from lab.errors import LabError
from lab.extension.symbolise import Frame, parse_output, plain, symbolise

SOURCE = """\
static inline __attribute__((always_inline)) int inner(volatile int *at)
{
\treturn *at;
}
int deep(volatile int *at) __asm__("_RNvNtCs6xxl1lAjzDf_6panics4more4deep");
__attribute__((noinline)) int deep(volatile int *at)
{
\treturn inner(at);
}
"""


def build(folder: Path, *options: str) -> tuple[Path, int]:
    """Compile an image; return it and the offset of `deep` in it."""
    (folder / "a.c").write_text(SOURCE)
    image = folder / "a.so"
    argv: list[str | Path] = ["gcc", "-shared", "-fPIC", "-O2", *options, "a.c", "-o", image]
    subprocess.run(argv, cwd=folder, check=True)
    with image.open("rb") as file:
        symbols = ELFFile(file).get_section_by_name(".symtab")
        assert isinstance(symbols, SymbolTableSection)
        named = symbols.get_symbol_by_name("_RNvNtCs6xxl1lAjzDf_6panics4more4deep")
        assert named is not None
        (symbol,) = named
        return image, symbol["st_value"]


def test_an_inlined_function_and_the_one_that_it_is_part_of(tmp_path: Path) -> None:
    image, offset = build(tmp_path, "-g", f"-ffile-prefix-map={tmp_path}=/src")
    found = symbolise(image, [offset, 0x1])
    assert found == [
        Frame(offset, "inner", "/src/a.c", 3, inlined=True),
        Frame(offset, "panics::more::deep", "/src/a.c", 8),
        Frame(0x1),
    ]
    assert [str(frame) for frame in found] == [
        "inner at /src/a.c:3 (inlined)",
        "panics::more::deep at /src/a.c:8",
        "0x1",
    ]


def test_names_of_rust_are_demangled_without_their_hash(tmp_path: Path) -> None:
    image, offset = build(tmp_path)
    (found,) = symbolise(image, [offset])
    assert found == Frame(offset, "panics::more::deep")
    assert str(found) == "panics::more::deep"


def test_nothing_to_look_up_runs_nothing(tmp_path: Path) -> None:
    assert symbolise(tmp_path / "missing", []) == []


def test_a_file_that_can_not_be_read_is_an_infra_error(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="addr2line"):
        symbolise(tmp_path / "missing", [1])


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("??", ""),
        ("panics::deep", "panics::deep"),
        ("panics[6f3a8c1d2e]::deep", "panics::deep"),
        ("panics::deep::h0123456789abcdef", "panics::deep"),
        ("panics::deep.llvm.1234567", "panics::deep"),
        ("<panics::S<u32> as rex::Map>::get", "<panics::S<u32> as rex::Map>::get"),
        ("<[u8] as panics::T>::get", "<[u8] as panics::T>::get"),
    ],
)
def test_plain_names(name: str, shown: str) -> None:
    assert plain(name) == shown


def test_what_addr2line_prints() -> None:
    text = (
        "0x0000000000001602\ncore::panicking::panic\n/r/core/src/panicking.rs:1\n"
        "panics::deep\nsrc/lib.rs:34 (discriminator 2)\n"
        "0x0000000000000001\n??\n??:0\n0x02\npanics::f\nsrc/lib.rs:?\n0x03\n??\n??:?\n"
    )
    assert parse_output(text) == [
        (
            0x1602,
            [
                Frame(0x1602, "core::panicking::panic", "/r/core/src/panicking.rs", 1, True),
                Frame(0x1602, "panics::deep", "src/lib.rs", 34),
            ],
        ),
        (1, [Frame(1)]),
        (2, [Frame(2, "panics::f", "src/lib.rs")]),
        (3, [Frame(3)]),
    ]


FRAMES = st.lists(
    st.tuples(st.from_regex(r"[a-z_]+(::[a-z_]+)?", fullmatch=True), st.integers(1, 999)),
    min_size=1,
    max_size=4,
)


@given(st.lists(st.tuples(st.integers(0, 2**64 - 1), FRAMES), max_size=6))
def test_every_frame_is_read(groups: list[tuple[int, list[tuple[str, int]]]]) -> None:
    text = "".join(
        f"0x{offset:016x}\n" + "".join(f"{name}\nsrc/a b.rs:{line}\n" for name, line in frames)
        for offset, frames in groups
    )
    assert parse_output(text) == [
        (
            offset,
            [
                Frame(offset, name, "src/a b.rs", line, index < len(frames))
                for index, (name, line) in enumerate(frames, 1)
            ],
        )
        for offset, frames in groups
    ]


@given(st.text(max_size=120))
def test_any_text_is_read(text: str) -> None:
    parse_output(text)
