# SPDX-License-Identifier: GPL-2.0-only
"""Read the functions and objects of a kernel module from its file."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

# Aliases of a module's init and exit functions.
_ALIASES = ("init_module", "cleanup_module")


def module_symbols(path: Path) -> dict[str, list[tuple[int, int, str]]]:
    """Return section -> offset in it, size in bytes and name of each function and object.

    The result is empty for a file that has no symbol table or cannot be read.
    """
    found: dict[str, list[tuple[int, int, str]]] = defaultdict(list)
    try:
        with path.open("rb") as stream:
            elf = ELFFile(stream)
            table = elf.get_section_by_name(".symtab")
            if not isinstance(table, SymbolTableSection):
                return {}
            for symbol in table.iter_symbols():
                index = symbol["st_shndx"]
                wanted = symbol["st_info"]["type"] in ("STT_FUNC", "STT_OBJECT")
                if wanted and isinstance(index, int) and symbol.name not in _ALIASES:
                    section = elf.get_section(index).name
                    entry = (int(symbol["st_value"]), int(symbol["st_size"]), str(symbol.name))
                    found[section].append(entry)
    except (OSError, ELFError):
        return {}
    return dict(found)
