# SPDX-License-Identifier: GPL-2.0-only
"""Start guests: by fork from a snapshot if there can be one, else by boot.

For each kernel, image and machine, one guest is booted until it parks
(unpark.py), and saved when it is idle. All later guests are forks of it.
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
from lab.vm import argv, migrate, snapshot
from lab.vm.machine import QEMU, Boot
from lab.vm.migrate import RestoreFailed
from lab.vm.snapshot import Snapshot, SnapshotDamaged

KIND = "snapshot"
# Part of every key: increase it when the way to make or load a snapshot changes.
_FORMAT = 1
# A snapshot has 60 to 100 MB; the most recently used ones are kept. All shipped scenarios
# need 15 of them.
KEEP = 24
QUIET_SECONDS = 30.0


@dataclass
class Forks:
    """A source of guests for all threads of a session; all processes share the snapshots."""

    cache: Cache
    cold: bool = False
    emit: events.Emit = events.ignore
    _refused: set[str] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def start(self, spec: GuestSpec, deadline: Deadline | None = None) -> Guest:
        """Return a fresh guest: forked if possible, otherwise booted, with one warning.

        Raises the errors of `Guest.boot`.
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
        """Fork a guest; replace, once, a snapshot that does not work. Raises `SnapshotFailed`."""
        for last in (False, True):
            saved = self.snapshot(spec, key)
            try:
                return Guest.fork(spec, saved, deadline)
            except (RestoreFailed, BootError) as error:
                if last:
                    raise SnapshotFailed(error.message) from error
                self.emit(events.Notice(f"{error.message}: making the snapshot again", "warning"))
                self.cache.remove(KIND, key)
        raise AssertionError("not reached")

    def _refuse(self, key: str, error: InfraError) -> None:
        with self._lock:
            news = key not in self._refused
            self._refused.add(key)
        if news:
            self.emit(
                events.Notice(f"booting guests instead of forking them: {error.message}", "warning")
            )

    def snapshot(self, spec: GuestSpec, key: str | None = None) -> Snapshot:
        """Return the snapshot from which guests of `spec` are forked.

        It is made if there is none, and replaced if it can't be used. Raises
        `SnapshotFailed`, or the errors of a boot.
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
            self.emit(events.Notice(f"{error.message}: making the snapshot again", "warning"))
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

    Raises `SnapshotFailed` if it can't be saved, and the errors of a boot.
    """
    deadline = scaled(BOOT_SECONDS + QUIET_SECONDS)
    boot = Boot(spec.kernel, spec.image, spec.arguments, folder / snapshot.MEMORY)
    machine = boot_parked(spec, boot, deadline)
    try:
        migrate.wait_until_quiet(machine, deadline)
        migrate.save(machine, folder, deadline)
    except (InfraError, DeadlineExceeded) as error:
        raise SnapshotFailed(f"no snapshot could be made: {error}") from error
    finally:
        machine.stop()
    snapshot.seal(folder)


def key_of_snapshot(spec: GuestSpec) -> str:
    """Return the key over all that a snapshot depends on.

    That is kernel, image, boot arguments, the whole command line (so machine, CPU
    model, accelerator, memory, devices), and QEMU itself; on KVM also the host's
    CPU and kernel.
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
    """Return the properties of the host's CPU that a guest sees under KVM."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        text = ""
    fields = ("vendor_id", "cpu family", "model", "model name", "stepping", "microcode", "flags")
    found = dict(re.findall(r"^([^\t\n]+?)\s*: (.*)$", text.partition("\n\n")[0], re.MULTILINE))
    return "\n".join([*(found.get(name, "") for name in fields), platform.release()])
