# SPDX-License-Identifier: GPL-2.0-only
"""Offsets of members in the kernel's structures, from its BTF (Documentation/bpf/btf.rst)."""

from __future__ import annotations

import functools
import struct
from collections.abc import Mapping
from pathlib import Path

_HEADER = struct.Struct("<HBBIIIII")
_TYPE = struct.Struct("<III")
_MEMBER = struct.Struct("<III")
_MAGIC = 0xEB9F
_STRUCT, _UNION = 4, 5
# Bytes after a type's head, by kind: for the whole type, and for each of its elements.
_WHOLE = {1: 4, 3: 12, 14: 4, 17: 4}
_EACH = {_STRUCT: 12, _UNION: 12, 6: 8, 13: 8, 15: 12, 19: 12}


def offsets(data: bytes, wanted: frozenset[str]) -> dict[str, int]:
    """Return `structure.member` -> offset in bytes, for each member of the structures `wanted`.

    The name of a structure alone maps to its size in bytes. A bit field's offset is
    that of its byte. Structures that the BTF lacks are left out. Raises
    `ValueError` if the data is not BTF.
    """
    try:
        return _offsets(data, wanted)
    except (struct.error, IndexError, ValueError) as error:
        raise ValueError(f"not BTF: {error}") from error


def _offsets(data: bytes, wanted: frozenset[str]) -> dict[str, int]:
    magic, _, _, length, type_at, type_size, string_at, string_size = _HEADER.unpack_from(data)
    if magic != _MAGIC:
        raise ValueError(f"it begins with {magic:#x}")
    strings = data[length + string_at : length + string_at + string_size]

    def text(offset: int) -> str:
        return strings[offset : strings.index(b"\0", offset)].decode(errors="replace")

    found: dict[str, int] = {}
    names = {strings.find(b"\0" + name.encode() + b"\0") + 1 for name in wanted} - {0}
    at, end = length + type_at, length + type_at + type_size
    while at < end:
        name, info, size = _TYPE.unpack_from(data, at)
        kind, count = info >> 24 & 0x1F, info & 0xFFFF
        at += _TYPE.size
        if kind == _STRUCT and name in names:
            found.setdefault(text(name), size)
            for index in range(count):
                member, _, offset = _MEMBER.unpack_from(data, at + index * _MEMBER.size)
                bits = offset & 0xFFFFFF if info >> 31 else offset
                found.setdefault(f"{text(name)}.{text(member)}", bits // 8)
        at += _WHOLE.get(kind, 0) + _EACH.get(kind, 0) * count
    return found


def layout(btf: Path | None, wanted: frozenset[str]) -> Mapping[str, int]:
    """Return the `offsets` of a file; empty if there is none, or if it cannot be read."""
    if btf is None or not btf.is_file():
        return {}
    return _layout(btf, btf.stat().st_mtime_ns, wanted)


@functools.lru_cache(maxsize=4)
def _layout(btf: Path, _version: int, wanted: frozenset[str]) -> Mapping[str, int]:
    try:
        return offsets(btf.read_bytes(), wanted)
    except ValueError:
        return {}
