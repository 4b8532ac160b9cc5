# SPDX-License-Identifier: GPL-2.0-only
"""A warm pool: while one item runs, the guest of the next item is being made.

Guests of one spec are all alike until they are used, so any item with that spec can
have any of them. The number of waiting guests is bounded like that of running ones:
by the host's cores and memory, over all lab processes of the user.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from lab.errors import LabError
from lab.guest.forks import Forks
from lab.guest.guest import Guest, GuestSpec
from lab.vm import slots

PREFIX = "warm"


@dataclass
class _Waiting:
    spec: GuestSpec
    guest: Future[Guest]
    slot: contextlib.ExitStack


@dataclass
class Pool:
    """A pool of guests that wait for the next items. It is a context manager; or `close` it."""

    forks: Forks
    folder: Path
    _waiting: list[_Waiting] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _closed: bool = False
    _workers: ThreadPoolExecutor | None = None

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def prepare(self, find: Callable[[], GuestSpec | None]) -> None:
        """Begin to make a guest of the spec that `find` returns, if there is room; do not wait.

        An error is ignored here: it appears again when an item starts such a guest.
        """
        if self.forks.cold:
            return
        with self._lock:
            if self._closed:
                return
            if self._workers is None:
                self._workers = ThreadPoolExecutor(1, thread_name_prefix="warm")
            self._workers.submit(self._prepare, find)

    def _prepare(self, find: Callable[[], GuestSpec | None]) -> None:
        with contextlib.suppress(LabError):
            spec = find()
            if spec is None or spec.gdb or self._closed:
                return
            with contextlib.ExitStack() as slot:
                if not slots.try_slot(slot, self.folder, spec.shape.memory, PREFIX):
                    return
                waiting = _Waiting(spec, Future(), slot.pop_all())
            with self._lock:
                self._waiting.append(waiting)
            try:
                waiting.guest.set_result(self.forks.start(spec))
            except BaseException as error:
                waiting.guest.set_exception(error)
            if self._closed:
                self._drop(waiting)

    def start(self, spec: GuestSpec) -> Guest:
        """Return an unused guest of `spec`: a waiting one, or a new one."""
        while (waiting := self._take(spec)) is not None:
            with waiting.slot:
                try:
                    guest = waiting.guest.result()
                except LabError:
                    continue
            if not guest.machine.ended and not guest.machine.panicked and guest.ssh.alive:
                return guest
            guest.close()
        return self.forks.start(spec)

    def _take(self, spec: GuestSpec) -> _Waiting | None:
        with self._lock:
            for waiting in self._waiting:
                if waiting.spec == spec:
                    self._waiting.remove(waiting)
                    return waiting
        return None

    def close(self) -> None:
        """End all waiting guests."""
        with self._lock:
            self._closed = True
            waiting, self._waiting = self._waiting, []
            workers, self._workers = self._workers, None
        if workers is not None:
            workers.shutdown(wait=True, cancel_futures=True)
        for one in waiting:
            self._drop(one)

    @staticmethod
    def _drop(waiting: _Waiting) -> None:
        with waiting.slot, contextlib.suppress(LabError):
            waiting.guest.result(timeout=0).close()
