# SPDX-License-Identifier: GPL-2.0-only
"""Make the catalog of a workspace: the names that its scenarios can use.

The planner builds from the same workspace, so what was checked is what is built.
"""

from __future__ import annotations

import re
from pathlib import Path

from lab.extension import c_source
from lab.extension.rust import source as rust_source
from lab.kernel.flavor import flavors
from lab.scenario.catalog import Catalog, Source
from lab.workspace import Workspace

_SYSCALL = re.compile(r'\{\s*"(\w+)",\s*do_\w+\s*\}')


def catalog_of(workspace: Workspace) -> Catalog:
    """Return the catalog of a workspace. Nothing is built or fetched for it.

    Raises `UserError` if a flavor's file is not valid.
    """
    return Catalog(
        flavors=tuple(flavors(workspace)),
        c={name: _c(workspace, name) for name in workspace.names("c")},
        modules=tuple(workspace.names("module")),
        rust={name: _rust(workspace.find("rust", name)) for name in workspace.names("rust")},
        syscalls=_syscalls(workspace.loader),
    )


def _c(workspace: Workspace, name: str) -> Source:
    path = workspace.find("c", name)
    headers = workspace.headers_of(path)
    programs = c_source.programs_in_source(path, headers)
    sections = {program.name: program.section for program in programs}
    maps = tuple(c_source.maps_in_source(path, headers))
    # A source without programs is one that hides them behind macros of its own.
    return Source(tuple(sections) or None, maps, sections)


def _rust(place: Path) -> Source:
    programs = rust_source.programs_in_source(place)
    sections = {program.name: program.section for program in programs}
    maps = tuple(rust_source.maps_in_source(place))
    return Source(tuple(sections) or None, maps, sections, "attribute")


def _syscalls(loader: Path) -> tuple[str, ...]:
    # The table in the trigger program's source is the one list of them.
    return tuple(_SYSCALL.findall((loader / "trigger_syscall.c").read_text()))
