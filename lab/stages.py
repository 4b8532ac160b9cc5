# SPDX-License-Identifier: GPL-2.0-only
"""Stages of one job as events, so that every step of a build reports alike."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass

from lab import events


@dataclass(frozen=True)
class Stages:
    """Emits the stages of the job `job` (`kernel stock`)."""

    job: str
    emit: events.Emit = events.ignore

    @contextlib.contextmanager
    def stage(self, name: str, total: int = 0) -> Iterator[None]:
        """Announce one stage; its end is announced only if the body ends well."""
        start = time.monotonic()
        self.emit(events.StageStarted(self.job, name, total))
        yield
        self.emit(events.StageFinished(self.job, name, time.monotonic() - start))

    def progress(self, name: str, done: int, total: int, note: str = "") -> None:
        self.emit(events.StageProgress(self.job, name, done, total, note))
