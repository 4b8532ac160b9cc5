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
from lab.extension.rust_toolchain import ROOM
from lab.extension.symbolise import symbolise
from lab.host import process

# A program's stack, what stays free of it for the kernel, and what is used of it when a
# program begins: what is left is the largest frame. (REX_STACK_SIZE, REX_STACK_RESERVE
# without KASAN, rex_enter.)
STACK_BYTES = 64 << 10
RESERVE_BYTES = 8 << 10
LARGEST_FRAME = STACK_BYTES - RESERVE_BYTES - 24

# A library that came compiled has no room for checks. Frames of this size are then no
# danger: they fit into the reserve, with what an interrupt takes. (MAX_UNCHECKED_FRAME)
UNCHECKED_BYTES = 1 << 10

SECTION = ".stack_sizes"

# What compilers take for instructions that do nothing.
_MEMORY = rb"[\x00-\x03]|\x04.|[\x40-\x43].|\x44..|[\x80-\x83].{4}|\x84.{5}"
_NOPS = re.compile(rb"(?:[\x66\x2e]*(?:\x90|\x0f\x1f(?:" + _MEMORY + rb")))+", re.S)

_INSTRUCTION = re.compile(r"^ *[0-9a-f]+:\t(.*)$")
_TAKEN = re.compile(r"^sub +\$0x([0-9a-f]+),%rsp$")
_STACK_MOVED = re.compile(r",%rsp$")
_STACK_BACK = re.compile(r"^(?:add +\$0x|lea +-?0x[0-9a-f]+\(%rbp\),|mov +%rbp,)")

# Where the library's sources are, as Debian's core is built here, and as rustup's was.
_LIBRARY = re.compile(r"^(?:/rustc/[0-9a-f]+/library|rust)/")


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

    @property
    def of_library(self) -> bool:
        """Whether it is of the compiler's library, which may have come compiled."""
        return self.place.startswith("rust/")


def frames_of(name: str, image: Path) -> list[Frame]:
    """All frames of an image, in the compiler's order.

    Raises `UserError` if the image does not tell them.
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
    known = {frame.address for frame in found}
    for address in sorted(functions.keys() - known):
        measured = _measured(image, address, functions[address])
        if measured is None:
            raise UserError(f"extension {name}: nobody knows the frame of {functions[address]}")
        found.append(Frame(address, measured, False))
    return found


def named(image: Path, frames: list[Frame]) -> list[NamedFrame]:
    """Frames with the functions that have them; `image` has debug information."""
    places = symbolise(image, [frame.address for frame in frames])
    # What was inlined at a function's first instruction is not who it is.
    outermost = [place for place in places if not place.inlined]
    return [
        NamedFrame(frame, place.function, _LIBRARY.sub("rust/", place.place))
        for frame, place in zip(frames, outermost, strict=True)
    ]


def check_frames(name: str, debug: Path) -> str:
    """Warnings, a line each, of functions whose frame no stack has room for.

    `debug` is the image with its debug information. Raises `UserError` if there are
    functions that the kernel can't check, those of a compiled library aside that take little.
    """
    found = frames_of(name, debug)
    for one in named(debug, [frame for frame in found if not frame.room]):
        if not one.of_library:
            raise UserError(f"extension {name}: {one} has no room for a check of the stack")
        if one.frame.size > UNCHECKED_BYTES:
            raise UserError(
                f"extension {name}: {one} takes {one.frame.size} bytes of the stack, unchecked",
                hint="take a compiler that brings its library's source: apt install rust-web-src",
            )
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


def _measured(image: Path, address: int, function: str) -> int | None:
    """At most so many bytes a function takes, by its instructions; None if they don't tell.

    rustup's `memcpy` and its like are machine code from the beginning: nothing says
    their frames, which are small.
    """
    listing = process.run(
        ["objdump", "-d", "--no-show-raw-insn", "-M", "att", f"--disassemble={function}", image],
        timeout=60,
    ).stdout
    lines = [found[1] for line in listing.splitlines() if (found := _INSTRUCTION.match(line))]
    size = 0
    for instruction in lines:
        if instruction.startswith("push"):
            size += 8
        elif taken := _TAKEN.match(instruction):
            size += int(taken[1], 16)
        elif _STACK_MOVED.search(instruction) and not _STACK_BACK.match(instruction):
            return None
    return size if lines else None


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
