# SPDX-License-Identifier: GPL-2.0-only
"""List the files that the build of a module read, from the `.cmd` files that Kbuild leaves.

The key before the build already covers the module's own files, and the kernel's tree, which the
cache keeps unchanged. Only headers from other folders remain.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from lab.extension import includes
from lab.inputs import Inputs

_COMMAND = re.compile(r"^(?:saved)?cmd_\S+ := (.*)$", re.M)
_LISTED = re.compile(r"^deps_\S+ := \\\n(.*?)\n\n", re.M | re.S)
# Options for folders whose headers are in Kbuild's lists. The lists leave out system headers.
_LISTED_OPTIONS = ("-I", "-iquote")
# Constructs by which a Kbuild file may read files that no `.cmd` file lists. Exceptions are for
# Makefiles that also work outside of Kbuild: they run pwd and uname, and call make again.
_UNTOLD = re.compile(
    r"^\s*[-s]?include\s|\$[({](?:shell\s+(?!pwd\b|uname\b)|wildcard\s|file\s|eval\s)"
    r"|^[^#\n]*!="  # a variable that is a command's output
    # A recipe's line. Conditions and assignments may begin with a tab, too.
    r"|^\t[ \t@+-]*(?!\$[({]MAKE[)}]|make\b|rm\b|if|else|endif|[\w$(){}.-]+\s*[:+?]?=)[^\s@+#-]"
    r"|^[^#\t\n=][^#\n=]*:[^#\n=]*;"  # the same on the line of its target
    r"|^\s*(?:KBUILD_EXTRA_SYMBOLS|ldflags-|LDFLAGS)",
    re.M,
)
_RECIPES = ("Kbuild", "Makefile")


def read(work: Path, tree: Path) -> Inputs:
    """Return the inputs of a build in the folder `work` that are neither there nor in the tree."""
    files: set[str] = set()
    folders: dict[str, None] = {}
    complete = not any(map(_is_untold, _recipes(work)))
    for path in sorted(work.rglob(".*.cmd")):
        text = path.read_text(errors="replace")
        files.update(_listed(text))
        for command in _COMMAND.findall(text):
            for option, folder in _search_options(command):
                folders.setdefault(folder)
                complete &= option in _LISTED_OPTIONS or _is_below(folder, (work, tree))
    outside = {name for name in files if not _is_below(name, (work, tree))}
    searched = [folder for folder in folders if not _is_below(folder, (work, tree))]
    own = {name for name in files if _is_below(name, (work,)) and os.path.isfile(name)}
    found = includes.inputs_of({*outside, *own}, [*searched, *folders], work)
    return replace(
        found,
        files=frozenset(name for name in found.files if not _is_below(name, (work, tree))),
        absent=frozenset(name for name in found.absent if not _is_below(name, (work, tree))),
        complete=found.complete and complete,
    )


def _listed(text: str) -> Iterator[str]:
    for listed in _LISTED.findall(text):
        for line in listed.replace("\\\n", "\n").splitlines():
            name = line.strip()
            if name and not name.startswith("$("):
                yield name


def _search_options(command: str) -> Iterator[tuple[str, str]]:
    """Yield the absolute folders that a compiler's command names, as (option, folder)."""
    try:
        words = iter(shlex.split(command))
    except ValueError:
        return
    for word in words:
        for option in ("-isystem", "-iquote", "-idirafter", "-I"):
            if word.startswith(option):
                folder = word[len(option) :] or next(words, "")
                if os.path.isabs(folder):
                    yield option, folder
                break


def _is_below(name: str, folders: tuple[Path, ...]) -> bool:
    """Return whether a name is below one of these folders. Relative names are the tree's."""
    if not os.path.isabs(name):
        return True
    path = os.path.normpath(name)
    return any(path == str(folder) or path.startswith(f"{folder}/") for folder in folders)


def _recipes(work: Path) -> Iterator[Path]:
    return (path for name in _RECIPES for path in work.rglob(name))


def _is_untold(recipe: Path) -> bool:
    text = recipe.read_text(errors="replace").replace("\\\n", " ")
    return _UNTOLD.search(text) is not None
