# SPDX-License-Identifier: GPL-2.0-only
"""List the declarations in a C extension's source, without a compiler.

This is a cheap listing for checks before a build. It knows `SEC`, libbpf's `BPF_PROG` family,
quoted includes, and macros that define a map. It does not find programs that the code defines
by macros of its own.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*|(\"(?:\\.|[^\"\\\n])*\")", re.S)
_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]+"([^"]+)"', re.M)
_PROGRAM = re.compile(
    r'SEC\(\s*"([^"]+)"\s*\)\s*(?:__\w+\s+|static\s+)*(?:unsigned\s+)?(?:int|long|void)\s+'
    r"(?:BPF_\w+\s*\(\s*(\w+)|(\w+)\s*\()"
)
_MAP = re.compile(r'(\w+)\s*SEC\(\s*"\.maps"\s*\)')
_MACRO = re.compile(r"^[ \t]*#[ \t]*define[ \t]+(\w+)\(([^)]*)\)((?:[^\n\\]|\\\n|\\)*)", re.M)
_OPTIONS = re.compile(r"^// clang: (.*)$", re.M)

# The line with options must be near the top of the file, where readers see it.
_HEADER_LINES = 5


@dataclass(frozen=True)
class ProgramDecl:
    """A program in a source: the function's name and the section that says its kind."""

    name: str
    section: str


def programs_in_source(path: Path, headers: Sequence[Path] = ()) -> list[ProgramDecl]:
    """Return the programs that a source and its quoted includes declare, in order.

    A file that is not in the folder of the file that includes it is searched in `headers`.
    """
    found: dict[str, ProgramDecl] = {}
    for section, in_macro, plain in _PROGRAM.findall(_MACRO.sub("", _text(path, headers))):
        name = in_macro or plain
        found.setdefault(name, ProgramDecl(name, section))
    return list(found.values())


def maps_in_source(path: Path, headers: Sequence[Path] = ()) -> list[str]:
    """Return the names of the maps that a source and its quoted includes declare.

    `headers` are those of `programs_in_source`.
    """
    text = _text(path, headers)
    found: dict[str, None] = {}
    makers: dict[str, int] = {}  # by macro that declares a map: the position of the map's name
    for macro, parameters, body in _MACRO.findall(text):
        names = [name.strip() for name in parameters.split(",")]
        for name in _MAP.findall(body.replace("\\\n", " ")):
            if name in names:
                makers[macro] = names.index(name)
    plain = _MACRO.sub("", text)
    for name in _MAP.findall(plain):
        found[name] = None
    for macro, position in makers.items():
        for arguments in re.findall(rf"\b{macro}\(([^()]*)\)", plain):
            words = [word.strip() for word in arguments.split(",")]
            if position < len(words):
                found[words[position]] = None
    return list(found)


def sources_of(path: Path, headers: Sequence[Path] = ()) -> list[Path]:
    """Return the source, then all files that it includes in quotes, each once.

    An included file is in the folder of the file that includes it, or in one of `headers`.
    """
    found: list[Path] = []
    _collect(path, headers, found)
    return found


def clang_options(path: Path) -> list[str]:
    """Return clang's options from lines `// clang: -mcpu=v4 ...` among the source's first five."""
    head = "\n".join(path.read_text().splitlines()[:_HEADER_LINES])
    return [word for line in _OPTIONS.findall(head) for word in shlex.split(line)]


def _collect(path: Path, headers: Sequence[Path], found: list[Path]) -> None:
    if path in found:
        return
    found.append(path)
    for name in _INCLUDE.findall(path.read_text()):
        included = next(
            (file for folder in (path.parent, *headers) if (file := folder / name).is_file()), None
        )
        # vmlinux.h is in none of these folders, because it is generated.
        if included is not None:
            _collect(included, headers, found)


def _text(path: Path, headers: Sequence[Path]) -> str:
    parts = [_without_comments(part.read_text()) for part in sources_of(path, headers)]
    return "\n".join(reversed(parts))  # includes first, as the compiler sees them


def _without_comments(text: str) -> str:
    return _COMMENT.sub(lambda match: match[1] or " ", text)
