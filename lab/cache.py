# SPDX-License-Identifier: GPL-2.0-only
"""The content-addressed cache of artifacts.

An entry is a folder `<root>/<kind>/<key>`. It is written in a temporary folder, then
renamed: an entry that exists is complete. Each entry has a lock: a second process waits
for the first, and reports which process it waits for. The root is `$LAB_CACHE`, or the
user's cache folder.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import filelock
import platformdirs

from lab import events

_CHUNK = 1 << 20


def default_root() -> Path:
    """Return `$LAB_CACHE`, or `kextlab` in the user's cache folder."""
    chosen = os.environ.get("LAB_CACHE")
    return Path(chosen) if chosen else Path(platformdirs.user_cache_dir("kextlab"))


def key_of(**parts: Any) -> str:
    """Return a key over named parts (anything that JSON can hold; paths count by name only)."""
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, as hex."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


@dataclass
class Cache:
    """A cache that finds entries, and builds those that are missing."""

    root: Path
    emit: events.Emit = events.ignore

    @classmethod
    def default(cls, emit: events.Emit = events.ignore) -> Cache:
        return cls(default_root(), emit)

    def path(self, kind: str, key: str) -> Path:
        """Return the path of an entry, which need not exist."""
        return self.root / kind / key

    def find(self, kind: str, key: str) -> Path | None:
        """Return the entry's folder, or None if there is none."""
        path = self.path(kind, key)
        return path if path.is_dir() else None

    def get(self, kind: str, key: str, build: Callable[[Path], None], *, what: str) -> Path:
        """Return the entry's folder; `build(folder)` builds it if it is missing.

        `what` names the work to a process that waits for it. If `build` raises, no
        entry appears and the files that it wrote are removed.
        """
        final = self.path(kind, key)
        if final.is_dir():
            return final
        with self.lock(kind, key, what=what):
            if final.is_dir():
                return final

            def named(aside: Path) -> str:
                build(aside)
                return key

            return self.put(kind, key, named)

    def put(self, kind: str, name: str, build: Callable[[Path], str]) -> Path:
        """Build an entry whose key `build(folder)` returns, and return its folder.

        The caller holds the lock of `name`. An entry that exists by then is
        not replaced: another process may be reading it.
        """
        aside = self.path(kind, f".{name}.aside")
        shutil.rmtree(aside, ignore_errors=True)  # left by a run that was killed
        aside.mkdir(parents=True)
        try:
            final = self.path(kind, build(aside))
            if final.is_dir():
                shutil.rmtree(aside)
            else:
                _sync(aside)
                aside.rename(final)
        except BaseException:
            shutil.rmtree(aside, ignore_errors=True)
            raise
        return final

    def remove(self, kind: str, key: str) -> bool:
        """Delete an entry; return whether there was one."""
        path = self.path(kind, key)
        if not path.is_dir():
            return False
        with self.lock(kind, key, what="removal"):
            doomed = path.with_name(f".{key}.doomed")
            shutil.rmtree(doomed, ignore_errors=True)
            path.rename(doomed)
            shutil.rmtree(doomed)
        return True

    @contextlib.contextmanager
    def lock(self, kind: str, key: str, *, what: str) -> Iterator[None]:
        """Hold the entry's lock. The operating system releases it when its holder dies."""
        folder = self.root / kind
        folder.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(folder / f".{key}.lock")
        owner = folder / f".{key}.owner"
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            self.emit(events.Notice(f"{what}: waiting for {_owner(owner)}"))
            lock.acquire()
        try:
            owner.write_text(json.dumps({"pid": os.getpid(), "what": what}))
            yield
        finally:
            owner.unlink(missing_ok=True)
            lock.release()


def _owner(path: Path) -> str:
    try:
        data = json.loads(path.read_text())
        return f"process {data['pid']}, which is working on it ({data['what']})"
    except (OSError, ValueError, KeyError):
        return "another process, which is working on it"


def _sync(folder: Path) -> None:
    # If a rename survived a power cut and the data did not, the entry would look
    # complete.
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            descriptor = os.open(path, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
