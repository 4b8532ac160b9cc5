# SPDX-License-Identifier: GPL-2.0-only
"""List the files that a C compiler read, and the paths that it tried before."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from lab.inputs import Inputs

# Conditions on the presence of a header: a compiler's list of what it read lacks those that
# are absent. `here` is the header's literal name; without one, the name is computed.
_CONDITION = re.compile(
    r"(?P<other>defined[ \t]*\(?[ \t]*|#[ \t]*(?:ifn?def|define|undef)[ \t]+)?"
    r"\b__has_(?:include(?:_next)?|embed)\b"
    r"(?:[ \t]*\([ \t]*(?:\"(?P<quoted>[^\"\n]+)\"|<(?P<angled>[^>\n]+)>))?"
)
_COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.S)
# With this directive the assembler reads a file that no list names.
_UNLISTED = re.compile(r"\bincbin\b")
_NONEXISTENT = re.compile(r'^ignoring nonexistent directory "(.+)"$', re.M)
_SEARCH_LIST = re.compile(
    r'^#include "\.\.\." search starts here:\n(.*?)^End of search list\.$', re.M | re.S
)


def names_in_rule(rule: str) -> list[str]:
    """Return the prerequisites of the first rule for make, as compilers write it."""
    _, _, listed = rule.replace("\\\n", " ").partition(": ")
    found = re.findall(r"(?:\\.|[^\\\s])+", listed.split("\n", 1)[0])
    return [re.sub(r"\\(.)", r"\1", name).replace("$$", "$") for name in found]


def search_list(said: str) -> list[str]:
    """Return the folders that a compiler lists with -v, missing ones among them."""
    found = _SEARCH_LIST.search(said)
    lines = found[1].splitlines() if found else []
    listed = [line.strip() for line in lines if not line.startswith("#")]
    return [*_NONEXISTENT.findall(said), *listed]


def inputs_of(read: Iterable[str], folders: Iterable[str], base: Path) -> Inputs:
    """Return the inputs of a compilation that read these files and searches these folders.

    Names are as the compiler gives them: a folder that it searched, then the name in
    the `#include`. If another folder gets a file of that name, the compiler may find that
    one first. `base` is the folder that the compiler ran in.
    """
    files = set(read)
    places = dict.fromkeys([*(os.path.dirname(name) for name in files), *folders, ""])
    names = {_below(name, place) for name in files for place in places} - {""}
    complete = True
    for name in sorted(files):
        text = (base / name).read_text(errors="replace")
        conditions = _conditions(text)
        complete &= conditions is not None and not _UNLISTED.search(text)
        names |= conditions or set()
        # A header that a condition found may disappear, so the files read are not all that counts.
        files |= {
            path
            for place in places
            for condition in conditions or ()
            if (base / (path := os.path.join(place, condition))).is_file()
        }
    candidates = {os.path.join(place, name) for place in places for name in names}
    absent = {name for name in candidates if not os.path.lexists(base / name)}
    return Inputs(frozenset(files), frozenset(absent), complete=complete)


def _below(name: str, place: str) -> str:
    """Return the name in an `#include` that found this file in a folder; "" if none can."""
    if not place:
        return "" if os.path.isabs(name) else name
    prefix = place.rstrip("/") + "/"
    return name.removeprefix(prefix) if name.startswith(prefix) else ""


def _conditions(text: str) -> set[str] | None:
    """Return the headers whose presence a text asks for; None if it computes a name."""
    if "__has_" not in text:
        return set()
    found = set()
    for match in _CONDITION.finditer(_COMMENT.sub(" ", text)):
        name = match["quoted"] or match["angled"]
        if name:
            found.add(name)
        elif match["other"] is None:
            return None
    return found
