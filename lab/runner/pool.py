# SPDX-License-Identifier: GPL-2.0-only
"""A warm pool: while one item runs, the guest of the next is being made.

Guests of one spec are all alike until they are used, so whoever asks first
gets the first. How many wait is bounded as running guests are: by the host's
cores and memory, over all processes of the user's labs.
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
    """Guests that wait for whoever comes next. Use as a context manager, or `close` it."""

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
        """Begin to make a guest of the spec that `find` returns, if there is room; never waits.

        What goes wrong is left to whoever starts such a guest in earnest.
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
        """A guest of `spec` that nobody has used: one that waits, or a new one."""
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
        """End all guests that still wait."""
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
