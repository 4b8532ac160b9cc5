# SPDX-License-Identifier: GPL-2.0-only
"""Attempts: one run of one item in a guest, from its plan to its observation.

An attempt has no verdict. `lab.judge` judges its observation, and `lab.report.record` writes
both down. Jobs combine these three as they need them.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from lab import events
from lab.errors import InfraError, LabError
from lab.guest.guest import Guest, GuestSpec
from lab.judge.observation import Observation
from lab.runner.baseline import Baseline
from lab.runner.plan import Plan, Planner
from lab.runner.pool import Pool
from lab.runner.run import Run
from lab.scenario.items import Item
from lab.vm import slots


@dataclass(frozen=True)
class Attempt:
    """One run of an item, not judged yet."""

    item: Item
    kernel_release: str
    observation: Observation
    # The events of the attempt, in their order.
    events: list[events.Event]
    # On the host's clock, without the wait for a slot.
    seconds: float
    # Seconds by part: `plan`, `wait` (for a slot), `start`, `baseline`, `steps`, `watch`.
    parts: dict[str, float]


@dataclass
class Attempts:
    """A maker of attempts, each in its own guest; several threads may share it."""

    planner: Planner
    pool: Pool
    emit: events.Emit = events.ignore
    # Stop before the first step, with a gdb stub.
    gdb: bool = False
    # Called when a guest is up, before anything happens in it.
    on_guest: Callable[[Run], None] | None = None
    _running: set[Run] = field(default_factory=set)
    _told: set[events.Event] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    # Threads share kernels and images, and each is resolved once. This lock is not
    # `_lock`, because `stop` must not wait for a kernel to be built.
    _planning: threading.Lock = field(default_factory=threading.Lock)
    _stopped: threading.Event = field(default_factory=threading.Event)

    @property
    def stopped(self) -> bool:
        """Return whether `stop` was called."""
        return self._stopped.is_set()

    def attempt(self, item: Item) -> Attempt:
        """Plan an item, wait for a slot, and run the item in a guest.

        Raises `UserError` if an artifact can't be built, and `Stopped` if `stop` is called
        while it waits.
        """
        history: list[events.Event] = []

        def emit(event: events.Event) -> None:
            history.append(event)
            self.emit(event)

        def emit_once(event: events.Event) -> None:
            # With fewer slots than threads, every second item waits for the same holders.
            history.append(event)
            with self._lock:
                told = event in self._told
                self._told.add(event)
            if not told:
                self.emit(event)

        start = time.monotonic()
        emit(events.ItemStarted(item.id))
        with self._planning:
            plan = self.planner.plan(item, gdb=self.gdb)
        planned = time.monotonic()
        folder = self.planner.cache.root / slots.FOLDER
        with slots.slot(folder, plan.guest.shape.memory, self._stopped, emit_once):
            idle = time.monotonic() - planned
            observation = self._observe(Run(plan, emit, self.pool.start))
        parts = {"plan": planned - start, "wait": idle, **observation.seconds}
        seconds = time.monotonic() - start - idle
        return Attempt(item, plan.kernel.release, observation, history, seconds, parts)

    def prepare(self, item: Item) -> None:
        """Build an item's kernel and image, in the caller's thread so that it can interrupt."""
        with contextlib.suppress(LabError), self._planning:
            self.planner.image(self.planner.kernel(item.flavor))

    def prewarm(self, item: Item) -> None:
        """Have a guest ready for an item that comes soon. Builds nothing, and never waits."""
        if not self.gdb:
            self.pool.prepare(lambda: self._spec(item))

    def stop(self) -> None:
        """End all guests that run now, and start no other."""
        with self._lock:
            self._stopped.set()
            for run in self._running:
                run.stop()

    def close(self) -> None:
        """End the guests that wait for items that will not come."""
        self.pool.close()

    def _spec(self, item: Item) -> GuestSpec | None:
        # The thread that runs the item builds its kernel: there it can be interrupted.
        if not self.planner.has(item.flavor):
            return None
        with self._planning:
            return self.planner.plan(item).guest

    def _observe(self, run: Run) -> Observation:
        with self._lock:
            if self._stopped.is_set():
                return Observation(infra_error=InfraError("the run was stopped"))
            self._running.add(run)
        try:
            return run.go(self.on_guest)
        finally:
            with self._lock:
                self._running.discard(run)


def attempt_within(guest: Guest, baseline: Baseline, plan: Plan, emit: events.Emit) -> Attempt:
    """Run an item in a guest that is up, has the item's files, and stays up.

    The baseline may be older than the item: for items one after the other, of which none may
    leave anything.
    """
    history: list[events.Event] = []

    def both(event: events.Event) -> None:
        history.append(event)
        emit(event)

    start = time.monotonic()
    run = Run(plan, both)
    observation = run.within(guest, baseline)
    run.end_watch()
    seconds = time.monotonic() - start
    parts = dict(observation.seconds)
    return Attempt(plan.item, plan.kernel.release, observation, history, seconds, parts)
