# SPDX-License-Identifier: GPL-2.0-only
"""A machine's serial console: read at once, stamped, bounded, and open to conversations."""

from __future__ import annotations

import contextlib
import os
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import IO, Any

from pexpect.spawnbase import SpawnBase

from lab.deadline import Deadline, DeadlineExceeded

# A guest that floods its console keeps this much of the beginning, where the
# cause is, and this much of the end; the middle is counted and dropped.
HEAD_LINES = 4000
TAIL_LINES = 8000
MAX_LINE = 4096
# Printed bytes that a conversation has not read yet.
MAX_WAITING = 4 << 20

_CHUNK = 65536
# Colours and cursor movements of an interactive shell are not text.
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[()][A-Z0-9]|[\x00-\x08\x0b-\x1f\x7f-\x9f]")


@dataclass(frozen=True)
class Line:
    """One line of console text; `at` is seconds since the machine's start, on the host's clock."""

    at: float
    text: str


class Console:
    """A console that a thread collects from a stream.

    `history` is the text before that: of the machine from which this one is forked.
    """

    def __init__(
        self,
        source: IO[bytes],
        sink: IO[bytes] | None = None,
        history: Sequence[Line] = (),
    ) -> None:
        self._source = source
        self._sink = sink
        self._start = time.monotonic()
        self._head: list[Line] = []
        self._tail: deque[Line] = deque(maxlen=TAIL_LINES)
        self._count = 0
        for line in history:
            self._append(line)
        self._partial = b""
        self._partial_at: float | None = None
        self._changed = threading.Condition()
        # Counts changes, so that a waiter can look at its clock without the lock.
        self._changes = 0
        self._taps: list[Callable[[bytes], None]] = []
        self.closed = False
        self._thread = threading.Thread(target=self._read, name="console", daemon=True)
        self._thread.start()

    # Reading

    def lines(self, since: int = 0) -> list[Line]:
        """Return the lines kept, from the `since`-th printed line on; an unfinished one is last."""
        with self._changed:
            return self._lines(since)

    @property
    def count(self) -> int:
        """The number of lines printed so far, kept or not: a mark for `lines(since=...)`."""
        with self._changed:
            return self._count

    @property
    def dropped(self) -> int:
        """The number of lines that were dropped because there were too many."""
        with self._changed:
            return self._count - len(self._head) - len(self._tail)

    def text(self, since: int = 0) -> str:
        """Return the lines kept, as text, with one line in place of those dropped."""
        with self._changed:
            kept = [line.text for line in self._lines(since)]
            dropped = self._count - len(self._head) - len(self._tail)
            if dropped and since <= len(self._head):
                kept.insert(len(self._head) - since, f"[... {dropped} lines dropped ...]")
        return "\n".join(kept)

    def stamped(self) -> str:
        """Return the console as text, each line with the host's seconds since the start."""
        return "\n".join(f"[{line.at:9.3f}] {line.text}" for line in self.lines()) + "\n"

    def tail(self, count: int = 25) -> str:
        """Return the last lines, as text."""
        return "\n".join(line.text for line in self.lines()[-count:])

    def wait_for(
        self,
        found: Callable[[list[Line]], Any],
        deadline: Deadline,
        what: str,
        *,
        since: int = 0,
    ) -> Any:
        """Wait until `found(lines since the mark)` is true, and return its value.

        Returns None if the console closes first; raises `DeadlineExceeded`.
        """
        while True:
            with self._changed:
                result = found(self._lines(since))
                if result:
                    return result
                if self.closed:
                    return None
                changes = self._changes
            # A guest's clock is read over QMP, whose events need this lock.
            if deadline.expired:
                raise DeadlineExceeded(what, deadline.seconds)
            nap = deadline.nap
            with self._changed:
                if self._changes == changes:
                    self._changed.wait(nap)

    def wait_for_quiet(self, seconds: float, deadline: Deadline) -> None:
        """Wait until nothing was printed for `seconds`, or the console closes, or the deadline."""
        with self._changed:
            mark, since = None, time.monotonic()
            while not self.closed and not deadline.expired:
                now = time.monotonic()
                seen = (self._count, len(self._partial))
                if seen != mark:
                    mark, since = seen, now
                elif now - since >= seconds:
                    return
                self._changed.wait(min(seconds - (now - since), deadline.remaining))

    # Writing and conversations

    def send(self, data: bytes) -> None:
        """Type into the console. Data that a dead machine can't accept is dropped."""
        if self._sink is not None:
            with contextlib.suppress(OSError, ValueError):
                self._sink.write(data)
                self._sink.flush()

    def tap(self, listener: Callable[[bytes], None]) -> Callable[[], None]:
        """Pass each chunk of raw output to `listener`, too; return the call that ends this."""
        with self._changed:
            self._taps.append(listener)
        return lambda: self._taps.remove(listener)

    def talk(self) -> Conversation:
        """Return a pexpect conversation that sees the output from now on."""
        return Conversation(self)

    def wake(self) -> None:
        """Make waiters check again (something other than the console changed)."""
        with self._changed:
            self._changes += 1
            self._changed.notify_all()

    def join(self, timeout: float) -> None:
        """Wait until the stream has ended, for at most `timeout` seconds."""
        self._thread.join(timeout)

    # Internals

    def _lines(self, since: int) -> list[Line]:
        kept = self._head[since:]
        first_of_tail = self._count - len(self._tail)
        kept = kept + list(self._tail)[max(0, since - first_of_tail) :]
        if self._partial:
            kept = [*kept, Line(self._partial_at or 0.0, _clean(self._partial))]
        return kept

    def _read(self) -> None:
        descriptor = self._source.fileno()
        while True:
            try:
                data = os.read(descriptor, _CHUNK)
            except OSError:
                data = b""
            # Listeners first: a thread that is woken may rely on their state.
            with self._changed:
                taps = list(self._taps)
            for tap in taps:
                tap(data)
            with self._changed:
                if data:
                    self._take(data)
                else:
                    self._flush()
                    self.closed = True
                self._changes += 1
                self._changed.notify_all()
            if not data:
                return

    def _take(self, data: bytes) -> None:
        now = time.monotonic() - self._start
        *whole, rest = (self._partial + data).split(b"\n")
        for index, raw in enumerate(whole):
            at = self._partial_at if index == 0 and self._partial_at is not None else now
            self._append(Line(at, _clean(raw)))
        if whole or not self._partial:
            self._partial_at = now if rest else None
        while len(rest) > MAX_LINE:
            self._append(Line(self._partial_at or now, _clean(rest[:MAX_LINE])))
            rest = rest[MAX_LINE:]
        self._partial = rest

    def _flush(self) -> None:
        if self._partial:
            self._append(Line(self._partial_at or 0.0, _clean(self._partial)))
            self._partial, self._partial_at = b"", None

    def _append(self, line: Line) -> None:
        self._count += 1
        if len(self._head) < HEAD_LINES:
            self._head.append(line)
        else:
            self._tail.append(line)


def _clean(raw: bytes) -> str:
    # A carriage return inside a line redraws the line in a terminal. Here the text before it is
    # kept: a task's name may contain one, and would hide the kernel's text about the task.
    return _ESCAPES.sub("", raw[: MAX_LINE * 2].decode("utf-8", errors="replace"))


class Conversation(SpawnBase):  # type: ignore[misc]
    """A pexpect conversation on a guest's console."""

    def __init__(self, console: Console) -> None:
        super().__init__(timeout=10, maxread=2000, searchwindowsize=None, encoding="utf-8")
        self._console = console
        self._pending: deque[bytes] = deque()
        self._arrived = threading.Condition()
        self._ended = False
        self._waiting = 0
        self._lost = False
        self._untap = console.tap(self._hear)
        self.closed = False

    def _hear(self, data: bytes) -> None:
        with self._arrived:
            if data and self._waiting < MAX_WAITING:
                self._waiting += len(data)
                self._pending.append(data)
            elif data:
                self._lost = True
            else:
                self._ended = True
            self._arrived.notify_all()

    def read_nonblocking(self, size: int = 1, timeout: float | None = -1) -> str:
        """Return printed text, at most `size` characters (pexpect's contract)."""
        import pexpect

        limit = Deadline(self.timeout if timeout == -1 else (timeout if timeout else 0.0))
        with self._arrived:
            while not self._pending:
                if self._lost:
                    raise pexpect.EOF("more was printed than a conversation holds")
                if self._ended:
                    raise pexpect.EOF("the console is closed")
                if limit.expired:
                    raise pexpect.TIMEOUT("nothing was printed in time")
                self._arrived.wait(limit.remaining)
            data = self._pending.popleft()
            if len(data) > size:
                self._pending.appendleft(data[size:])
                data = data[:size]
            self._waiting -= len(data)
        text: str = self._decoder.decode(data, final=False)
        self._log(text, "read")
        return text

    def send(self, text: str) -> int:
        """Type text."""
        self._log(text, "send")
        data = text.encode()
        self._console.send(data)
        return len(data)

    def sendline(self, text: str = "") -> int:
        """Type text and Enter."""
        return self.send(text + "\n")

    def close(self) -> None:
        """End the conversation; the console continues."""
        if not self.closed:
            self.closed = True
            self._untap()
