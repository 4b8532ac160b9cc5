# SPDX-License-Identifier: GPL-2.0-only
"""Read the stack frames of an extension's functions, and require that the kernel can check each.

The compiler leaves room before every prologue. There the kernel writes its check that the stack
has enough space for the function's frame. The compiler lists the sizes of frames in the section
`.stack_sizes`, as pairs of an address (8 bytes) and a size (ULEB128).
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

# The size of a program's stack (REX_STACK_SIZE), and the part reserved for the kernel
# (REX_STACK_RESERVE without KASAN). rex_enter uses 24 bytes when a program begins. The rest is
# the largest frame.
STACK_BYTES = 64 << 10
RESERVE_BYTES = 8 << 10
LARGEST_FRAME = STACK_BYTES - RESERVE_BYTES - 24

SECTION = ".stack_sizes"

# Operands and forms of the instructions that compilers use as no-ops.
_MEMORY = rb"[\x00-\x03]|\x04.|[\x40-\x43].|\x44..|[\x80-\x83].{4}|\x84.{5}"
_NOPS = re.compile(rb"(?:[\x66\x2e]*(?:\x90|\x0f\x1f(?:" + _MEMORY + rb")))+", re.S)

# A function in assembly lacks what the compiler adds.
_HINT = "is it in assembly, or does this compiler ignore the option? use another version"


@dataclass(frozen=True)
class Frame:
    """A function at an address of the image, and its use of the stack.

    `size` is in bytes, with saved registers, without the return address. `room`: the kernel can
    check the stack before the function uses it.
    """

    address: int
    size: int
    room: bool


@dataclass(frozen=True)
class NamedFrame:
    """A frame with its function and place (FILE:LINE), "" if unknown."""

    frame: Frame
    function: str
    place: str

    def __str__(self) -> str:
        where = f" at {self.place}" if self.place else ""
        return f"{self.function or hex(self.frame.address)}{where}"


def frames_of(name: str, image: Path) -> list[Frame]:
    """Return all frames of an image, in the compiler's order.

    Raises `UserError` if the image does not list them, or not for all functions.
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
                raise UserError(f"extension {name}: a frame at {address:#x}, which has no code")
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
    """Return frames with the names of their functions; `image` has debug information."""
    places = symbolise(image, [frame.address for frame in frames])
    # Functions inlined at a function's first instruction do not name it.
    outermost = [place for place in places if not place.inlined]
    return [
        NamedFrame(frame, place.function, place.place)
        for frame, place in zip(frames, outermost, strict=True)
    ]


def check_frames(name: str, debug: Path) -> str:
    """Return warnings, one line each, for functions whose frame is larger than any stack.

    `debug` is the image with its debug information. Raises `UserError` if the kernel can't
    check the stack in a function, whatever its crate.
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
    """Return the names of the functions that are not imported, by address."""
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
