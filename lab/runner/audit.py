# SPDX-License-Identifier: GPL-2.0-only
"""The audit: compare a guest's console with its kernel's own log.

A fence is a record that the lab writes to the kernel's log. It must arrive on the
console as a record of its own, with this kernel's prefix and with the mark of a
program. The first fence is written at the beginning. At the end the guest writes
another and returns the log's records between the two, and the settings that the
console relies on: one command, however long the item ran.
"""

from __future__ import annotations

import secrets
import threading
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from lab.deadline import scaled
from lab.errors import InfraError
from lab.guest.guest import Guest
from lab.guest.ssh import ConnectionLost
from lab.oracle.console import kmsg, settings
from lab.oracle.console.kmsg import Comparison
from lab.oracle.console.lines import Line, Origin, Shape

# Seconds on the reference host.
FENCE_SECONDS = 5.0
READ_SECONDS = 20.0  # for a log that is full
# More than the kernel's log can hold.
KEPT_LINES = 20_000


@dataclass(frozen=True)
class _Answer:
    """The guest's answer: the log's records, the fence's number, the settings."""

    records: tuple[kmsg.Record, ...]
    omitted: int
    fence: int | None
    files: settings.Files


class Audit:
    """An audit of a guest's console. Pass each line of the console to `hear`."""

    def __init__(self, guest: Guest, shape: Shape) -> None:
        self._guest = guest
        self._shape = shape
        self._lock = threading.Lock()
        self._lines: deque[Line] = deque(maxlen=KEPT_LINES)
        self._word = ""
        self._fence: Line | None = None
        self._begun: _Answer | None = None
        self._first = 0  # the first fence's line number on the console

    def hear(self, line: Line) -> None:
        """Take the console's next line."""
        with self._lock:
            if self._word and self._word in line.text:
                self._fence = self._fence or line
            if line.origin is not Origin.TEXT:
                self._lines.append(line)

    def begin(self) -> None:
        """Write the first fence. Raises the errors of `fence`."""
        self._begun, fence = self._put_up(None)
        self._first = fence.number

    def fence(self) -> None:
        """Make sure that all that the kernel printed until now has reached the host.

        Raises `InfraError` if the fence arrives in another form, `DeadlineExceeded` if it
        does not arrive, and `ConnectionLost` if the guest does not accept it.
        """
        self._put_up(None)

    def end(
        self,
        believed: Callable[[], Collection[int]],
        quoted: Callable[[], Collection[int]],
        excused: Collection[str] = (),
        level: int | None = None,
    ) -> Comparison | None:
        """Compare the console with the log since `begin`; None if that was not called.

        `believed` and `quoted` return the numbers of lines: see `kmsg.compare`. `excused` are
        settings that may differ, `level` is the lowest console level that the lab itself set in
        between. Raises `InfraError` if a setting differs, and the errors of `fence`.
        """
        begun = self._begun
        if begun is None or begun.fence is None:
            return None
        answer, fence = self._put_up(begun.fence, excused)
        with self._lock:
            lines = [line for line in self._lines if self._first <= line.number <= fence.number]
        levels = [settings.console_level(one.files) for one in (begun, answer)]
        return kmsg.compare(
            answer.records,
            lines,
            begun.fence,
            min([*levels, *([] if level is None else [level])]),
            believed(),
            marked=self._shape.priority,
            omitted=answer.omitted,
            quoted=quoted(),
        )

    def _put_up(self, since: int | None, excused: Collection[str] = ()) -> tuple[_Answer, Line]:
        """Write a fence and wait until it is on the console."""
        with self._lock:
            self._word = secrets.token_hex(6)
            self._fence = None
        answer = self._ask(since)
        # Compare the settings first: no fence arrives on a console that was silenced.
        if self._begun is not None:
            changed = settings.changes(self._begun.files, answer.files, excused)
            if changed:
                raise _changed(changed)
        if answer.fence is None:
            raise InfraError("the kernel's log does not accept writes to /dev/kmsg")
        arrived = self._guest.machine.console.wait_for(
            lambda _lines: self._fence,
            scaled(FENCE_SECONDS),
            "a line on the console that was just written to the kernel's log",
        )
        if arrived is None:
            raise ConnectionLost("the console closed")
        self._check_form(arrived)
        return answer, arrived

    def _ask(self, since: int | None) -> _Answer:
        limit = scaled(READ_SECONDS)
        return _answer(self._guest.kernel_log(self._word, since, settings.FILES, limit))

    def _check_form(self, fence: Line) -> None:
        shape = self._shape
        wrong = []
        if fence.text != f"kextlab: fence {self._word}":
            wrong.append("it is not a record of its own")
        if fence.origin is not (Origin.USER if shape.priority else Origin.KERNEL):
            wrong.append(f"it is marked as {fence.origin.value}")
        if (fence.stamp is not None) != shape.stamp:
            wrong.append("it has no time" if shape.stamp else "it has a time")
        if bool(fence.caller) != shape.caller:
            wrong.append("it has no caller" if shape.caller else "it has a caller")
        if wrong:
            raise InfraError(
                f"the kernel's lines on the console have changed their form: {', '.join(wrong)}",
                details=f"line {fence.number}: {fence.text[:400]}",
                hint="did the scenario change /sys/module/printk/parameters/time, or write to "
                "the serial device?",
            )


def _answer(data: dict[str, Any]) -> _Answer:
    """Return the guest's answer; raises `InfraError` for one of another form."""
    records, omitted, fence = data.get("records"), data.get("omitted"), data.get("fence")
    files = data.get("files")
    if not (
        isinstance(records, list)
        and isinstance(omitted, int)
        and isinstance(fence, int | None)
        and isinstance(files, dict)
        and all(isinstance(text, str | None) for text in files.values())
    ):
        raise InfraError(
            "the guest's answer about its kernel's log has another form", details=repr(data)[:400]
        )
    return _Answer(tuple(kmsg.parse(str(text)) for text in records), omitted, fence, dict(files))


def _changed(changed: list[str]) -> InfraError:
    return InfraError(
        f"settings that the lab relies on have changed: {'; '.join(changed)}",
        hint="the kernel's text since then may be hidden. Change a sysctl by a `set:` step, which "
        "undoes it, and printk's parameters by `boot:` (printk.time=0)",
    )
