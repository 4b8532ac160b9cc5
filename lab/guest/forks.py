# SPDX-License-Identifier: GPL-2.0-only
"""Guests, forked from a snapshot where there can be one, booted where not.

For each kernel, image and machine a guest is booted once, up to where it
parks (release.py), and saved when it has come to rest. Every guest that is
asked for after that is a fork of it.
"""

from __future__ import annotations

import contextlib
import functools
import os
import platform
import re
import threading
from dataclasses import dataclass, field
from pathlib import Path

from lab import events
from lab.cache import Cache, file_digest, key_of
from lab.deadline import Deadline, DeadlineExceeded, scaled
from lab.errors import InfraError
from lab.guest.boot_errors import BootError
from lab.guest.guest import BOOT_SECONDS, Guest, GuestSpec, boot_parked
from lab.host import process
from lab.stages import Stages
from lab.vm import argv, snapshot
from lab.vm.machine import QEMU, Boot, RestoreFailed
from lab.vm.snapshot import Snapshot, SnapshotDamaged

KIND = "snapshot"
# Part of every key: raise it when a snapshot is made or loaded differently.
_FORMAT = 1
# A snapshot is some 100 MB; those used last are kept.
KEEP = 12
QUIET_SECONDS = 30.0


@dataclass
class Forks:
    """Starts guests. One for all threads of a session; snapshots are shared by all processes."""

    cache: Cache
    cold: bool = False
    emit: events.Emit = events.ignore
    _refused: set[str] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def start(self, spec: GuestSpec, deadline: Deadline | None = None) -> Guest:
        """A guest that nobody has used, by fork if that works, else booted, which is said once.

        Raises what `Guest.boot` does.
        """
        if self.cold or spec.gdb:
            return Guest.boot(spec, deadline)
        key = key_of_snapshot(spec)
        if key not in self._refused:
            try:
                return self._fork(spec, key, deadline)
            except (SnapshotFailed, SnapshotDamaged) as error:
                self._refuse(key, error)
        return Guest.boot(spec, deadline)

    def _fork(self, spec: GuestSpec, key: str, deadline: Deadline | None) -> Guest:
        """A fork; a snapshot that does not work is made anew, once. Raises `SnapshotFailed`."""
        for last in (False, True):
            saved = self.snapshot(spec, key)
            try:
                return Guest.fork(spec, saved, deadline)
            except (RestoreFailed, BootError) as error:
                if last:
                    raise SnapshotFailed(error.message) from error
                self.emit(events.Notice(f"{error.message}: it is made anew", "warning"))
                self.cache.remove(KIND, key)
        raise AssertionError("not reached")

    def _refuse(self, key: str, error: InfraError) -> None:
        with self._lock:
            news = key not in self._refused
            self._refused.add(key)
        if news:
            self.emit(events.Notice(f"guests are booted, not forked: {error.message}", "warning"))

    def snapshot(self, spec: GuestSpec, key: str | None = None) -> Snapshot:
        """The snapshot that guests of `spec` are forks of, made or made anew where it must be.

        Raises `SnapshotFailed`, or what booting raises.
        """
        key = key or key_of_snapshot(spec)
        what = f"snapshot of {spec.shape.machine}"

        def build(folder: Path) -> None:
            with Stages(what, self.emit).stage("boot and save"):
                take(spec, folder)

        folder = self.cache.get(KIND, key, build, what=what)
        try:
            found = snapshot.load(folder)
        except SnapshotDamaged as error:
            self.emit(events.Notice(f"{error.message}: it is made anew", "warning"))
            self.cache.remove(KIND, key)
            found = snapshot.load(self.cache.get(KIND, key, build, what=what))
        with contextlib.suppress(OSError):  # another process may remove it, not what is open
            os.utime(found.folder)
            self._prune(key)
        return found

    def _prune(self, key: str) -> None:
        if key in _pruned:
            return
        _pruned.add(key)
        entries = [path for path in (self.cache.root / KIND).iterdir() if path.name[0] != "."]
        entries.sort(key=lambda path: path.stat().st_mtime, reverse=True)
        for path in entries[KEEP:]:
            self.cache.remove(KIND, path.name)


_pruned: set[str] = set()


class SnapshotFailed(InfraError):
    """A guest could not be saved; `message` says why in one line."""


def take(spec: GuestSpec, folder: Path) -> None:
    """Boot a guest, wait until it is parked and quiet, and save it into `folder`.

    Raises `SnapshotFailed` if it can't be saved, and what booting raises.
    """
    deadline = scaled(BOOT_SECONDS + QUIET_SECONDS)
    boot = Boot(spec.kernel, spec.image, spec.arguments, folder / snapshot.MEMORY)
    machine = boot_parked(spec, boot, deadline)
    try:
        snapshot.wait_until_quiet(machine, deadline)
        snapshot.save(machine, folder, deadline)
    except (InfraError, DeadlineExceeded) as error:
        raise SnapshotFailed(f"no snapshot could be made: {error}") from error
    finally:
        machine.stop()
    snapshot.seal(folder)


def key_of_snapshot(spec: GuestSpec) -> str:
    """The key over all that a snapshot depends on.

    Kernel, image, boot arguments, the whole command line (so machine, CPU
    model, accelerator, memory, devices), QEMU itself; on KVM the host's CPU and
    kernel, too.
    """
    nothing = Path("-")
    words = argv.command(
        QEMU, spec.shape, argv.Descriptors(0, 0), boot=nothing, initrd=nothing, command_line=""
    )
    return key_of(
        format=_FORMAT,
        kernel=_digest(spec.kernel),
        image=_digest(spec.image),
        arguments=spec.arguments,
        command=words,
        qemu=_qemu(),
        host=_host() if spec.shape.accel == "kvm" else "",
    )


def _digest(path: Path) -> str:
    status = path.stat()
    return _digest_of(path, status.st_size, status.st_mtime_ns, status.st_ino)


@functools.lru_cache(maxsize=64)
def _digest_of(path: Path, _size: int, _time: int, _inode: int) -> str:
    return file_digest(path)


@functools.cache
def _qemu() -> str:
    return process.run([QEMU, "--version"]).stdout.partition("\n")[0]


@functools.cache
def _host() -> str:
    """What a guest sees of the host's CPU under KVM."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        text = ""
    fields = ("vendor_id", "cpu family", "model", "model name", "stepping", "microcode", "flags")
    found = dict(re.findall(r"^([^\t\n]+?)\s*: (.*)$", text.partition("\n\n")[0], re.MULTILINE))
    return "\n".join([*(found.get(name, "") for name in fields), platform.release()])
