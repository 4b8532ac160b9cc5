# SPDX-License-Identifier: GPL-2.0-only
"""What scenarios can name: flavors, extensions with their programs and maps, system calls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

# Parts of the format that the model knows and this version of the lab can't do.
LATER = frozenset({"compare"})


@dataclass(frozen=True)
class Source:
    """An extension's source: its programs and maps, and the programs' sections.

    None is not known, and what is not known is not checked. `marks` is what the
    language calls that which makes a function a program of a kind: the section
    in C, the attribute in Rust.
    """

    programs: tuple[str, ...] | None = None
    maps: tuple[str, ...] | None = None
    sections: Mapping[str, str] = field(default_factory=dict)
    marks: Literal["section", "attribute"] = "section"


@dataclass(frozen=True)
class Catalog:
    """What there is. `later` names what this version of the lab refuses."""

    flavors: tuple[str, ...]
    c: Mapping[str, Source] = field(default_factory=dict)
    modules: tuple[str, ...] = ()
    rust: Mapping[str, Source] = field(default_factory=dict)
    syscalls: tuple[str, ...] = ()
    later: frozenset[str] = LATER

    def sources(self, kind: str) -> Mapping[str, Source]:
        """The sources of a kind of extension (`c`, `rust`, `module`) by name."""
        if kind == "module":
            return {name: Source() for name in self.modules}
        return {"c": self.c, "rust": self.rust}.get(kind, {})
