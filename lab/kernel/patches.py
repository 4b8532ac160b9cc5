# SPDX-License-Identifier: GPL-2.0-only
"""Apply patches to a source tree, strictly: the context of each hunk must match."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from lab.errors import UserError
from lab.host import process

# A tree of the cache may lie inside another git repository. Without this, git would resolve
# paths relative to that repository.
_NO_REPOSITORY = {"GIT_DIR": "/dev/null", "LC_ALL": "C"}


def apply(patches: Iterable[Path], tree: Path) -> None:
    """Apply the patches in order.

    Raises `UserError` with the patch, the hunks that do not apply, and their places.
    The tree is half-patched then: throw it away.
    """
    for patch in patches:
        result = process.run(
            ["git", "apply", "--verbose", "--reject", "--whitespace=nowarn", patch.resolve()],
            cwd=tree,
            env=_NO_REPOSITORY,
            check=False,
        )
        if not result.ok:
            raise _failure(patch, tree, result.stderr)


def _failure(patch: Path, tree: Path, output: str) -> UserError:
    problems = rejected(output)
    details = []
    for file, hunk in problems:
        text = _hunk_text(tree / f"{file}.rej", [h for f, h in problems if f == file].index(hunk))
        details.append(f"{file}: hunk #{hunk} does not apply" + (f"\n{text}" if text else ""))
    details += [line for line in output.splitlines() if _MISSING.search(line)]
    first = f", hunk #{problems[0][1]} of {problems[0][0]}" if problems else ""
    return UserError(
        f"patch {patch.name} does not apply{first}",
        details="\n".join(details) or output,
        hint=f"{patch} was made for another version of the source; rebase it",
    )


_FILE = re.compile(r"^Applying patch (.+) with \d+ rejects?\.\.\.$")
_HUNK = re.compile(r"^Rejected hunk #(\d+)\.$")
_MISSING = re.compile(
    r"^error: (?!while searching|patch failed)"
    r".*(No such file|already exists|does not exist|corrupt|No valid patches|unrecognized)"
)


def rejected(output: str) -> list[tuple[str, int]]:
    """Return the file and number of each rejected hunk, from `git apply --reject --verbose`."""
    found = []
    file = ""
    for line in output.splitlines():
        if match := _FILE.match(line):
            file = match[1]
        elif (match := _HUNK.match(line)) and file:
            found.append((file, int(match[1])))
    return found


def _hunk_text(reject: Path, number: int, limit: int = 20) -> str:
    """Return the first lines of a rejected hunk, from git's .rej file."""
    try:
        hunks = re.split(r"^(?=@@ )", reject.read_text(errors="replace"), flags=re.MULTILINE)[1:]
        lines = hunks[number].splitlines()
    except (OSError, IndexError):
        return ""
    rest = [f"    [{len(lines) - limit} more lines]"] if len(lines) > limit else []
    return "\n".join([f"    {line}" for line in lines[:limit]] + rest)
