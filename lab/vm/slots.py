# SPDX-License-Identifier: GPL-2.0-only
"""Bound the number of guests on this host, over all lab processes of the user."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shlex
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil

from lab import events
from lab.deadline import Deadline, DeadlineExceeded
from lab.errors import InfraError, Stopped

# The folder of slots, below the cache's root.
FOLDER = "slots"
# Besides its own memory a guest costs QEMU's translation buffers and devices.
OVERHEAD_MIB = 192
# After this time a waiter continues to wait only if a holder is known to live: a soak
# takes hours.
WAIT_SECONDS = 3600.0
# Shorter waits, as between consecutive items, are not reported.
TELL_SECONDS = 2.0
# The number of characters of a holder's command that are shown.
_MOST_SHOWN = 80
_MOST_BYTES = 1 << 14
_INTERVAL = 0.1


def capacity(memory: int) -> int:
    """Return how many guests of `memory` MiB this host runs at once.

    There is one per core, if memory allows.
    """
    cores = len(os.sched_getaffinity(0))
    available = psutil.virtual_memory().available >> 20
    return max(1, min(cores, available // (memory + OVERHEAD_MIB)))


@contextlib.contextmanager
def slot(
    folder: Path,
    memory: int,
    stop: threading.Event | None = None,
    emit: events.Emit = events.ignore,
) -> Iterator[int]:
    """Wait for one of the host's slots for a guest of `memory` MiB, and hold it.

    A wait of more than `TELL_SECONDS` is reported once, with the holders of the slots.
    Raises `Stopped` if `stop` is set meanwhile, and `InfraError` if none is free
    within `WAIT_SECONDS` and no holder is known to live.

    The slots are locked files in `folder`; the operating system releases a lock
    when its holder dies.
    """
    descriptor, number = _wait(folder, memory, stop, emit)
    try:
        yield number
    finally:
        _release(descriptor)


def _wait(
    folder: Path, memory: int, stop: threading.Event | None, emit: events.Emit
) -> tuple[int, int]:
    silence, told = Deadline(TELL_SECONDS), False

    def probe() -> tuple[int, int] | None:
        nonlocal told
        taken = _take(folder, memory, "slot")
        if taken is None and not told and silence.expired:
            told = True
            emit(events.Notice(_waiting(folder, capacity(memory))))
        return taken

    while True:
        try:
            return Deadline(WAIT_SECONDS).poll(
                probe, "a free slot for a guest", interval=_INTERVAL, stop=stop
            )
        except InterruptedError as error:
            raise Stopped("no guest was started: the run was stopped") from error
        except DeadlineExceeded as error:
            if not any(_holder(folder, number) for number in range(capacity(memory))):
                raise InfraError(f"no guest was started: {error}") from error


def _waiting(folder: Path, count: int) -> str:
    """Return the notice of a wait; the text is the same as long as the holders are."""
    holders = {_holder(folder, number) for number in range(count)}
    own = [holder for holder in holders if holder and holder[0] == os.getpid()]
    named = [
        f"process {pid} ({command})"
        for pid, command in sorted(holder for holder in holders if holder and holder not in own)
    ]
    named += ["another process"] if None in holders else []
    named += ["this one"] if own else []
    what = f"one of {count} slots" if count > 1 else "the only slot"
    *first, last = named
    by = f"{', '.join(first)} and {last}" if first else last
    return f"guest: waiting for {what} (one per core, if memory allows), held by {by}"


def _holder(folder: Path, number: int) -> tuple[int, str] | None:
    """Return the pid and command of a slot's holder; None if it is not known to live.

    The file names the last holder that could write to it. A killed holder leaves it behind.
    """
    try:
        with (folder / f"slot-{number}").open("rb") as stream:
            data = json.loads(stream.read(_MOST_BYTES))
        pid, command = int(data["pid"]), str(data["command"])
        if not psutil.pid_exists(pid):
            return None
    except (OSError, ValueError, KeyError, TypeError, OverflowError):
        return None
    shown = "".join(letter if letter.isprintable() else "?" for letter in command)
    return pid, shown if len(shown) <= _MOST_SHOWN else f"{shown[:_MOST_SHOWN]}..."


def _own_command() -> str:
    program = Path(sys.argv[0] if sys.argv else "")
    name = program.parent.name if program.name == "__main__.py" else program.name
    return shlex.join([name or "python", *sys.argv[1:]])


def try_slot(stack: contextlib.ExitStack, folder: Path, memory: int, prefix: str) -> bool:
    """Hold a slot of another kind until `stack` ends, if one is free; do not wait.

    Return whether a slot was free.
    """
    taken = _take(folder, memory, prefix)
    if taken is None:
        return False
    stack.callback(_release, taken[0])
    return True


def _take(folder: Path, memory: int, prefix: str) -> tuple[int, int] | None:
    """Take a free slot and return its descriptor and number, or None if there is none.

    The slot is free again when the descriptor is closed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(capacity(memory)):
        descriptor = os.open(folder / f"{prefix}-{number}", os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            continue
        _write(descriptor, json.dumps({"pid": os.getpid(), "command": _own_command()}))
        return descriptor, number
    return None


def _release(descriptor: int) -> None:
    _write(descriptor, "")
    os.close(descriptor)


def _write(descriptor: int, text: str) -> None:
    # The text only informs waiters: a full disk is no reason not to run.
    with contextlib.suppress(OSError):
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, text.encode(errors="replace"), 0)
