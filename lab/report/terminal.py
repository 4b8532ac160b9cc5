# SPDX-License-Identifier: GPL-2.0-only
"""Show items in a terminal: those that run now, and a line for each verdict."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.progress import TaskID

from lab import events
from lab.report.progress import ProgressReport
from lab.words import OUTCOMES

_WORDS = {"passed": ("green", "pass "), "failed": ("red", "FAIL "), "error": ("magenta", "ERROR")}


class Terminal(ProgressReport):
    """`ProgressReport` with items: a live line for each that runs, a plain one for each verdict."""

    def __init__(self, console: Console | None = None) -> None:
        super().__init__(console)
        self._items: dict[str, TaskID] = {}

    def __call__(self, event: events.Event) -> None:
        match event:
            case events.ItemStarted():
                self._note(event.item, "planned")
            case events.GuestReady():
                self._note(event.item, f"guest up after {event.seconds:.1f} s ({event.accel})")
            case events.StepStarted():
                self._note(event.item, event.step)
            case events.ItemFinished():
                self._verdict(event)
            case events.ItemNotRun():
                self._not_run(event)
            case events.RoundFinished():
                self._round(event)
            case _:
                super().__call__(event)

    def print(self, text: str) -> None:
        """Print text above the live lines."""
        self._print(text)

    def pause(self) -> None:
        """Stop the live lines, so that the terminal can be used otherwise until `resume`."""
        if self._live:
            self._progress.stop()

    def resume(self) -> None:
        """Show the live lines again after `pause`."""
        if self._live:
            self._progress.start()

    def _note(self, item: str, note: str) -> None:
        if not self._live:
            return
        with self._lock:
            if item not in self._items:
                self._items[item] = self._progress.add_task(escape(item), total=None, note="")
            self._progress.update(self._items[item], note=escape(note))

    def _round(self, event: events.RoundFinished) -> None:
        style, word = _WORDS.get(event.verdict, ("", event.verdict))
        if event.counts is None:
            what = "unknown what ran: the guest no longer answers"
        else:
            ends = [f"{event.counts[end]} {end}" for end in OUTCOMES if event.counts.get(end)]
            what = ", ".join(ends) or "nothing ran"
        with self._lock:
            self._forget(event.item)
            self.console.print(
                f"[{style}]{word}[/] round {event.round}  [dim]{event.seconds:.1f} s[/]  {what}",
                highlight=False,
                soft_wrap=True,
            )

    def _verdict(self, event: events.ItemFinished) -> None:
        with self._lock:
            self._forget(event.item)
            style, word = _WORDS.get(event.verdict, ("", event.verdict))
            self.console.print(
                f"[{style}]{word}[/] {escape(event.item)}  [dim]{event.seconds:.1f} s[/]",
                highlight=False,
                soft_wrap=True,
            )

    def _not_run(self, event: events.ItemNotRun) -> None:
        with self._lock:
            self._forget(event.item)
            self._print(f"not run {event.item}")

    def _forget(self, item: str) -> None:
        task = self._items.pop(item, None)
        if task is not None:
            self._progress.remove_task(task)
