# SPDX-License-Identifier: GPL-2.0-only
"""The names that scenarios can use: flavors, extensions, their programs and maps, and so on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

# Keys of the format that the model knows and this version of the lab does not support.
LATER = frozenset({"compare"})


@dataclass(frozen=True)
class Source:
    """The names in an extension's source. None stands for unknown names, which are not checked."""

    programs: tuple[str, ...] | None = None
    maps: tuple[str, ...] | None = None
    # The sections of the programs, by program.
    sections: Mapping[str, str] = field(default_factory=dict)
    # The element that makes a function a program of a kind: in C the section, in Rust the
    # attribute.
    marks: Literal["section", "attribute"] = "section"


@dataclass(frozen=True)
class Catalog:
    """The names that scenarios can use, by kind."""

    flavors: tuple[str, ...]
    c: Mapping[str, Source] = field(default_factory=dict)
    modules: tuple[str, ...] = ()
    rust: Mapping[str, Source] = field(default_factory=dict)
    syscalls: tuple[str, ...] = ()
    # Keys that this version of the lab refuses.
    later: frozenset[str] = LATER

    def sources(self, kind: str) -> Mapping[str, Source]:
        """Return the sources of a kind of extension (`c`, `rust`, `module`) by name."""
        if kind == "module":
            return {name: Source() for name in self.modules}
        return {"c": self.c, "rust": self.rust}.get(kind, {})
