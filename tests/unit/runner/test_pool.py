# SPDX-License-Identifier: GPL-2.0-only
"""The warm pool: who gets which guest, and that none outlives it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lab.deadline import Deadline
from lab.errors import InfraError
from lab.guest.guest import GuestSpec
from lab.runner.pool import Pool
from lab.vm import slots
from lab.vm.argv import Shape


def spec(name: str = "kernel") -> GuestSpec:
    return GuestSpec(Path(name), Path("image"), (), Shape(memory=64))


class Forks:
    """Makes guests that only say whether they live."""

    def __init__(self) -> None:
        self.cold = False
        self.made: list[Any] = []
        self.error: InfraError | None = None
        self.gate = threading.Event()
        self.gate.set()

    def start(self, wanted: GuestSpec) -> Any:
        assert self.gate.wait(10)
        if self.error is not None:
            raise self.error
        guest = SimpleNamespace(
            spec=wanted,
            machine=SimpleNamespace(ended=False, panicked=False),
            ssh=SimpleNamespace(alive=True),
            closed=False,
        )
        guest.close = lambda: setattr(guest, "closed", True)
        self.made.append(guest)
        return guest


@pytest.fixture
def forks() -> Any:
    return Forks()


@pytest.fixture
def pool(forks: Any, tmp_path: Path) -> Iterator[Pool]:
    with Pool(forks, tmp_path) as pool:
        yield pool


def prepared(pool: Pool, wanted: GuestSpec, forks: Any, count: int = 1) -> None:
    pool.prepare(lambda: wanted)
    Deadline(10).poll(lambda: len(forks.made) >= count, "a guest")


def test_a_guest_that_waits_is_taken_once(pool: Pool, forks: Any) -> None:
    prepared(pool, spec(), forks)
    assert pool.start(spec()) is forks.made[0]
    assert pool.start(spec()) is forks.made[1]


def test_a_guest_of_another_spec_is_not_taken(pool: Pool, forks: Any) -> None:
    prepared(pool, spec(), forks)
    assert pool.start(spec("another")) is forks.made[1]


def test_one_that_is_being_made_is_waited_for(pool: Pool, forks: Any) -> None:
    forks.gate.clear()
    pool.prepare(spec)
    Deadline(10).poll(lambda: bool(pool._waiting), "its beginning")
    threading.Timer(0.1, forks.gate.set).start()
    pool.start(spec())
    assert len(forks.made) == 1


@pytest.mark.parametrize(("part", "name", "value"), [
    ("machine", "ended", True), ("machine", "panicked", True), ("ssh", "alive", False),
])  # fmt: skip
def test_one_that_died_meanwhile_is_not_handed_out(
    pool: Pool, forks: Any, part: str, name: str, value: bool
) -> None:
    prepared(pool, spec(), forks)
    setattr(getattr(forks.made[0], part), name, value)
    assert pool.start(spec()) is forks.made[1]
    assert forks.made[0].closed


def test_an_error_in_advance_is_no_error_of_the_item(pool: Pool, forks: Any) -> None:
    forks.error = InfraError("no memory")
    pool.prepare(spec)
    Deadline(10).poll(lambda: bool(pool._waiting), "its beginning")
    Deadline(10).poll(pool._waiting[0].guest.done, "its end")
    forks.error = None
    assert pool.start(spec()) is forks.made[0]


def test_none_outlives_the_pool(pool: Pool, forks: Any) -> None:
    prepared(pool, spec(), forks)
    pool.close()
    assert forks.made[0].closed
    pool.prepare(spec)
    assert len(forks.made) == 1


def test_one_that_comes_too_late_does_not_outlive_it(pool: Pool, forks: Any) -> None:
    forks.gate.clear()
    pool.prepare(spec)
    Deadline(10).poll(lambda: bool(pool._waiting), "its beginning")
    threading.Timer(0.1, forks.gate.set).start()
    pool.close()
    assert forks.made[0].closed


def test_there_is_room_for_so_many_and_it_comes_back(
    pool: Pool, forks: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slots, "capacity", lambda _memory: 1)
    prepared(pool, spec(), forks)
    pool.prepare(spec)
    done = threading.Event()
    pool.prepare(lambda: done.set() or None)  # type: ignore[func-returns-value]
    assert done.wait(10)  # one worker: what came before has been looked at
    assert len(forks.made) == 1
    pool.start(spec())
    prepared(pool, spec(), forks, 2)


def test_nothing_waits_where_guests_are_booted(pool: Pool, forks: Any) -> None:
    forks.cold = True
    pool.prepare(lambda: pytest.fail("looked for"))
    assert not pool._waiting
