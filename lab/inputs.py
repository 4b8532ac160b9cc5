# SPDX-License-Identifier: GPL-2.0-only
"""Entries of the cache whose key covers all files that their compiler read.

These files are known only when the compiler is done. So there are two levels: the
key of the direct inputs (source, flags, compiler) leads to manifests. A manifest
lists every file that one compilation read with its digest, and every path at which
the compiler looked for a file before it found it elsewhere. While all of this still
holds, the compiler would make the same entry again.
"""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from lab.atomic import atomic_write
from lab.cache import Cache, file_digest, key_of
from lab.errors import UserError

MANIFESTS = "inputs"

# A file that was changed this recently before its manifest was written may change again
# without a new time, because file systems count in ticks: compare its content. Nanoseconds.
_RECENT = 2 * 10**9


@dataclass(frozen=True)
class Inputs:
    """The inputs of one compilation. Paths are absolute, or relative to a base folder.

    `absent` are paths without a file, where the compiler would have read one.
    `variables` are the environment variables that were read, None if unset.
    If not `complete`, an unknown input was read: the result is used once, and
    never found again.
    """

    files: frozenset[str] = frozenset()
    absent: frozenset[str] = frozenset()
    variables: Mapping[str, str | None] = field(default_factory=dict)
    complete: bool = True

    def __or__(self, other: Inputs) -> Inputs:
        return Inputs(
            self.files | other.files,
            self.absent | other.absent,
            {**self.variables, **other.variables},
            self.complete and other.complete,
        )


def get(
    cache: Cache,
    kind: str,
    direct: str,
    build: Callable[[Path], Inputs],
    *,
    base: Path,
    what: str,
    environment: Mapping[str, str] | None = None,
) -> Path:
    """Return the folder of the entry for a key of direct inputs, built if none is valid.

    `build(folder)` returns the inputs that it read; `environment` holds its variables.
    Raises `UserError` if a file was changed while it was read.
    """
    variables = environment or {}
    found = find(cache, kind, direct, base, variables)
    if found is not None:
        return found
    with cache.lock(MANIFESTS, direct, what=what):
        found = find(cache, kind, direct, base, variables)
        if found is not None:
            return found
        return _make(cache, kind, direct, build, base)


def find(
    cache: Cache, kind: str, direct: str, base: Path, environment: Mapping[str, str]
) -> Path | None:
    """Return the entry that was made from the files as they are now, or None."""
    digests: dict[str, str | None] = {}
    for path in _newest_first(cache.path(MANIFESTS, direct)):
        entry = cache.find(kind, path.stem)
        if entry is not None and _Manifest.read(path).holds(base, environment, digests):
            return entry
    return None


def _make(
    cache: Cache, kind: str, direct: str, build: Callable[[Path], Inputs], base: Path
) -> Path:
    manifests: list[_Manifest] = []

    def work(aside: Path) -> str:
        start = time.time_ns()
        read = build(aside)
        manifest = _Manifest.take(read, base, start)
        if not read.complete:
            return uuid.uuid4().hex
        manifests.append(manifest)
        return manifest.key(direct)

    entry = cache.put(kind, direct, work)
    for manifest in manifests:
        manifest.write(cache.path(MANIFESTS, direct) / f"{entry.name}.json")
    return entry


def _newest_first(folder: Path) -> Iterator[Path]:
    paths = folder.glob("*.json")
    yield from sorted(paths, key=lambda path: path.stat().st_mtime_ns, reverse=True)


@dataclass
class _File:
    """A file's digest, and the marks that identify it without reading it."""

    digest: str
    marks: list[int]


@dataclass
class _Manifest:
    files: dict[str, _File]
    absent: list[str]
    variables: dict[str, str | None]
    written: int  # nanoseconds since 1970

    @classmethod
    def take(cls, read: Inputs, base: Path, start: int) -> _Manifest:
        files = {}
        for path in sorted(base / name for name in read.files):
            marks = _marks(path)
            # A clock that was set back leaves files from the future, which are not recent changes.
            if start <= marks[1] <= time.time_ns():
                raise UserError(f"{path} was changed while it was compiled", hint="run it again")
            # In another checkout the same sources are in another folder.
            name = path.relative_to(base) if path.is_relative_to(base) else path
            files[str(name)] = _File(file_digest(path), marks)
        return cls(files, sorted(read.absent), dict(read.variables), time.time_ns())

    def key(self, direct: str) -> str:
        digests = {name: file.digest for name, file in self.files.items()}
        return key_of(direct=direct, files=digests, absent=self.absent, variables=self.variables)

    def holds(
        self, base: Path, environment: Mapping[str, str], digests: dict[str, str | None]
    ) -> bool:
        """Return whether nothing has changed. `digests` keeps the digests that were computed."""
        if any(environment.get(name) != value for name, value in self.variables.items()):
            return False
        # There may be thousands of names: to join `Path`s would take most of the time.
        if any(os.path.lexists(os.path.join(base, name)) for name in self.absent):
            return False
        return all(
            self._is_same(os.path.join(base, name), file, digests)
            for name, file in self.files.items()
        )

    def _is_same(self, path: str, file: _File, digests: dict[str, str | None]) -> bool:
        marks = _marks(path)
        if marks == file.marks and marks[1] < self.written - _RECENT:
            return True
        if path not in digests:
            digests[path] = file_digest(Path(path)) if os.path.isfile(path) else None
        return digests[path] == file.digest

    def write(self, path: Path) -> None:
        atomic_write(path, json.dumps(asdict(self)))

    @classmethod
    def read(cls, path: Path) -> _Manifest:
        data: dict[str, Any] = json.loads(path.read_text())
        files = {name: _File(**file) for name, file in data.pop("files").items()}
        return cls(files=files, **data)


def _marks(path: str | Path) -> list[int]:
    """Return a file's size, its time of change in ns (which no program sets), and its inode."""
    try:
        found = os.stat(path)
    except OSError:
        return [-1, -1, -1]
    return [found.st_size, found.st_ctime_ns, found.st_ino]
