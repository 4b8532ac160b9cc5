# SPDX-License-Identifier: GPL-2.0-only
"""Read offsets from BTF, for each form of structure; reject other data."""

from __future__ import annotations

import contextlib
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.kernel.btf import layout, offsets


class Btf:
    """A writer of BTF as Documentation/bpf/btf.rst describes it."""

    def __init__(self) -> None:
        self.types = b""
        self.strings = b"\0"

    def text(self, name: str) -> int:
        at = len(self.strings)
        self.strings += name.encode() + b"\0"
        return at

    def add(self, kind: int, name: str, rest: bytes, *, count: int = 0, flag: int = 0) -> None:
        info = flag << 31 | kind << 24 | count
        self.types += struct.pack("<III", self.text(name) if name else 0, info, 16) + rest

    def structure(self, name: str, members: dict[str, int], *, flag: int = 0) -> None:
        rest = b"".join(
            struct.pack("<III", self.text(member), 1, offset) for member, offset in members.items()
        )
        self.add(4, name, rest, count=len(members), flag=flag)

    def data(self) -> bytes:
        return (
            struct.pack("<HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(self.types), len(self.types),
                        len(self.strings))
            + self.types
            + self.strings
        )  # fmt: skip


def example() -> bytes:
    btf = Btf()
    btf.add(1, "int", bytes(4))
    btf.add(3, "", bytes(12))  # array
    btf.add(6, "colours", bytes(16), count=2)  # enum
    btf.add(13, "", bytes(8), count=1)  # function's prototype
    btf.add(19, "wide", bytes(12), count=1)  # enum of 64 bits
    btf.structure("other", {"name": 0})
    btf.structure("notifier_block", {"notifier_call": 0, "next": 64, "priority": 128})
    btf.structure("bits", {"low": 1 << 24 | 8, "high": 2 << 24 | 9}, flag=1)
    return btf.data()


def test_members_have_their_offsets_in_bytes() -> None:
    assert offsets(example(), frozenset({"notifier_block"})) == {
        "notifier_block": 16,
        "notifier_block.notifier_call": 0,
        "notifier_block.next": 8,
        "notifier_block.priority": 16,
    }


def test_a_bit_field_is_at_its_byte() -> None:
    assert offsets(example(), frozenset({"bits"})) == {"bits": 16, "bits.low": 1, "bits.high": 1}


def test_a_structure_that_is_not_there_is_left_out() -> None:
    assert offsets(example(), frozenset({"proto", "call"})) == {}


@given(st.binary(max_size=200))
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="not BTF"):
        offsets(data, frozenset({"proto"}))


@given(st.integers(0, len(example()) - 1))
def test_what_is_cut_off_is_read_in_part_or_refused(end: int) -> None:
    with contextlib.suppress(ValueError):
        found = offsets(example()[:end], frozenset({"notifier_block"}))
        assert found.items() <= offsets(example(), frozenset({"notifier_block"})).items()


def test_a_kernel_without_btf_has_no_layout(tmp_path: Path) -> None:
    broken = tmp_path / "btf"
    broken.write_bytes(b"no BTF")
    wanted = frozenset({"proto"})
    assert layout(None, wanted) == layout(tmp_path / "none", wanted) == layout(broken, wanted) == {}
