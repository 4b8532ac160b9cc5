# SPDX-License-Identifier: GPL-2.0-only
"""Snapshots: a machine's state and memory on disk, for others to be forked from.

The memory is the very file that the saved machine ran on. Forks map it
privately, so what none of them writes is in the host's memory once. QEMU's
own part (devices, CPUs) is a stream of less than a megabyte beside it.
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
    """A snapshot's files are not what was saved."""


@dataclass(frozen=True)
class Snapshot:
    """A saved machine; `console` is what it had printed, with times before the save (negative)."""

    folder: Path
    console: tuple[Line, ...]

    @property
    def memory(self) -> Path:
        return self.folder / MEMORY

    @property
    def state(self) -> Path:
        return self.folder / STATE


def seal(folder: Path) -> None:
    """Write down what the files of a saved machine are; the machine must have ended."""
    files = {name: _fingerprint(folder / name) for name in _FILES}
    (folder / MANIFEST).write_text(json.dumps({"version": 1, "files": files}))


_verified: dict[Path, list[tuple[int, ...]]] = {}
_verifying = threading.Lock()


def load(folder: Path) -> Snapshot:
    """A saved machine, checked: whole once per process, by time stamp and size after that.

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
    """Size and checksum. Blocks of zeros count by their place only, be they holes or not."""
    digest = hashlib.blake2b(digest_size=20)
    zeros = bytes(_CHUNK)
    with path.open("rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        at = 0
        while at < size:
            try:
                at = os.lseek(stream.fileno(), at, os.SEEK_DATA) // _CHUNK * _CHUNK
            except OSError:
                break  # nothing but a hole up to the end
            block = os.pread(stream.fileno(), _CHUNK, at)
            if block != zeros[: len(block)]:
                digest.update(at.to_bytes(8, "big"))
                digest.update(block)
            at += _CHUNK
    return f"{size}:{digest.hexdigest()}"
