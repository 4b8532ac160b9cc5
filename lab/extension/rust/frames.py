# SPDX-License-Identifier: GPL-2.0-only
"""The frames of an extension's functions, and whether the kernel can check its stack in each.

The compiler leaves room before every prologue, for the kernel's check that the
stack has what the function is about to take, and says in the section
`.stack_sizes` how much that is: pairs of an address (8 bytes) and a size (ULEB128).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from elftools.elf.constants import SH_FLAGS
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from lab.errors import UserError
from lab.extension.rust.toolchain import ROOM
from lab.extension.symbolise import symbolise

# A program's stack, what stays free of it for the kernel, and what is used of it when a
# program begins: what is left is the largest frame. (REX_STACK_SIZE, REX_STACK_RESERVE
# without KASAN, rex_enter.)
STACK_BYTES = 64 << 10
RESERVE_BYTES = 8 << 10
LARGEST_FRAME = STACK_BYTES - RESERVE_BYTES - 24

SECTION = ".stack_sizes"

# What compilers take for instructions that do nothing.
_MEMORY = rb"[\x00-\x03]|\x04.|[\x40-\x43].|\x44..|[\x80-\x83].{4}|\x84.{5}"
_NOPS = re.compile(rb"(?:[\x66\x2e]*(?:\x90|\x0f\x1f(?:" + _MEMORY + rb")))+", re.S)

# A function in assembly has none of what the compiler adds.
_HINT = "is it in assembly, or does this compiler ignore what it is told? take another version"


@dataclass(frozen=True)
class Frame:
    """A function at an address of the image, and what it takes of the stack.

    `size` is in bytes, with the registers that it saves, without the address that
    it returns to. `room`: the kernel can check the stack before it is taken.
    """

    address: int
    size: int
    room: bool


@dataclass(frozen=True)
class NamedFrame:
    """A frame with its function and place (FILE:LINE), "" if not known."""

    frame: Frame
    function: str
    place: str

    def __str__(self) -> str:
        where = f" at {self.place}" if self.place else ""
        return f"{self.function or hex(self.frame.address)}{where}"


def frames_of(name: str, image: Path) -> list[Frame]:
    """All frames of an image, in the compiler's order.

    Raises `UserError` if the image does not tell them, or not those of all functions.
    """
    with image.open("rb") as stream:
        elf = ELFFile(stream)
        section = elf.get_section_by_name(SECTION)
        if section is None:
            raise UserError(
                f"extension {name} does not say how large its frames are ({SECTION})",
                hint="was it built with another compiler, or stripped of more than needed?",
            )
        code = _code(elf)
        found = []
        for address, size in _pairs(name, section.data()):
            begin = next((at for at in code if at <= address < at + len(code[at])), None)
            if begin is None:
                raise UserError(f"extension {name}: a frame at {address:#x}, where no code is")
            at = address - begin
            first = code[begin][at : at + ROOM]
            found.append(Frame(address, size, len(first) == ROOM and bool(_NOPS.fullmatch(first))))
        functions = _functions(elf)
    unknown = functions.keys() - {frame.address for frame in found}
    if unknown:
        raise UserError(
            f"extension {name} does not say how large the frame of {functions[min(unknown)]} is",
            hint=_HINT,
        )
    return found


def named(image: Path, frames: list[Frame]) -> list[NamedFrame]:
    """Frames with the functions that have them; `image` has debug information."""
    places = symbolise(image, [frame.address for frame in frames])
    # What was inlined at a function's first instruction is not who it is.
    outermost = [place for place in places if not place.inlined]
    return [
        NamedFrame(frame, place.function, place.place)
        for frame, place in zip(frames, outermost, strict=True)
    ]


def check_frames(name: str, debug: Path) -> str:
    """Warnings, a line each, of functions whose frame no stack has room for.

    `debug` is the image with its debug information. Raises `UserError` if there is a
    function, of whichever crate, that the kernel can't check.
    """
    found = frames_of(name, debug)
    for one in named(debug, [frame for frame in found if not frame.room]):
        raise UserError(f"extension {name}: {one} has no room for a check of the stack", hint=_HINT)
    huge = named(debug, [frame for frame in found if frame.size > LARGEST_FRAME])
    return "".join(
        f"warning: {one} takes {one.frame.size} bytes of the stack, which has {LARGEST_FRAME}: "
        f"a run that calls it overflows\n"
        for one in huge
    )


def _code(elf: ELFFile) -> dict[int, bytes]:
    executable = SH_FLAGS.SHF_ALLOC | SH_FLAGS.SHF_EXECINSTR
    return {
        section["sh_addr"]: section.data()
        for section in elf.iter_sections()
        if section["sh_flags"] & executable == executable
    }


def _functions(elf: ELFFile) -> dict[int, str]:
    """The functions that are not imported, by address."""
    table = elf.get_section_by_name(".symtab")
    if not isinstance(table, SymbolTableSection):
        return {}
    return {
        symbol["st_value"]: symbol.name
        for symbol in table.iter_symbols()
        if symbol["st_info"]["type"] == "STT_FUNC" and symbol["st_shndx"] != "SHN_UNDEF"
    }


def _pairs(name: str, data: bytes) -> Iterator[tuple[int, int]]:
    at = 0
    while at < len(data):
        address, at = int.from_bytes(data[at : at + 8], "little"), at + 8
        size = shift = 0
        while True:
            if at >= len(data):
                raise UserError(f"extension {name}: {SECTION} ends too early")
            byte, at = data[at], at + 1
            size |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                break
        yield address, size
