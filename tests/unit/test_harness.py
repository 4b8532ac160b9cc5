# SPDX-License-Identifier: GPL-2.0-only
"""The harness gives tests to workers by file, and adds up their time."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from harness import schedule
from harness.paths import TESTS
from harness.schedule import LAST, ByFile, place
from harness.time_by_file import time_by_file

ROOT = "tests"
GUESTS = [f"{ROOT}/integration/rex/test_{name}.py" for name in ("files", "stack", "watchdog")]
LOGIC = [f"{ROOT}/unit/vm/test_{name}.py" for name in ("argv", "qmp")]
COLLECTED = [
    f"{path}::test_{number}"
    for path in [f"{ROOT}/integration/jobs/test_alone.py", *LOGIC, f"{ROOT}/{LAST[0]}", *GUESTS]
    for number in range(4)
]


class Worker:
    """A stand-in for a worker of pytest-xdist: it records its tests and runs none."""

    def __init__(self) -> None:
        self.given: list[int] = []
        self.done = 0
        self.shutting_down = False
        self.gateway = SimpleNamespace(id="gw")

    def send_runtest_some(self, indices: list[int]) -> None:
        self.given += indices

    def shutdown(self) -> None:
        self.shutting_down = True

    @property
    def ready(self) -> bool:
        """Tell if it can run a test: it first has to know the next one, or that none comes."""
        return self.done < len(self.given) - (0 if self.shutting_down else 1)


def run(collected: list[str], speeds: tuple[int, ...]) -> list[list[str]]:
    """Return the tests of each worker, in order; `speeds` are its tests per turn."""
    config: Any = SimpleNamespace(
        getvalue=lambda name: ["popen"] * len(speeds),
        option=SimpleNamespace(loadscopereorder=False),
    )
    scheduler = ByFile(config)
    workers: list[Any] = [Worker() for _ in speeds]
    for worker in workers:
        scheduler.add_node(worker)
        scheduler.add_node_collection(worker, collected)
    scheduler.schedule()
    while any(worker.ready for worker in workers):
        for worker, speed in zip(workers, speeds, strict=True):
            for _ in range(speed):
                if worker.ready:
                    worker.done += 1
                    scheduler.mark_test_complete(worker, worker.given[worker.done - 1])
    return [[collected[number] for number in worker.given[: worker.done]] for worker in workers]


@pytest.mark.parametrize("speeds", [(1,), (1, 1), (3, 1), (1, 2, 5)])
def test_every_test_runs_once_and_a_file_stays_on_one_worker(speeds: tuple[int, ...]) -> None:
    ordered = sorted(COLLECTED, key=place)
    ran = run(ordered, speeds)
    assert sorted(test for tests in ran for test in tests) == sorted(COLLECTED)
    files = [{test.partition("::")[0] for test in tests} for tests in ran]
    assert sum(map(len, files)) == len(set.union(*files))


@pytest.mark.parametrize("speeds", [(1, 1), (3, 1)])
def test_files_that_use_the_whole_host_come_last_on_one_worker(
    speeds: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schedule, "LAST", (*LAST, "integration/jobs/test_alone.py"))
    ran = run(sorted(COLLECTED, key=place), speeds)
    last = [test for test in COLLECTED if place(test)[0] == 2]
    assert len(last) == 8
    # In the order of the list, whatever their names are.
    expected = sorted(last, key=lambda test: "test_alone" in test)
    assert sum(tests[-8:] == expected for tests in ran) == 1


def test_each_file_that_runs_last_exists() -> None:
    assert [name for name in LAST if not (TESTS / name).is_file()] == []


def test_guests_come_before_logic() -> None:
    ordered = sorted(COLLECTED, key=place)
    kinds = ["/integration/" in test for test in ordered if LAST[0] not in test]
    assert kinds == sorted(kinds, reverse=True)
    # Within a kind the order of collection stays, or module fixtures would be made twice.
    assert [test for test in ordered if "/unit/" in test] == COLLECTED[4:12]


def test_time_is_added_up_by_file() -> None:
    phases = [
        ("a.py::test_short", "setup", 0.5),
        ("a.py::test_short", "call", 1.0),
        ("b.py::test_long[x::y]", "setup", 4.0),
        ("b.py::test_long[x::y]", "call", 7.0),
        ("b.py::test_long[x::y]", "teardown", 1.0),
        ("b.py::test_skipped", "setup", 0.0),
        ("c.py::test_middle", "setup", 0.0),
        ("c.py::test_middle", "call", 5.0),
        ("d.py::test_broken", "setup", 0.25),
    ]
    assert [line.split(maxsplit=3) for line in time_by_file(phases)] == [
        ["12.0", "s", "2", "b.py"],
        ["5.0", "s", "1", "c.py"],
        ["1.8", "s", "2", "(2 other files)"],
        ["18.8", "s", "5", "(sum over all workers)"],
    ]


def test_a_short_run_has_no_table() -> None:
    assert time_by_file([]) == []
    assert time_by_file([("a.py::test_short", "call", 1.0)]) == []
