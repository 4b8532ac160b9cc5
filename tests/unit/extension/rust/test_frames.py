# SPDX-License-Identifier: GPL-2.0-only
"""Read the frames of functions and the room for checks, in hand-made images."""

from __future__ import annotations

import contextlib
import re
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.errors import UserError
from lab.extension.rust import frames
from lab.extension.rust.frames import LARGEST_FRAME, check_frames, frames_of
from lab.extension.rust.toolchain import ROOM

# Compilers' no-ops for 22 bytes: two instructions by Debian's rustc and clang, 22 by gcc.
WIDE = "66666666662e660f1f8400000200000f1f8000020000"
MIXED = "2e2e2e0f1f8400020000000f1f4400000f1f04006690"
ROOMS = [WIDE, "90" * 22, MIXED, "6690" * 11]
NO_ROOMS = [
    "6690" * 10 + "90",  # 21 bytes, and what comes next
    "90" * 21 + "55",
    "f390" * 11,  # pause
    "4890" * 11,  # another register's exchange
    "0f0b" * 11,
    "e8" + "00" * 21,
    WIDE[:28] + "0f1f8000020000" + "90",  # cut in its middle
]


def image(folder: Path, *functions: tuple[str, str, str], sizes: str | None = None) -> Path:
    """Link a shared object of functions: each has a name, its first bytes, its frame (ULEB128)."""
    text = ['.file 1 "a.s"', '.file 2 "rust/core/a.rs"', ".text"]
    for name, first, _ in functions:
        text += [f".globl {name}", f".type {name}, @function", ".loc_mark_labels 1"]
        text += [f".loc {2 if name == 'of_core' else 1} 7", f"{name}:"]
        text += [f".byte 0x{byte:02x}" for byte in bytes.fromhex(first)]
        text += ["push %rbp", "sub $0x120,%rsp", "leave", "ret", f".size {name}, .-{name}"]
    text += ['.section .stack_sizes,"o",@progbits,.text'] if sizes != "" else []
    text += [f".quad {name}\n.uleb128 {size}" for name, _, size in functions if size]
    text += [sizes] if sizes else []
    (folder / "a.s").write_text("\n".join(text) + "\n")
    for words in (["as", "-o", "a.o", "a.s"], ["ld", "-shared", "-o", "a.so", "a.o"]):
        subprocess.run(words, cwd=folder, check=True)
    return folder / "a.so"


@pytest.mark.parametrize("first", ROOMS)
def test_room_is_seen_whatever_compiler_left_it(tmp_path: Path, first: str) -> None:
    assert len(bytes.fromhex(first)) == ROOM
    (found,) = frames_of("a", image(tmp_path, ("f", first, "40")))
    assert (found.size, found.room) == (40, True)


@pytest.mark.parametrize("first", [*NO_ROOMS, ""])
def test_what_does_something_is_no_room(tmp_path: Path, first: str) -> None:
    built = image(tmp_path, ("f", first, "40"))
    assert [frame.room for frame in frames_of("a", built)] == [False]
    with pytest.raises(UserError, match=r"extension a: f at \S*/a\.s:7 has no room for a check"):
        check_frames("a", built)


def test_an_image_that_says_no_frames_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not say how large its frames are"):
        frames_of("a", image(tmp_path, ("f", WIDE, ""), sizes=""))


@pytest.mark.parametrize(
    ("sizes", "said"),
    [
        (".quad 0x500000\n.uleb128 8", "a frame at 0x500000, which has no code"),
        (".quad f", "ends too early"),
        (".quad f\n.byte 0x80", "ends too early"),
        (".long 5", "ends too early"),
    ],
)
def test_sizes_that_are_none_are_told(tmp_path: Path, sizes: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        frames_of("a", image(tmp_path, ("f", WIDE, "8"), sizes=sizes))


def test_a_function_that_is_not_listed_is_refused(tmp_path: Path) -> None:
    """A function in assembly has no known frame."""
    built = image(tmp_path, ("f", WIDE, "8"), ("memcpy", "", ""))
    with pytest.raises(UserError, match="does not say how large the frame of memcpy is") as error:
        frames_of("a", built)
    assert "assembly" in error.value.hint


def test_a_frame_that_no_stack_has_room_for_is_warned_of(tmp_path: Path) -> None:
    some = [("most", WIDE, str(LARGEST_FRAME)), ("more", WIDE, str(LARGEST_FRAME + 8))]
    warned = check_frames("a", image(tmp_path, *some))
    assert LARGEST_FRAME == 57320
    assert re.fullmatch(
        r"warning: more at \S*/a\.s:7 takes 57328 bytes of the stack, which has 57320: "
        r"a run that calls it overflows\n",
        warned,
    )


@pytest.mark.parametrize("size", [0, 8, 1024])
def test_the_library_too_has_room_in_each_function(tmp_path: Path, size: int) -> None:
    """Small frames need the check, too: a deep chain of such calls once used up a whole stack."""
    built = image(tmp_path, ("f", WIDE, "8"), ("of_core", "", str(size)))
    with pytest.raises(
        UserError, match=r"extension a: of_core at \S*/rust/core/a\.rs:7 has no room for a check"
    ) as error:
        check_frames("a", built)
    assert "another version" in error.value.hint


@given(st.lists(st.tuples(st.integers(0, 2**64 - 1), st.integers(0, 2**70))))
def test_all_pairs_are_read(pairs: list[tuple[int, int]]) -> None:
    def uleb(value: int) -> bytes:
        more, low = value >> 7, value & 0x7F
        return bytes([low | 0x80]) + uleb(more) if more else bytes([low])

    data = b"".join(address.to_bytes(8, "little") + uleb(size) for address, size in pairs)
    assert list(frames._pairs("a", data)) == pairs


@given(st.binary(max_size=40))
def test_any_bytes_are_pairs_or_told(data: bytes) -> None:
    with contextlib.suppress(UserError):
        list(frames._pairs("a", data))
