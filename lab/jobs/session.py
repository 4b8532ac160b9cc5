# SPDX-License-Identifier: GPL-2.0-only
"""Sessions: any number of items, each attempted, judged and recorded."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path

from lab import events
from lab.cache import Cache
from lab.errors import LabError, Stopped
from lab.guest.forks import Forks
from lab.judge import judge
from lab.report.dossier import new_run
from lab.report.record import record, record_error
from lab.report.result import Result
from lab.runner.attempt import Attempts
from lab.runner.plan import Planner
from lab.runner.pool import Pool
from lab.scenario.items import Item
from lab.vm import slots
from lab.workspace import Workspace


@dataclass
class Session:
    """One run of the lab: items in, results out."""

    attempts: Attempts
    emit: events.Emit = events.ignore
    # Where results and dossiers go.
    folder: Path = field(default_factory=new_run)
    # Write a dossier for items that pass, too.
    keep: bool = False

    @classmethod
    def create(
        cls,
        *,
        workspace: Workspace | None = None,
        accel: str = "auto",
        emit: events.Emit = events.ignore,
        keep: bool = False,
        cold: bool = False,
    ) -> Session:
        """Return a session on the user's cache; with `cold` it boots its guests.

        Items are built from `workspace`; None is the default one.
        """
        cache = Cache.default(emit)
        pool = Pool(Forks(cache, cold, emit), cache.root / slots.FOLDER)
        planner = Planner(workspace or Workspace.default(), cache, accel, emit)
        return cls(Attempts(planner, pool, emit), emit, keep=keep)

    def run(self, item: Item) -> Result:
        """Attempt, judge and record one item.

        Raises `UserError` if an artifact can't be built, and `Stopped` if the session is
        stopped before there is a verdict.
        """
        attempt = self.attempts.attempt(item)
        judgement = judge(item.scenario, attempt.observation, item.control)
        if judgement.verdict == "error" and self.attempts.stopped:
            raise Stopped("the run was stopped")
        result = record(self.folder, attempt, judgement, keep=self.keep)
        self._finished(result, result.seconds)
        return result

    def run_all(self, items: Iterable[Item], jobs: int) -> Iterator[Result]:
        """Run items, `jobs` at a time, and yield results as they come.

        An item that can't even be planned is an `error`, and the others run. An
        interrupt ends the running guests, and then propagates.
        """
        pending = iter(items)
        active: set[Future[Result]] = set()
        with ThreadPoolExecutor(max_workers=jobs) as pool:
            try:
                while True:
                    while len(active) < jobs and (item := next(pending, None)) is not None:
                        self.attempts.prepare(item)
                        active.add(pool.submit(self._run_safely, item))
                        ahead = next(pending, None)
                        if ahead is not None:
                            pending = itertools.chain([ahead], pending)
                            self.attempts.prewarm(ahead)
                    if not active:
                        return
                    done, active = wait(active, return_when=FIRST_COMPLETED)
                    for future in done:
                        yield future.result()
            except BaseException:
                self.attempts.stop()
                raise
            finally:
                self.close()

    def close(self) -> None:
        """End the guests that wait for items that will not come."""
        self.attempts.close()

    def _run_safely(self, item: Item) -> Result:
        start = time.monotonic()
        try:
            return self.run(item)
        except Stopped:
            self.emit(events.ItemNotRun(item.id))
            raise
        except LabError as error:
            result = record_error(self.folder, item, error)
            self._finished(result, time.monotonic() - start)
            return result

    def _finished(self, result: Result, seconds: float) -> None:
        self.emit(
            events.ItemFinished(
                result.item, result.verdict, seconds, result.reasons, result.dossier
            )
        )
