# SPDX-License-Identifier: GPL-2.0-only
"""Find the functions and lines of offsets in a built extension, with addr2line."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.errors import InfraError
from lab.host import process

# In seconds. An extension's debug information has a few MB at most.
_LIMIT = 60.0

_ADDRESS = re.compile(r"^0x(?P<offset>[0-9a-f]+)$")
_PLACE = re.compile(r"^(?P<file>.*):(?P<line>\d+|\?)(?: \(discriminator \d+\))?$")
# Compilers add these to a name: a hash of the crate (v0) or of the item (before v0), and
# a number for a copy.
_HASHES = re.compile(r"\[[0-9a-f]{6,}\]|::h[0-9a-f]{16}$|\.llvm\.\d+$")


@dataclass(frozen=True)
class Frame:
    """A function at an offset, with its file (as the compiler wrote it) and line.

    Unknown values are "" or 0. `inlined`: it has no frame of its own, but is part of the
    function in the next entry for this offset.
    """

    offset: int
    function: str = ""
    file: str = ""
    line: int = 0
    inlined: bool = False

    @property
    def place(self) -> str:
        """FILE:LINE, or "" if unknown."""
        return f"{self.file}:{self.line}" if self.file and self.line else self.file

    def __str__(self) -> str:
        where = f" at {self.place}" if self.place else ""
        return f"{self.function or hex(self.offset)}{where}{' (inlined)' if self.inlined else ''}"


def symbolise(debug_file: Path, offsets: Sequence[int]) -> list[Frame]:
    """Return the functions at each of `offsets` from the image's start, in order.

    An offset in an inlined function has several, the innermost first.
    Raises `ToolFailed` or `InfraError` if addr2line (binutils) can't be run or
    can't read the file.
    """
    if not offsets:
        return []
    argv: list[str | Path] = ["addr2line", "-e", debug_file, "-a", "-f", "-i", "-C"]
    done = process.run(
        [*argv, *(hex(offset) for offset in offsets)],
        env={"LC_ALL": "C"},
        timeout=_LIMIT,
        hint="apt install binutils",
    )
    groups = parse_output(done.stdout)
    if [offset for offset, _ in groups] != list(offsets):
        raise InfraError(
            f"addr2line printed unexpected output for {debug_file.name}",
            details=(done.stdout + done.stderr)[:400],
        )
    return [frame for _, frames in groups for frame in frames]


def parse_output(text: str) -> list[tuple[int, list[Frame]]]:
    """Return each offset with its frames, from the output of `addr2line -a -f -i`."""
    groups: list[tuple[int, list[Frame]]] = []
    function: str | None = None
    for line in text.splitlines():
        address = _ADDRESS.match(line) if function is None else None
        if address:
            groups.append((int(address["offset"], 16), []))
        elif not groups:
            continue
        elif function is None:
            function = line
        else:
            offset, frames = groups[-1]
            place = _PLACE.match(line)
            file, number = (place["file"], place["line"]) if place else ("", "?")
            frames.append(
                Frame(
                    offset,
                    plain(function),
                    "" if file == "??" else file,
                    int(number) if number.isdigit() else 0,
                )
            )
            function = None
    return [
        (offset, [_with_inlined(frame, frame is not frames[-1]) for frame in frames])
        for offset, frames in groups
    ]


def _with_inlined(frame: Frame, inlined: bool) -> Frame:
    return Frame(frame.offset, frame.function, frame.file, frame.line, inlined)


def plain(name: str) -> str:
    """Return a function's name without hashes; "" if it is unknown."""
    return "" if name == "??" else _HASHES.sub("", name)
