# SPDX-License-Identifier: GPL-2.0-only
"""Sessions: what an item's wait for a slot is, and what an interrupt leaves of it."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from lab import events
from lab.cache import Cache
from lab.errors import InfraError, Stopped
from lab.guest.forks import Forks
from lab.jobs.session import Session
from lab.judge.observation import Observation
from lab.report.terminal import Terminal
from lab.runner import attempt
from lab.runner.attempt import Attempts
from lab.runner.plan import Planner
from lab.runner.pool import Pool
from lab.runner.run import Run
from lab.scenario.items import Item, items
from lab.scenario.load import load_scenarios
from lab.vm import slots
from lab.workspace import Workspace

SCENARIO = """
summary: A shell line works
steps: [{shell: "true", expect: {status: 0}}]
expect: {kernel: alive}
"""
WAIT, WORK = 100.0, 1.0


@pytest.fixture
def item(tmp_path: Path) -> Item:
    path = tmp_path / "basic" / "case.yaml"
    path.parent.mkdir()
    path.write_text(SCENARIO)
    (scenario,) = load_scenarios(path)
    return items(scenario)[0]


class Plans(Planner):
    """Plans with no more than a session looks at before there is a guest."""

    def plan(self, item: Item, *, gdb: bool = False) -> Any:
        guest = SimpleNamespace(shape=SimpleNamespace(memory=64))
        return SimpleNamespace(guest=guest, kernel=SimpleNamespace(release="6.12"))


class Blind(Attempts):
    """Attempts that see nothing of their items; `during` is called while one runs."""

    during: Callable[[], object] = staticmethod(lambda: None)

    def _observe(self, run: Run) -> Observation:
        self.during()
        return Observation(infra_error=InfraError("nothing was seen"))


@pytest.fixture
def heard() -> list[events.Event]:
    return []


@pytest.fixture
def session(tmp_path: Path, heard: list[events.Event]) -> Session:
    planner = Plans(Workspace(), Cache(tmp_path), "tcg")
    pool = Pool(Forks(planner.cache), tmp_path / slots.FOLDER)
    return Session(Blind(planner, pool, heard.append), heard.append, tmp_path / "results")


def test_an_item_that_is_interrupted_while_it_waits_is_not_run(
    session: Session,
    heard: list[events.Event],
    item: Item,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(slots, "capacity", lambda _memory: 1)
    session.attempts.stop()
    with slots.slot(tmp_path / slots.FOLDER, 64), pytest.raises(Stopped):
        session._run_safely(item)
    assert heard == [events.ItemStarted(item.id), events.ItemNotRun(item.id)]
    assert not (tmp_path / "results").exists()


def test_an_item_that_an_interrupt_cuts_off_is_not_run(
    session: Session, heard: list[events.Event], item: Item
) -> None:
    assert session._run_safely(item).verdict == "error", "without a stop it is the lab's error"
    assert isinstance(session.attempts, Blind)
    session.attempts.during = session.attempts.stop
    with pytest.raises(Stopped):
        session._run_safely(item)
    assert heard[-1] == events.ItemNotRun(item.id)


def test_a_wait_is_no_time_of_the_item_and_the_same_one_is_told_once(
    session: Session,
    heard: list[events.Event],
    item: Item,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [0.0]
    told = events.Notice("waiting for somebody")

    @contextlib.contextmanager
    def slow(_folder: Path, _memory: int, _stop: Any, emit: events.Emit) -> Iterator[int]:
        emit(told)
        now[0] += WAIT
        yield 0

    def work() -> None:
        now[0] += WORK

    monkeypatch.setattr(attempt, "time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(slots, "slot", slow)
    assert isinstance(session.attempts, Blind)
    session.attempts.during = work
    for result in (session.run(item), session.run(item)):
        assert result.seconds == WORK
        assert result.parts["wait"] == WAIT
        assert "waiting for somebody" in (Path(result.dossier) / "events.jsonl").read_text()
    finished = [event for event in heard if isinstance(event, events.ItemFinished)]
    assert [event.seconds for event in finished] == [WORK, WORK]
    assert heard.count(told) == 1


def test_the_terminal_names_an_item_without_a_verdict() -> None:
    out = io.StringIO()
    terminal = Terminal(Console(file=out, width=200))
    terminal(events.ItemNotRun("basic/case@stock[n=1]"))
    assert out.getvalue() == "not run basic/case@stock[n=1]\n"
