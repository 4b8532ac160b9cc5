# SPDX-License-Identifier: GPL-2.0-only
"""Check that the programs and files that the lab relies on in a guest are unchanged.

A pure function over two answers of the witness (`extensions/loader/witness.c`), one from
before the first step and one from the end. A guest whose tools were replaced, whose /proc
is covered by a mount or whose processes are traced can say anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from lab.errors import InfraError

# Nothing may be mounted on these or below them while an item runs.
RELIED_ON = ("/bin", "/sbin", "/usr", "/lib", "/lib64", "/etc", "/proc", "/sys", "/dev", "/root")
# A step may put files of its own next to those that the lab put there.
WORK_FOLDER = "/root/"
# Changes that are named; the others are only counted.
_NAMED = 5

_TRACER = re.compile(r"^TracerPid:\s*(\d+)$", re.MULTILINE | re.ASCII)
_OCTAL = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True)
class Mount:
    """A line of /proc/self/mountinfo: its id, where it is, and the file system's type."""

    id: int
    place: str
    kind: str


@dataclass(frozen=True)
class Tools:
    """The files, mounts and processes that the lab relies on, at one moment."""

    #: By path: a text that changes whenever the file does.
    files: Mapping[str, str]
    mounts: frozenset[Mount]
    #: All mounts since the last look, also those that are gone.
    passing: frozenset[Mount] = frozenset()
    #: Signs of interference with the witness or the SSH server, one sentence each.
    interference: tuple[str, ...] = ()


def parse(answer: Mapping[str, Any]) -> Tools:
    """Return the tools from the witness's answer. Raises `InfraError` for another form."""
    files, mounts = answer.get("files"), answer.get("mounts")
    if not isinstance(files, dict) or not files or not isinstance(mounts, str):
        raise InfraError("the guest's witness does not report the state of the lab's tools")
    return Tools(
        {str(path): str(state) for path, state in files.items()},
        _table(mounts),
        _table(str(answer.get("tables"))),
        tuple(_interference(answer)),
    )


def _interference(answer: Mapping[str, Any]) -> Iterator[str]:
    for name, key in (("the witness", "own_status"), ("the SSH server", "parent_status")):
        if _is_traced(str(answer.get(key))):
            yield f"{name} is traced"
    if answer.get("stopped") is not False:
        yield "the witness was stopped for a time"
    if answer.get("tables_lost") is not False:
        yield "there were more mounts than the witness keeps"


def _table(text: str) -> frozenset[Mount]:
    return frozenset(_mount(line) for line in text.splitlines())


def _mount(line: str) -> Mount:
    words = line.split(" ")
    try:
        return Mount(int(words[0]), _plain(words[4]), words[words.index("-", 5) + 1])
    except (ValueError, IndexError) as error:
        raise InfraError(f"the guest's mounts have a malformed line: {line[:60]!r}") from error


def _plain(place: str) -> str:
    return _OCTAL.sub(lambda found: chr(int(found[1], 8)), place)


def _is_traced(status: str) -> bool:
    found = _TRACER.search(status)
    if found is None:
        raise InfraError("the guest's witness does not report whether it is traced")
    return found[1] != "0"


def changes(before: Tools, now: Tools) -> list[str]:
    """Describe the changes of what the lab relies on; empty if there are none."""
    found = list(now.interference)
    found += _mounts(before.mounts, now)
    for path in sorted({*before.files, *now.files}):
        was, state = before.files.get(path), now.files.get(path)
        if was == state or (was is None and path.startswith(WORK_FOLDER)):
            continue
        how = "is new" if was is None else "is gone" if state is None else "was changed"
        found.append(f"{path} {how}")
    return found


def _mounts(before: frozenset[Mount], now: Tools) -> list[str]:
    new = _places(now.mounts - before)
    passed = [place for place in _places(now.passing - before) if place not in new]
    gone = [place for place in _places(before - now.mounts) if place not in new]
    return [
        *(f"something is mounted on {place}" for place in new),
        *(f"something was mounted on {place} for a time" for place in passed),
        *(f"{place} is no longer mounted" for place in gone),
    ]


def _places(mounts: frozenset[Mount]) -> list[str]:
    return sorted({one.place for one in mounts if _matters(one)})


def _matters(mount: Mount) -> bool:
    return mount.place == "/" or any(
        mount.place == place or mount.place.startswith(f"{place}/") for place in RELIED_ON
    )


def check(before: Tools, now: Tools) -> None:
    """Raise `InfraError` that names the changes of what the lab relies on, if any."""
    found = changes(before, now)
    if not found:
        return
    more = len(found) - _NAMED
    named = "; ".join(found[:_NAMED]) + (f"; and {more} more" if more > 0 else "")
    raise InfraError(
        f"what the lab relies on in the guest changed: {named}",
        hint="a step of the scenario may not replace the lab's tools, or mount over them; "
        "`unshare -m` gives a command mounts of its own",
    )
