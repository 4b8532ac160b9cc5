# SPDX-License-Identifier: GPL-2.0-only
"""List the declarations in a Rust extension's source, without a compiler.

Programs are functions with an attribute such as `#[rex_kprobe("f")]`, maps are statics with
`#[rex_map]`. As for C, this is a cheap listing for checks before a build. It knows comments and
literals, but not `cfg` or macros that define a program.
"""

from __future__ import annotations

import re
from pathlib import Path

from lab.extension.c_source import ProgramDecl
from lab.workspace import RUST_ROOT

# The kinds of programs, as in the attributes after `rex_`.
KINDS = ("kprobe", "kretprobe", "tracepoint", "raw_tracepoint", "perf_event", "xdp", "tc")

# Comments are removed from the text, and literals are replaced by their number, so that nothing
# inside them is taken for code. `'a` alone is a lifetime.
_TOKEN = re.compile(
    r"(?P<line>//[^\n]*)|(?P<open>/\*)"
    # After a quote or a letter, an r is part of a lifetime or a name.
    r"|(?<!['\w])[bc]?r(?P<hashes>#*)\"(?P<raw>.*?)\"(?P=hashes)"
    r"|\"(?P<plain>(?:\\.|[^\"\\])*)\""
    r"|b?'(?:\\(?:x[0-9a-fA-F]{2}|u\{[^}]*\}|.)|[^'\\\n])'",
    re.S,
)
_COMMENT_MARK = re.compile(r"/\*|\*/")

_MORE = r"(?:\s*#\[[^\]]*\])*\s*(?:pub(?:\s*\([^)]*\))?\s+)?"
_PROGRAM = re.compile(
    rf"#\[\s*(?:rex\s*::\s*)?rex_(?P<kind>{'|'.join(KINDS)})\s*(?:\((?P<rest>[^\]]*)\))?\s*\]"
    rf"{_MORE}(?:(?:const|unsafe|extern(?:\s*\"\d+\")?)\s+)*fn\s+(?P<name>\w+)"
)
_MAP = re.compile(
    r"#\[\s*(?:rex\s*::\s*)?rex_map\s*(?:\([^\]]*\))?\s*\]"
    rf"{_MORE}static\s+(?:mut\s+)?(?P<name>\w+)\s*:"
)
_LITERAL = re.compile(r'"(\d+)"')


def sources_of(path: Path) -> list[Path]:
    """Return all `.rs` files below an extension's `src`, the crate's root first."""
    root = path / RUST_ROOT
    return [root, *sorted(other for other in root.parent.rglob("*.rs") if other != root)]


def programs_in_source(place: Path) -> list[ProgramDecl]:
    """Return the programs of the extension in a folder, in the order of the text.

    The section of a program is its kind and its attribute's target, as in a C program's
    section: `kprobe/f`, or just `xdp`.
    """
    found: dict[str, ProgramDecl] = {}
    for path in sources_of(place):
        for program in programs_in_text(path.read_text()):
            found.setdefault(program.name, program)
    return list(found.values())


def maps_in_source(place: Path) -> list[str]:
    """Return the maps of the extension in a folder, by their statics' names in lower case."""
    found: dict[str, None] = {}
    for path in sources_of(place):
        found |= dict.fromkeys(maps_in_text(path.read_text()))
    return list(found)


def programs_in_text(text: str) -> list[ProgramDecl]:
    """Return the programs that one file declares."""
    code, literals = _code(text)
    found = []
    for match in _PROGRAM.finditer(code):
        target = _LITERAL.search(match["rest"] or "")
        place = f"/{literals[int(target[1])]}" if target else ""
        found.append(ProgramDecl(match["name"], f"{match['kind']}{place}"))
    return found


def maps_in_text(text: str) -> list[str]:
    """Return the maps that one file declares."""
    return [match["name"].lower() for match in _MAP.finditer(_code(text)[0])]


def _code(text: str) -> tuple[str, list[str]]:
    """Return the text without comments and with numbers for its literals, and the literals."""
    parts: list[str] = []
    literals: list[str] = []
    shebang = re.match(r"#!(?!\s*\[)[^\n]*", text)
    position = shebang.end() if shebang else 0
    while (match := _TOKEN.search(text, position)) is not None:
        parts.append(text[position : match.start()])
        position = match.end()
        if match["open"]:
            position = _comment_end(text, position)
        # Keep line numbers unchanged.
        lines = "\n" * text.count("\n", match.start(), position)
        if match["open"] or match["line"]:
            parts.append(lines or " ")
            continue
        parts.append(f'"{len(literals)}"{lines}')
        literals.append(match["raw"] or match["plain"] or "")
    return "".join([*parts, text[position:]]), literals


def _comment_end(text: str, position: int) -> int:
    """Return the end of the block comment that opens before `position`. Comments may nest."""
    depth = 1
    for mark in _COMMENT_MARK.finditer(text, position):
        depth += 1 if mark[0] == "/*" else -1
        if depth == 0:
            return mark.end()
    return len(text)
