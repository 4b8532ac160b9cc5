# SPDX-License-Identifier: GPL-2.0-only
"""Run items and write their results: the one way from an item to a verdict.

`lab run`, the pytest plugin and all later drivers go through `Session.run`.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shlex
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path

from lab import events
from lab.cache import Cache
from lab.errors import InfraError, LabError, Stopped
from lab.guest.forks import Forks
from lab.guest.guest import GuestSpec
from lab.judge import Judgement, judge
from lab.judge.observation import Observation
from lab.report.dossier import Dossier, new_run
from lab.report.result import Result, append
from lab.runner.plan import Planner
from lab.runner.pool import Pool
from lab.runner.run import Run
from lab.scenario.items import Item
from lab.vm import slots
from lab.workspace import CHECKOUT, Workspace

EXCERPT_LINES = 30
EXCERPT_REPORTS = 3
SLOTS = "slots"


@dataclass
class Session:
    """One run of the lab over any number of items."""

    planner: Planner
    pool: Pool
    emit: events.Emit = events.ignore
    folder: Path = field(default_factory=new_run)
    keep: bool = False
    gdb: bool = False
    on_guest: Callable[[Run], None] | None = None
    running: set[Run] = field(default_factory=set)
    _told: set[events.Event] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _planning: threading.Lock = field(default_factory=threading.Lock)
    _stopped: threading.Event = field(default_factory=threading.Event)

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
        pool = Pool(Forks(cache, cold, emit), cache.root / SLOTS)
        planner = Planner(workspace or Workspace.default(), cache, accel, emit)
        return cls(planner, pool, emit, keep=keep)

    def run(self, item: Item) -> Result:
        """Plan, run and judge one item.

        Raises `UserError` for what the user has to mend, and `Stopped` if the session is
        stopped before there is a verdict.
        """
        seen_events: list[events.Event] = []

        def emit(event: events.Event) -> None:
            seen_events.append(event)
            self.emit(event)

        def tell_once(event: events.Event) -> None:
            # With fewer slots than `jobs`, every second item waits for the same holders.
            seen_events.append(event)
            with self._lock:
                told = event in self._told
                self._told.add(event)
            if not told:
                self.emit(event)

        start = time.monotonic()
        emit(events.ItemStarted(item.id))
        with self._planning:
            # Threads share kernels and images: each is resolved once. A lock of
            # its own: `stop` must not wait for a kernel to be built.
            plan = self.planner.plan(item, gdb=self.gdb)
        planned = time.monotonic()
        folder = self.planner.cache.root / SLOTS
        with slots.slot(folder, plan.guest.shape.memory, self._stopped, tell_once):
            waited = time.monotonic()
            run = Run(plan, emit, self.pool.start)
            seen = self._observe(run)
        judgement = judge(item.scenario, seen, item.twin)
        if judgement.verdict == "error" and self._stopped.is_set():
            raise Stopped("the run was stopped")
        idle = waited - planned
        parts = {"plan": planned - start, "wait": idle, **seen.seconds}
        result = to_result(item, judgement, seen, time.monotonic() - start - idle, parts)
        if judgement.verdict != "passed" or self.keep:
            release = plan.kernel.release
            result = write_dossier(self.folder, result, seen, release, seen_events)
        append(self.folder, result)
        self.emit(
            events.ItemFinished(
                item.id, result.verdict, result.seconds, result.reasons, result.dossier
            )
        )
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
                        self._prepare(item)
                        active.add(pool.submit(self._run_safely, item))
                        ahead = next(pending, None)
                        if ahead is not None:
                            pending = itertools.chain([ahead], pending)
                            self.expect(ahead)
                    if not active:
                        return
                    done, active = wait(active, return_when=FIRST_COMPLETED)
                    for future in done:
                        yield future.result()
            except BaseException:
                self.stop()
                raise
            finally:
                self.close()

    def expect(self, item: Item) -> None:
        """This item comes soon: have a guest ready for it. Builds nothing, and never waits."""
        if not self.gdb:
            self.pool.prepare(lambda: self._spec(item))

    def _spec(self, item: Item) -> GuestSpec | None:
        # Whoever runs the item builds its kernel, where it can be interrupted.
        if not self.planner.has(item.flavor):
            return None
        with self._planning:
            return self.planner.plan(item).guest

    def close(self) -> None:
        """End what waits for items that will not come."""
        self.pool.close()

    def _prepare(self, item: Item) -> None:
        # In the caller's thread: an interrupt then ends a kernel's build, too.
        with contextlib.suppress(LabError), self._planning:
            self.planner.image(self.planner.kernel(item.flavor))

    def _run_safely(self, item: Item) -> Result:
        start = time.monotonic()
        try:
            return self.run(item)
        except Stopped:
            self.emit(events.ItemNotRun(item.id))
            raise
        except LabError as error:
            result = trouble(item, error)
            append(self.folder, result)
            seconds = time.monotonic() - start
            self.emit(events.ItemFinished(item.id, result.verdict, seconds, result.reasons))
            return result

    def stop(self) -> None:
        """End all guests that run now, and start no other."""
        with self._lock:
            self._stopped.set()
            for run in self.running:
                run.stop()

    def _observe(self, run: Run) -> Observation:
        with self._lock:
            if self._stopped.is_set():
                return Observation(trouble=InfraError("the run was stopped"))
            self.running.add(run)
        try:
            return run.go(self.on_guest)
        finally:
            with self._lock:
                self.running.discard(run)


def to_result(
    item: Item,
    judgement: Judgement,
    seen: Observation,
    seconds: float,
    parts: dict[str, float],
    rerun: str = "",
) -> Result:
    """The result of an item that was run and judged; `rerun` if the usual line does not do."""
    failed, source = judgement.verdict != "passed", judgement.rests_on
    return Result(
        item=item.id,
        scenario=str(item.scenario.path),
        summary=item.scenario.summary,
        flavor=item.flavor,
        verdict=judgement.verdict,
        reasons=judgement.reasons,
        trust=source.trust.name.lower() if source else "",
        rests_on=source.words if source else "",
        findings=tuple(finding.to_json() for finding in judgement.findings),
        evidence=tuple(evidence.to_json() for evidence in seen.evidence),
        outcomes=dict(seen.first.outcomes),
        state=seen.state or "",
        guest=str(seen.facts.get("start", "")),
        excerpt=_excerpt(seen) if failed else "",
        extension_reports=_extension_reports(seen, EXCERPT_REPORTS) if failed else "",
        forgeries=tuple(forgery.to_json() for forgery in seen.forgeries),
        forged=seen.forged,
        seconds=seconds,
        parts=parts,
        rerun=rerun or rerun_line(item),
    )


def write_dossier(
    folder: Path, result: Result, seen: Observation, release: str, history: list[events.Event]
) -> Result:
    """Write all that was seen into a folder below `folder`; the result that says where."""
    dossier = Dossier(
        result,
        console=seen.console,
        verifier_log=seen.first.log,
        compiler_log=seen.first.compiler_log,
        extension_reports=_extension_reports(seen),
        steps=[
            {**vars(one), "step": one.step.label, "maps": str(one.maps)}
            for done in (seen.first, seen.second)
            if done is not None
            for one in done.results
        ],
        facts={"kernel_release": release, **seen.facts},
        events=history,
    )
    try:
        path = str(dossier.write(folder))
    except OSError as error:
        path = f"(could not be written: {error})"
    return Result(**{**vars(result), "dossier": path})


def rerun_line(item: Item) -> str:
    """The one line that runs an item again."""
    kernel = () if item.flavor in item.scenario.kernels else ("--kernel", item.flavor)
    return shlex.join([command(), "run", str(item.scenario.path), *kernel, "--only", item.id])


def command() -> str:
    """How the user starts the lab: `lab.sh` puts nothing on anybody's PATH."""
    if shutil.which("lab"):
        return "lab"
    return os.path.join(".", os.path.relpath(CHECKOUT / "lab.sh"))


def _excerpt(seen: Observation) -> str:
    if seen.reports:
        blocks = [
            "\n".join(report.lines[:EXCERPT_LINES]) for report in seen.reports[:EXCERPT_REPORTS]
        ]
        return "\n...\n".join(blocks)
    if seen.state == "alive" and seen.trouble is None:
        return ""  # the kernel said nothing about it
    return "\n".join(seen.console.splitlines()[-EXCERPT_LINES:])


def _extension_reports(seen: Observation, most: int | None = None) -> str:
    """The reports on programs, each with its program's name; `most` of them, then how many more."""
    shown = seen.extension_reports[:most]
    blocks = ["\n".join([report.title, *report.text.splitlines()[1:]]) for report in shown]
    more = len(seen.extension_reports) - len(shown)
    if more:
        blocks.append(f"... and {more} more")
    return "".join(f"{block}\n" for block in blocks)


def trouble(item: Item, error: LabError) -> Result:
    """The result of an item that could not even be planned."""
    return Result(
        item=item.id,
        scenario=str(item.scenario.path),
        summary=item.scenario.summary,
        flavor=item.flavor,
        verdict="error",
        reasons=(str(error),),
        rerun=rerun_line(item),
    )
