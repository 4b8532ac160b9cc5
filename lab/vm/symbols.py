# SPDX-License-Identifier: GPL-2.0-only
"""Translate addresses of a kernel to names, read from its vmlinux on the host."""

from __future__ import annotations

import bisect
import functools
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path

from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection


class Symbols:
    """The functions of a vmlinux."""

    def __init__(self, functions: list[tuple[int, str]]) -> None:
        functions.sort()
        self._starts = [start for start, _ in functions]
        self._names = [name for _, name in functions]

    @classmethod
    def of(cls, vmlinux: Path) -> Symbols:
        """Read the symbol table of a vmlinux; it is empty if there is none."""
        return _read(vmlinux, vmlinux.stat().st_mtime_ns)

    def name(self, address: int) -> str:
        """Return `function+0x12`, or the bare address if it is in no function."""
        index = bisect.bisect_right(self._starts, address) - 1
        if index < 0 or address - self._starts[index] > 1 << 20:
            return f"{address:#x}"
        return f"{self._names[index]}+{address - self._starts[index]:#x}"


@functools.lru_cache(maxsize=4)
def _read(vmlinux: Path, _version: int) -> Symbols:
    return Symbols(
        [(value, name) for name, info, _, value, _ in _symbols(vmlinux) if info & 15 == _FUNCTION]
    )


_SYMBOL = struct.Struct("<IBBHQQ")  # Elf64_Sym: name, info, other, section, value, size
_OBJECT_TYPES = (0, 1)  # STT_NOTYPE (the linker's own marks), STT_OBJECT
_FUNCTION = 2  # STT_FUNC


def _symbols(vmlinux: Path) -> Iterator[tuple[str, int, int, int, int]]:
    """Yield name, info, section, value and size of each symbol.

    pyelftools needs ten seconds to make objects of all symbols of a kernel.
    """
    with vmlinux.open("rb") as stream:
        table = ELFFile(stream).get_section_by_name(".symtab")
        if not isinstance(table, SymbolTableSection):
            return
        strings = table.stringtable.data()
        for name, info, _, section, value, size in _SYMBOL.iter_unpack(table.data()):
            text = strings[name : strings.index(b"\0", name)].decode(errors="replace")
            yield text, info, section, value, size


def data_symbols(vmlinux: Path | None) -> Mapping[str, tuple[int, int]]:
    """Return name -> (address, size in bytes) of a vmlinux's variables; empty without one.

    If several static variables have the same name, none of them is returned.
    """
    if vmlinux is None or not vmlinux.is_file():
        return {}
    return _read_data(vmlinux, vmlinux.stat().st_mtime_ns)


@functools.lru_cache(maxsize=4)
def _read_data(vmlinux: Path, _version: int) -> Mapping[str, tuple[int, int]]:
    found: dict[str, tuple[int, int]] = {}
    twice: set[str] = set()
    for name, info, section, value, size in _symbols(vmlinux):
        if info & 15 in _OBJECT_TYPES and section and name:
            if name in found:
                twice.add(name)
            found[name] = (value, size)
    return {name: place for name, place in found.items() if name not in twice}
