# SPDX-License-Identifier: GPL-2.0-only
"""Deadlines: each wait of the lab has one.

All durations in the lab are for the reference host, a 2-core cloud machine that
runs guests by emulation, without KVM. One measured factor (`host_factor`)
stretches them on slower hosts.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

T = TypeVar("T")

# Polling is cheap on the host; a fiftieth of a second is below what a person
# or a median notices, and a condition variable is used where one can be.
POLL_SECONDS = 0.02
# A wait by another clock than the host's looks at that clock this often.
NAP_SECONDS = 0.05


class DeadlineExceeded(TimeoutError):
    """The event that a wait was for did not come in time."""

    def __init__(self, what: str, seconds: float) -> None:
        super().__init__(f"{what}: not within {seconds:.1f} s")
        self.what = what
        self.seconds = seconds


@dataclass
class Deadline:
    """A point in time, `seconds` from its creation, that several waits can share."""

    seconds: float
    clock: Callable[[], float] = time.monotonic
    # A deadline that ends this one, too.
    outer: Deadline | None = None
    _end: float = field(init=False)

    def __post_init__(self) -> None:
        self._end = self.clock() + self.seconds

    @property
    def remaining(self) -> float:
        """Seconds left, never negative."""
        own = max(0.0, self._end - self.clock())
        return own if self.outer is None else min(own, self.outer.remaining)

    @property
    def expired(self) -> bool:
        return self.remaining <= 0

    @property
    def nap(self) -> float:
        """Seconds of the host's that a wait may sleep before it looks at the clock again."""
        if self.clock is time.monotonic:
            return self.remaining
        return min(self.remaining, NAP_SECONDS)

    def at_most(self, seconds: float) -> Deadline:
        """Return a deadline for a part of the work: this one, or `seconds` from now if sooner."""
        return Deadline(min(self.remaining, seconds), self.clock, self.outer)

    def check(self, what: str) -> None:
        """Raise `DeadlineExceeded` if the time is over."""
        if self.expired:
            raise DeadlineExceeded(what, self.seconds)

    def poll(
        self,
        probe: Callable[[], T | None],
        what: str,
        *,
        interval: float = POLL_SECONDS,
        stop: threading.Event | None = None,
    ) -> T:
        """Call `probe` until it returns something true, and return that.

        Raises `DeadlineExceeded` when the time is over, and `InterruptedError`
        when `stop` is set meanwhile.
        """
        waiter = stop or threading.Event()
        while True:
            found = probe()
            if found:
                return found
            if self.expired:
                raise DeadlineExceeded(what, self.seconds)
            if waiter.wait(min(interval, max(self.remaining, 0.001))) and stop is not None:
                raise InterruptedError(what)


# The work by which the factor is measured, and its duration on the
# reference host (a 2-core cloud machine; measured with `lab doctor`).
_REFERENCE_LOOPS = 400_000
_REFERENCE_SECONDS = 0.020
_MAX_FACTOR = 8.0

_factor: float | None = None
_factor_lock = threading.Lock()


def host_factor() -> float:
    """Return how much slower this host is than the reference, at least 1.0.

    It is measured once per process.
    """
    global _factor
    with _factor_lock:
        if _factor is None:
            best = min(_spin() for _ in range(3))
            _factor = min(_MAX_FACTOR, max(1.0, best / _REFERENCE_SECONDS))
        return _factor


def scaled(seconds: float) -> Deadline:
    """Return a deadline of `seconds` on the reference host, stretched by `host_factor`."""
    return Deadline(seconds * host_factor())


def _spin() -> float:
    start = time.perf_counter()
    total = 0
    for number in range(_REFERENCE_LOOPS):
        total += number & 7
    return time.perf_counter() - start
