# SPDX-License-Identifier: GPL-2.0-only
"""Snapshots: the state and the memory of a machine on disk, from which guests are forked.

The memory is the file that the saved machine itself used as memory. Forks map it
privately, so the host's memory holds pages that no fork writes only once. QEMU's
own part (devices, CPUs) is a separate stream of less than a megabyte.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from dataclasses import dataclass
from pathlib import Path

from lab.errors import InfraError
from lab.vm.console import Line

MEMORY = "memory"
STATE = "state"
CONSOLE = "console.json"
MANIFEST = "manifest.json"
_FILES = (MEMORY, STATE, CONSOLE)

_CHUNK = 1 << 20


class SnapshotDamaged(InfraError):
    """The files of a snapshot are not those that were saved."""


@dataclass(frozen=True)
class Snapshot:
    """A saved machine; the times of its `console` are relative to the save, so negative."""

    folder: Path
    console: tuple[Line, ...]

    @property
    def memory(self) -> Path:
        return self.folder / MEMORY

    @property
    def state(self) -> Path:
        return self.folder / STATE


def seal(folder: Path) -> None:
    """Write the manifest of a saved machine's files; the machine must have ended."""
    files = {name: _fingerprint(folder / name) for name in _FILES}
    (folder / MANIFEST).write_text(json.dumps({"version": 1, "files": files}))


_verified: dict[Path, list[tuple[int, ...]]] = {}
_verifying = threading.Lock()


def load(folder: Path) -> Snapshot:
    """Return a saved machine after a check of its files.

    The first check in a process covers their content, later ones time stamp and size.
    Raises `SnapshotDamaged`.
    """
    try:
        with _verifying:
            signatures = [_signature(folder / name) for name in (*_FILES, MANIFEST)]
            if _verified.get(folder) != signatures:
                _verify(folder)
                _verified[folder] = signatures
        lines = json.loads((folder / CONSOLE).read_text())
        return Snapshot(folder, tuple(Line(float(at), str(text)) for at, text in lines))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SnapshotDamaged(f"the snapshot in {folder} can't be read: {error}") from error


def _verify(folder: Path) -> None:
    manifest = json.loads((folder / MANIFEST).read_text())
    for name in _FILES:
        if manifest["files"][name] != _fingerprint(folder / name):
            raise SnapshotDamaged(f"{name} of the snapshot in {folder} is not what was saved")


def _signature(path: Path) -> tuple[int, ...]:
    status = path.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _fingerprint(path: Path) -> str:
    """Return size and checksum. Blocks of zeros, holes or not, count by their position only."""
    digest = hashlib.blake2b(digest_size=20)
    zeros = bytes(_CHUNK)
    with path.open("rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        at = 0
        while at < size:
            try:
                at = os.lseek(stream.fileno(), at, os.SEEK_DATA) // _CHUNK * _CHUNK
            except OSError:
                break  # only a hole up to the end
            block = os.pread(stream.fileno(), _CHUNK, at)
            if block != zeros[: len(block)]:
                digest.update(at.to_bytes(8, "big"))
                digest.update(block)
            at += _CHUNK
    return f"{size}:{digest.hexdigest()}"
