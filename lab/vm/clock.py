# SPDX-License-Identifier: GPL-2.0-only
"""A clock that follows the guest's time where that runs faster than the host's.

A guest whose time passes by instructions is ahead of the host while its CPUs work: a CPU
that loops goes through minutes of the guest's time in some seconds of the host's.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from lab.vm.qmp import QmpFailed

# Seconds between two questions to QEMU: each stops the guest's CPUs for a moment.
ASK_SECONDS = 0.05


class FasterClock:
    """Seconds since its creation, on the host's clock or on the guest's: the larger of the two.

    It never runs slower than the host's clock: a guest whose time stands still can't stretch
    a wait. `executed` returns the number of instructions that all CPUs executed, and `shift`
    is that of `-icount`: each takes 2 to the power of `shift` nanoseconds. Time in which all
    CPUs sleep is not counted; in it the guest's time is the host's.
    """

    def __init__(
        self,
        executed: Callable[[], int],
        shift: int,
        host: Callable[[], float] = time.monotonic,
    ) -> None:
        self._executed = executed
        self._shift = shift
        self._host = host
        self._lock = threading.Lock()
        self._start = self._asked_at = host()
        self._last = 0.0
        self._first = self._ask()

    def __call__(self) -> float:
        with self._lock:
            now = self._host()
            if self._first is not None and now - self._asked_at >= ASK_SECONDS:
                count = self._ask()
                self._asked_at = self._host()
                if count is not None:
                    guest = (count - self._first) * (1 << self._shift) / 1e9
                    self._last = max(self._last, guest)
            self._last = max(self._last, now - self._start)
            return self._last

    def _ask(self) -> int | None:
        try:
            return self._executed()
        except QmpFailed:
            return None  # the host's clock goes on alone
