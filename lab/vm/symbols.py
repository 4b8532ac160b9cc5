# SPDX-License-Identifier: GPL-2.0-only
"""Addresses of a kernel as names, read from its vmlinux on the host."""

from __future__ import annotations

import bisect
import functools
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
        """Read a vmlinux's symbol table; empty if it has none."""
        return _read(vmlinux, vmlinux.stat().st_mtime_ns)

    def name(self, address: int) -> str:
        """`function+0x12`, or the bare address where it is in no function."""
        index = bisect.bisect_right(self._starts, address) - 1
        if index < 0 or address - self._starts[index] > 1 << 20:
            return f"{address:#x}"
        return f"{self._names[index]}+{address - self._starts[index]:#x}"


@functools.lru_cache(maxsize=4)
def _read(vmlinux: Path, _version: int) -> Symbols:
    functions = []
    with vmlinux.open("rb") as stream:
        for section in ELFFile(stream).iter_sections():
            if isinstance(section, SymbolTableSection):
                for symbol in section.iter_symbols():
                    if symbol["st_info"]["type"] == "STT_FUNC":
                        functions.append((int(symbol["st_value"]), str(symbol.name)))
    return Symbols(functions)
