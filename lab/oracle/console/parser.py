# SPDX-License-Identifier: GPL-2.0-only
"""The console oracle: reports of the kernel's own detectors, read as the console prints them.

    parser = Parser(Shape.of_kernel(kernel.config_options, kernel.boot_args))
    console.tap(lambda data: parser.feed(data, now()))
    ...
    parser.finish()
    parser.reports

Reports are the same however the stream is cut into chunks. Trust: CONSOLE.
`lab.oracle.console.lines` explains what could be forged; a `Report` says whether its
own lines are at least marked as the kernel's (`marked`). Text of programs in a
report's form is in `forgeries`; signs that text of the kernel is missing are in
`losses`.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable

from lab.oracle.console import patterns, stacks
from lab.oracle.console.forgeries import MAX_FORGERIES, Forgery, claims, forgery_of
from lab.oracle.console.lines import Line, Origin, Shape, Splitter, has_prefix
from lab.oracle.console.losses import MAX_LOSSES, Loss, Orphans, loss_of
from lab.oracle.console.records import Joiner
from lab.oracle.console.reports import MAX_LINES, Backtrace, Draft, Report, evidence

# A report is printed at once: after this many seconds of the kernel's time a
# line of the same task or CPU is no longer part of it.
_GAP = 2.0
# A panic waits for the other CPUs before it continues.
_PANIC_GAP = 30.0

# Where lines do not name their caller, lines of others may be between a report's: at most
# this many in a row are left out of a report that has no end marker.
_STRANGERS = 4

# A backtrace is of a CPU that was interrupted somewhere.
_SEARCH = stacks.Search(stalled=True, anywhere=True)

# A guest controls how much is printed, and by which callers.
MAX_REPORTS = 200
MAX_OPEN = 64
MAX_AWAITED = 8192


class Parser:
    """A parser that finds reports in a stream of console bytes; two threads may use it.

    `before` is the number of lines of the console that precede the stream. `listener` gets
    each line as the console has it, before records are joined.
    """

    def __init__(
        self,
        shape: Shape | None = None,
        *,
        prefixed: bool = False,
        before: int = 0,
        listener: Callable[[Line], None] | None = None,
    ) -> None:
        self._listener = listener
        self._splitter = Splitter(shape, prefixed=prefixed, before=before)
        self._joiner = Joiner()
        self._lock = threading.RLock()
        self._done: list[Report] = []
        self._backtraces: list[Backtrace] = []
        self._forgeries: list[Forgery] = []
        self._losses: list[Loss] = []
        self._orphans = Orphans()
        # The open report of each caller; a draft may have several writers (NMIs).
        self._open: dict[str, Draft] = {}
        self._drafts: list[Draft] = []
        self._traces: dict[str, tuple[int, Line, list[str]]] = {}
        self._awaited: dict[int, Draft] = {}
        self.dropped = 0
        self.forged = 0

    # The interface

    def feed(self, data: bytes, at: float = 0.0) -> list[Report]:
        """Parse text that was printed at `at` (host's seconds); return completed reports."""
        with self._lock:
            before = len(self._done)
            for line in self._splitter.feed(data, at):
                self._hear(line)
            return self._done[before:]

    def feed_lines(self, lines: Iterable[Line]) -> list[Report]:
        """Parse lines of a log in another form than the console's; return completed reports."""
        with self._lock:
            before = len(self._done)
            for line in lines:
                self._hear(line)
            return self._done[before:]

    def finish(self) -> list[Report]:
        """End the console; return the reports that this completes or cuts off."""
        with self._lock:
            before = len(self._done)
            for line in self._splitter.finish():
                self._hear(line)
            for line in self._joiner.flush():
                self._take(line)
            for caller in list(self._traces):
                self._close_trace(caller)
            for draft in list(self._drafts):
                self._close(draft, ended=True)
            return self._done[before:]

    @property
    def reports(self) -> tuple[Report, ...]:
        """All reports so far by first line, those that are still being printed included."""
        with self._lock:
            drafts = [draft.report(self._marked) for draft in self._drafts]
            return tuple(sorted([*self._done, *drafts], key=lambda report: report.first_line))

    @property
    def backtraces(self) -> tuple[Backtrace, ...]:
        """The backtraces that were requested."""
        with self._lock:
            return tuple(self._backtraces)

    @property
    def forgeries(self) -> tuple[Forgery, ...]:
        """Return the first texts that only have a report's form; `forged` counts all."""
        with self._lock:
            return tuple(self._forgeries)

    @property
    def losses(self) -> tuple[Loss, ...]:
        """Return the first signs that text of the kernel, or a report, is missing."""
        with self._lock:
            losses = list(self._losses)
            if self.dropped:
                losses.append(Loss(0, 0.0, f"{self.dropped} reports after the first {MAX_REPORTS}"))
            return tuple(losses)

    @property
    def quoted(self) -> frozenset[int]:
        """The numbers of lines in a report's form that were taken for more of another record."""
        with self._lock:
            inner = self._joiner.inner
            return frozenset(line.number for line in inner if claims(line.text))

    @property
    def _marked(self) -> bool:
        shape = self._splitter.shape
        return shape is not None and shape.priority

    # Lines

    def _hear(self, line: Line) -> None:
        if self._listener is not None:
            self._listener(line)
        for whole in self._joiner.take(line):
            self._take(whole)

    def _note(self, line: Line) -> None:
        """Keep the forgery and the loss that a line alone shows."""
        forgery = forgery_of(line)
        if forgery is not None:
            self.forged += 1
            if len(self._forgeries) < MAX_FORGERIES:
                self._forgeries.append(forgery)
        self._lose(loss_of(line))

    def _lose(self, loss: Loss | None) -> None:
        if loss is not None and len(self._losses) < MAX_LOSSES:
            self._losses.append(loss)

    def _take(self, line: Line) -> None:
        self._note(line)
        if line.origin is not Origin.KERNEL:
            return
        if line.part:
            if line.caller in self._open:
                self._open[line.caller].add(line)
            return
        for late in [draft for draft in self._drafts if self._over(draft, line)]:
            self._close(late)
        sent = patterns.NMI_SENT.match(line.text)
        if sent and line.caller in self._open:
            # The newest request is the one that backtraces answer.
            asked = dict.fromkeys(patterns.cpu_list(sent["cpus"]), self._open[line.caller])
            kept = len(asked) + len(self._awaited) <= MAX_AWAITED
            self._awaited = self._awaited | asked if kept else asked
        trace = patterns.NMI_BACKTRACE.match(line.text)
        if trace:
            self._begin_trace(line, int(trace["cpu"]))
            return
        found = patterns.opening_of(line.text)
        if line.caller in self._traces:
            if not found and patterns.BODY.match(line.text):
                lines = self._traces[line.caller][2]
                if len(lines) < MAX_LINES:
                    lines.append(line.text)
                return
            self._close_trace(line.caller)
        draft = self._open.get(line.caller)
        if found:
            self._opening(line, draft, *found)
        elif patterns.CUT.match(line.text):
            if draft and draft.head and not draft.has_body:
                draft.add(line)
                draft.cut = True
            else:
                self._begin(line)
        elif draft:
            self._continue(line, draft)
        else:
            self._lose(self._orphans.take(line))

    def _over(self, draft: Draft, line: Line) -> bool:
        """Return whether a line comes too late to belong to the draft."""
        if line.stamp is None or draft.last_stamp is None:
            return False
        gap = _PANIC_GAP if draft.kind == "panic" else _GAP
        return line.stamp - draft.last_stamp > gap

    def _begin(self, line: Line) -> Draft:
        previous = self._open.get(line.caller)
        if previous:
            self._close(previous)
        while len(self._drafts) >= MAX_OPEN:
            # Each line is compared with all open reports: the guest must not control their number.
            self._close(min(self._drafts, key=lambda one: one.last_stamp or 0.0))
        self._orphans.forget(line.caller)
        draft = Draft(line)
        draft.add(line)
        self._open[line.caller] = draft
        self._drafts.append(draft)
        return draft

    def _opening(
        self,
        line: Line,
        draft: Draft | None,
        opening: patterns.Opening,
        match: re.Match[str],
    ) -> None:
        oops = bool(patterns.OOPS_LINE.search(line.text))
        if draft and draft.kind == opening.kind == "memory-leak" and len(draft.lines) == 1:
            draft.add(line)  # kmemleak's own first line after that of a program
            return
        if draft and opening.inner and not draft.summing_up:
            self._continue(line, draft)
            return
        if draft and not draft.summing_up:
            if draft.kind is None:
                draft.add(line)
                draft.open(opening, match)
                return
            if oops and not draft.oopsed and draft.kind in patterns.BEFORE_OOPS:
                draft.add(line)
                draft.oopsed = True
                return
            asserting = draft.cut or draft.kind in patterns.BEFORE_ASSERTION
            if asserting and opening.kind in ("warning", "bug"):
                draft.add(line)
                draft.cut = False
                return
            if opening.kind == draft.kind == "wq-lockup" and len(draft.lines) == draft.pools:
                draft.add(line)  # one line for each pool
                draft.pools += 1
                return
            if opening.kind == draft.kind == "oom":
                draft.add(line)
                draft.complete = True
                self._close(draft)
                return
        if draft and opening.kind in patterns.CRASHES and draft.lacks_stack:
            self._lead_on(draft, line).open(opening, match)
            return
        draft = self._begin(line)
        draft.open(opening, match)
        draft.oopsed = oops

    def _lead_on(self, draft: Draft, line: Line) -> Draft:
        """Begin the crash that cut a report off; its stack belongs to that report, too."""
        for caller in [name for name, one in self._open.items() if one is draft]:
            del self._open[caller]
        draft.complete = draft.kind not in patterns.MARKED_END
        draft.sequel = self._begin(line)
        return draft.sequel

    def _continue(self, line: Line, draft: Draft) -> None:
        text = line.text
        if draft.summing_up:
            if patterns.SUMMARY.match(text):
                draft.add(line)
            else:
                self._close(draft)
            return
        if patterns.END_TRACE.match(text):
            draft.add(line)
            draft.complete = True
            draft.summing_up = True
            return
        if patterns.END_PANIC.match(text) and draft.kind == "panic":
            draft.add(line)
            draft.complete = True
            self._close(draft)
            return
        if draft.kind in ("kasan", "kfence", "ubsan") and patterns.END_RULE.match(text):
            draft.complete = True
            self._close(draft)
            return
        if patterns.END_PANIC_SHORT.match(text) and draft.kind == "panic":
            draft.complete = True
        body = bool(patterns.BODY.match(text))
        if line.caller != draft.first.caller:
            # A CPU that was asked for its backtrace, and prints something else now.
            if body:
                draft.add(line)
            else:
                del self._open[line.caller]
        elif body or draft.kind is None or draft.kind in patterns.FREE:
            draft.add(line)
            draft.strangers = 0
        elif not line.caller and draft.strangers < _STRANGERS:
            draft.strangers += 1
        else:
            self._close(draft)

    # Backtraces of other CPUs

    def _begin_trace(self, line: Line, cpu: int) -> None:
        self._close_trace(line.caller)
        owner = self._awaited.pop(cpu, None)
        if owner is not None and owner in self._drafts:
            previous = self._open.get(line.caller)
            if previous is not None and previous is not owner:
                self._close(previous)
            owner.add(line)
            self._open[line.caller] = owner
            return
        draft = self._open.get(line.caller)
        if draft is not None and not draft.summing_up:
            draft.add(line)
            return
        if draft is not None:
            self._close(draft)
        while len(self._traces) >= MAX_OPEN:
            self._close_trace(next(iter(self._traces)))
        self._orphans.forget(line.caller)
        self._traces[line.caller] = (cpu, line, [line.text])

    def _close_trace(self, caller: str) -> None:
        found = self._traces.pop(caller, None)
        if found and len(self._backtraces) < MAX_REPORTS:
            cpu, first, lines = found
            self._backtraces.append(
                Backtrace(cpu, tuple(lines), first.number, stacks.find(lines, _SEARCH).function)
            )

    # Drafts into reports

    def _close(self, draft: Draft, *, ended: bool = False) -> None:
        self._drafts.remove(draft)
        for earlier in [one for one in self._drafts if one.sequel is draft]:
            self._close(earlier, ended=ended)
        for caller in [name for name, one in self._open.items() if one is draft]:
            del self._open[caller]
        if draft.kind not in patterns.MARKED_END and (not ended or draft.ends_with_stack):
            draft.complete = True
        if len(self._done) >= MAX_REPORTS:
            self.dropped += 1
            return
        self._done.append(draft.report(self._marked))


def parse(log: bytes | Iterable[str], shape: Shape | None = None) -> list[Report]:
    """Return the reports in a whole log, or in lines of one.

    Give the kernel's `shape` if it is known. Without it, the writer of a line is
    unknown in a part of a log that has no `Linux version` line.
    """
    if not isinstance(log, bytes):
        log = "".join(f"{line}\n" for line in log).encode()
    lines = log.decode("utf-8", errors="replace").splitlines()
    parser = Parser(shape, prefixed=any(has_prefix(line) for line in lines))
    parser.feed(log)
    parser.finish()
    return list(parser.reports)


__all__ = ["Backtrace", "Parser", "Report", "Shape", "evidence", "parse"]
