# SPDX-License-Identifier: GPL-2.0-only
"""Typed events that the core emits while it works.

The core emits; the terminal, JUnit, dossiers and graders only consume. Times
are in seconds. Events hold plain data, so that each can be written as one line
of JSON (`as_json`).
"""

from __future__ import annotations

import dataclasses
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Event:
    """The base of all events."""

    @property
    def kind(self) -> str:
        return type(self).__name__


@dataclass(frozen=True)
class StageStarted(Event):
    """A job (`kernel stock`) entered a stage (`compile`); `total` units, 0 if unknown."""

    job: str
    stage: str
    total: int = 0


@dataclass(frozen=True)
class StageProgress(Event):
    """`done` of `total` units of a stage are done; `note` names the current one."""

    job: str
    stage: str
    done: int
    total: int
    note: str = ""


@dataclass(frozen=True)
class StageFinished(Event):
    """A stage succeeded after `seconds`. A stage that fails does not emit this event."""

    job: str
    stage: str
    seconds: float


@dataclass(frozen=True)
class Notice(Event):
    """One line that a person should read; `level` is `info` or `warning`."""

    text: str
    level: str = "info"


@dataclass(frozen=True)
class ItemStarted(Event):
    """An item began; `item` is its id."""

    item: str


@dataclass(frozen=True)
class GuestReady(Event):
    """A guest answered its first SSH command `seconds` after its start; `how`: `cold`, `fork`."""

    item: str
    seconds: float
    how: str
    accel: str


@dataclass(frozen=True)
class StepStarted(Event):
    """A step of an item began."""

    item: str
    step: str


@dataclass(frozen=True)
class StepFinished(Event):
    """A step ended after `seconds`; `result` holds what the guest reported."""

    item: str
    step: str
    seconds: float
    result: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class EvidenceFound(Event):
    """An oracle produced a piece of evidence (as plain data)."""

    item: str
    evidence: dict[str, Any]


@dataclass(frozen=True)
class ItemFinished(Event):
    """An item was judged: `verdict` is `passed`, `failed` or `error`.

    `seconds` do not include the time for which the item waited for a guest's slot.
    """

    item: str
    verdict: str
    seconds: float
    reasons: tuple[str, ...] = ()
    dossier: str = ""


@dataclass(frozen=True)
class ItemNotRun(Event):
    """A running item was abandoned because the user ended the run: it has no verdict."""

    item: str


@dataclass(frozen=True)
class RoundFinished(Event):
    """A round of a soak, the item `item`, ended after `seconds`.

    `counts` is the increase of the kernel's counters of native programs, or None if the
    guest no longer answered.
    """

    item: str
    round: int
    verdict: str
    seconds: float
    counts: dict[str, int] | None = field(default_factory=dict)


Emit = Callable[[Event], None]


def ignore(event: Event) -> None:
    """Drop an event; this is the `Emit` of callers that want none."""


def as_json(event: Event) -> str:
    """Return the event as one line of JSON with its kind."""
    return json.dumps({"event": event.kind, **dataclasses.asdict(event)}, default=str)


class Bus:
    """A distributor that passes each event to every subscriber, in order, one at a time."""

    def __init__(self, *subscribers: Emit) -> None:
        self._subscribers = subscribers
        self._lock = threading.RLock()

    def __call__(self, event: Event) -> None:
        with self._lock:
            for subscriber in self._subscribers:
                subscriber(event)
