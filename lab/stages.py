# SPDX-License-Identifier: GPL-2.0-only
"""Emit the stages of a job as events, so that all builds report in the same way."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass

from lab import events


@dataclass(frozen=True)
class Stages:
    """An emitter of the stages of the job `job` (`kernel stock`)."""

    job: str
    emit: events.Emit = events.ignore

    @contextlib.contextmanager
    def stage(self, name: str, total: int = 0) -> Iterator[None]:
        """Run the body as one stage; its end is emitted only if the body succeeds."""
        start = time.monotonic()
        self.emit(events.StageStarted(self.job, name, total))
        yield
        self.emit(events.StageFinished(self.job, name, time.monotonic() - start))

    def progress(self, name: str, done: int, total: int, note: str = "") -> None:
        self.emit(events.StageProgress(self.job, name, done, total, note))
