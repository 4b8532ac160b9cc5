# SPDX-License-Identifier: GPL-2.0-only
"""Show the stages of long jobs: as live bars in a terminal, as plain lines elsewhere."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

from lab.events import Event, Notice, StageFinished, StageProgress, StageStarted
from lab.plain import plain

# Without a terminal, each stage prints a line after each of this many parts of its total.
_PLAIN_PARTS = 10


class ProgressReport:
    """A consumer of events (`Emit`) that shows stages; a context manager.

    On a terminal, it shows one live line per running stage, with a bar if its total is
    known, and prints one line for each that ended. Elsewhere (CI, pipes) it prints plain lines.
    """

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True)
        self._live = self.console.is_terminal
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("[dim]{task.fields[note]}"),
            console=self.console,
            transient=True,
        )
        self._tasks: dict[tuple[str, str], TaskID] = {}
        self._told: dict[tuple[str, str], int] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        if self._live:
            self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live:
            self._progress.stop()

    def __call__(self, event: Event) -> None:
        with self._lock:
            match event:
                case StageStarted():
                    self._start(event)
                case StageProgress():
                    self._advance(event)
                case StageFinished():
                    self._finish(event)
                case Notice():
                    style = "yellow" if event.level == "warning" else "cyan"
                    self.console.print(f"[{style}]{escape(plain(event.text))}[/]", soft_wrap=True)

    def _start(self, event: StageStarted) -> None:
        if self._live:
            self._tasks[event.job, event.stage] = self._progress.add_task(
                f"{escape(event.job)}: {escape(event.stage)}", total=event.total or None, note=""
            )
        else:
            amount = f" ({event.total})" if event.total else ""
            self._print(f"{event.job}: {event.stage}{amount} ...")

    def _advance(self, event: StageProgress) -> None:
        where = (event.job, event.stage)
        if self._live:
            if where in self._tasks:
                self._progress.update(
                    self._tasks[where],
                    completed=event.done,
                    total=event.total or None,
                    note=escape(event.note),
                )
            return
        if not event.total:
            return
        part = event.done * _PLAIN_PARTS // event.total
        if part > self._told.get(where, 0):
            self._told[where] = part
            percent = event.done * 100 // event.total
            self._print(
                f"{event.job}: {event.stage} {percent:3d} % ({event.done} of {event.total})"
            )

    def _finish(self, event: StageFinished) -> None:
        where = (event.job, event.stage)
        self._told.pop(where, None)
        if self._live and where in self._tasks:
            self._progress.remove_task(self._tasks.pop(where))
        self._print(f"{event.job}: {event.stage} done in {event.seconds:.1f} s")

    def _print(self, text: str) -> None:
        self.console.print(plain(text), markup=False, highlight=False, soft_wrap=True)
