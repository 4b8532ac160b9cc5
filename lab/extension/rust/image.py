# SPDX-License-Identifier: GPL-2.0-only
"""Check a linked extension on the host, before the kernel loads it.

The kernel trusts nothing and checks all of it again. The errors here have file and line of the
source.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache as once
from pathlib import Path

from elftools.elf.constants import P_FLAGS
from elftools.elf.elffile import ELFFile
from elftools.elf.relocation import RelocationSection
from elftools.elf.sections import SymbolTableSection

from lab.errors import UserError
from lab.extension.rust.frames import SECTION
from lab.host import process

# The kernel's limit of a file's size in bytes (REX_MAX_FILE).
MAX_BYTES = 1 << 20

# This file of the crate lists what the kernel offers; each line is a name. The kernel's own
# list is symbols.h.
SYMBOLS = "symbols.txt"

# ELF's numbers of the two relocations that the kernel applies.
_RELOCATIONS = {6: "GLOB_DAT", 8: "RELATIVE"}

# Functions of the compiler's run-time library for floating-point arithmetic without a
# floating-point unit. Their names have the operation and the size of the number.
_FLOAT = re.compile(
    r"(?:^|_)__(add|sub|mul|div|neg|pow|cmp|eq|ne|lt|le|gt|ge|unord|fix|fixuns|float|floatun|"
    r"extend|trunc)[a-z]*[hsdtx]f[a-z0-9]*$"
)
_VECTOR = re.compile(r"%[xyz]?mm\d|%st\b|%k[0-7]\b")
_X87 = re.compile(r"^(f[a-z]+|emms|femms)$")
_FUNCTION = re.compile(r"^[0-9a-f]+ <(.+)>:$")
_INSTRUCTION = re.compile(r"^ *([0-9a-f]+):\t([a-z0-9]+)(?:\s+(.*))?$")


@dataclass(frozen=True)
class _Finding:
    address: int
    what: str


@once
def allowed_symbols(crate: Path) -> frozenset[str]:
    """Return the kernel's functions that an extension may import, by the crate in a folder."""
    lines = (crate / SYMBOLS).read_text().splitlines()
    return frozenset(line for line in lines if line and not line.startswith("#"))


def check_image(name: str, path: Path, allowed: frozenset[str]) -> None:
    """Raise `UserError` for an image that the kernel would not accept.

    `allowed` are the kernel's functions that it may import.
    """
    if path.stat().st_size > MAX_BYTES:
        raise UserError(
            f"extension {name}: {path.stat().st_size} bytes are more than the kernel's {MAX_BYTES}"
        )
    _check_elf(name, path, allowed)


def check_code(name: str, debug: Path) -> None:
    """Raise `UserError` if the code computes with floating-point numbers or uses vectors.

    The kernel does not save those registers for a program. `debug` is the image
    with its debug information, for file and line.
    """
    found = _first_float(debug)
    if found is None:
        return
    place = _place(debug, found.address)
    raise UserError(
        f"extension {name} {found.what} at {place}",
        hint="the kernel has no floating point for extensions: use whole numbers, say thousandths",
    )


def _check_elf(name: str, path: Path, allowed: frozenset[str]) -> None:
    with path.open("rb") as stream:
        elf = ELFFile(stream)
        for segment in elf.iter_segments("PT_LOAD"):
            flags = segment["p_flags"]
            if flags & P_FLAGS.PF_W and flags & P_FLAGS.PF_X:
                raise UserError(f"extension {name}: a segment can be written and run")
        for section in elf.iter_sections():
            if not isinstance(section, RelocationSection):
                continue
            for relocation in section.iter_relocations():
                if relocation["r_info_type"] not in _RELOCATIONS:
                    raise UserError(
                        f"extension {name}: a relocation of type {relocation['r_info_type']}"
                    )
        table = elf.get_section_by_name(".dynsym")
        imports = [
            symbol.name
            for symbol in (table.iter_symbols() if isinstance(table, SymbolTableSection) else ())
            if symbol.name and symbol["st_shndx"] == "SHN_UNDEF"
        ]
        for imported in sorted(set(imports) - allowed):
            raise UserError(
                f"extension {name} calls {imported}, which the kernel does not offer",
                hint="is it a function of the compiler's library that core's source lacks?",
            )
        if elf.get_section_by_name(".rex.progs") is None:
            raise UserError(
                f"extension {name} has no program",
                hint='a program is a function with an attribute, such as #[rex_kprobe("function")]',
            )
        if elf.get_section_by_name(SECTION) is None:
            raise UserError(f"extension {name} does not say how large its frames are ({SECTION})")


def _first_float(debug: Path) -> _Finding | None:
    listing = process.run(
        ["objdump", "-d", "--no-show-raw-insn", "-M", "att", debug], timeout=120
    ).stdout
    function = ""
    for line in listing.splitlines():
        if header := _FUNCTION.match(line):
            function = header[1]
            continue
        instruction = _INSTRUCTION.match(line)
        if instruction is None or _FLOAT.search(function):
            continue
        if "compiler_builtins" in function:
            continue
        address, mnemonic, operands = int(instruction[1], 16), instruction[2], instruction[3] or ""
        called = re.search(r"<([^>+]+)>", operands)
        if called and (arithmetic := _FLOAT.search(called[1])):
            name = arithmetic[0].lstrip("_")
            return _Finding(address, f"computes with floating-point numbers ({name})")
        if _VECTOR.search(operands) or _X87.match(mnemonic):
            return _Finding(address, f"uses vector or floating-point registers ({mnemonic})")
    return None


def _place(debug: Path, address: int) -> str:
    said = process.run(["addr2line", "-e", debug, "-i", hex(address)], check=False).stdout
    # The outermost of several inlined lines is the extension's own.
    lines = [line.split(" (")[0] for line in said.splitlines() if not line.startswith("?")]
    own = [line for line in lines if not line.startswith("rust/")]
    return (own or lines or ["an unknown place"])[0]
