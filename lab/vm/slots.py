# SPDX-License-Identifier: GPL-2.0-only
"""How many guests may run at once on this host, over all processes of the user's labs."""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil

from lab.deadline import Deadline, DeadlineExceeded
from lab.errors import InfraError

# Besides its own memory a guest costs QEMU's translation buffers and devices.
OVERHEAD_MIB = 192
# Longer than any item may take: whoever waits this long waits for a dead lock.
WAIT_SECONDS = 3600.0
_INTERVAL = 0.1


def capacity(memory: int) -> int:
    """How many guests of `memory` MiB this host runs at once: one per core, if memory allows."""
    cores = len(os.sched_getaffinity(0))
    available = psutil.virtual_memory().available >> 20
    return max(1, min(cores, available // (memory + OVERHEAD_MIB)))


@contextlib.contextmanager
def slot(folder: Path, memory: int, stop: threading.Event | None = None) -> Iterator[int]:
    """Hold one of the host's slots for a guest of `memory` MiB; waits until one is free.

    Raises `InfraError` if none is free in time, or if `stop` is set meanwhile.

    The slots are locked files in `folder`; the operating system drops a lock
    when its holder dies.
    """
    try:
        descriptor, number = Deadline(WAIT_SECONDS).poll(
            lambda: _take(folder, memory, "slot"),
            "a free slot for a guest",
            interval=_INTERVAL,
            stop=stop,
        )
    except (DeadlineExceeded, InterruptedError) as error:
        raise InfraError(f"no guest was started: {error}") from error
    try:
        yield number
    finally:
        os.close(descriptor)


def try_slot(stack: contextlib.ExitStack, folder: Path, memory: int, prefix: str) -> bool:
    """Hold a slot of another kind until `stack` ends, if one is free; never waits."""
    taken = _take(folder, memory, prefix)
    if taken is None:
        return False
    stack.callback(os.close, taken[0])
    return True


def _take(folder: Path, memory: int, prefix: str) -> tuple[int, int] | None:
    """The descriptor and number of a free slot; it is free again when that is closed."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(capacity(memory)):
        descriptor = os.open(folder / f"{prefix}-{number}", os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return descriptor, number
        except BlockingIOError:
            os.close(descriptor)
    return None
