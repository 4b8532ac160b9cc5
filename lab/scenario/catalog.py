# SPDX-License-Identifier: GPL-2.0-only
"""What scenarios can name: flavors, extensions with their programs and maps, system calls."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from lab import paths

# Parts of the format that the model knows and this version of the lab can't do.
LATER = frozenset({"compare"})

_SYSCALL = re.compile(r'\{\s*"(\w+)",\s*do_\w+\s*\}')


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

    @classmethod
    def from_repo(cls) -> Catalog:
        """What the checkout has; nothing is built or fetched for it."""
        from lab.extension import c, module
        from lab.extension.rust import source as rust_source
        from lab.kernel import flavor

        return cls(
            flavors=tuple(flavor.flavors()),
            c={name: _c_source(name) for name in c.c_names()},
            modules=tuple(module.module_names()),
            rust={name: _rust_source(name) for name in rust_source.rust_names()},
            syscalls=_syscalls(),
        )

    def sources(self, kind: str) -> Mapping[str, Source]:
        """The sources of a kind of extension (`c`, `rust`, `module`) by name."""
        if kind == "module":
            return {name: Source() for name in self.modules}
        return {"c": self.c, "rust": self.rust}.get(kind, {})


def _c_source(name: str) -> Source:
    from lab.extension import c

    programs = c.programs_in_source(name)
    sections = {program.name: program.section for program in programs}
    # A source without programs is one that hides them behind macros of its own.
    return Source(tuple(sections) or None, tuple(c.maps_in_source(name)), sections)


def _rust_source(name: str) -> Source:
    from lab.extension.rust import source as rust_source

    programs = rust_source.programs_in_source(name)
    sections = {program.name: program.section for program in programs}
    maps = tuple(rust_source.maps_in_source(name))
    return Source(tuple(sections) or None, maps, sections, "attribute")


def _syscalls() -> tuple[str, ...]:
    # The table in the trigger program's source is the one list of them.
    source = (paths.EXTENSIONS / "loader" / "trigger_syscall.c").read_text()
    return tuple(_SYSCALL.findall(source))
