# SPDX-License-Identifier: GPL-2.0-only
"""Test what oracles see of native programs: seeded faults, and a benign run without findings."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from harness.rex_guest import RexGuest, start
from harness.rex_programs import build

from lab.guest.forks import Forks
from lab.judge.extension_reports import ExtensionReport, with_names
from lab.oracle.console.lines import Shape
from lab.runner.baseline import take_baseline
from lab.runner.plan import Planner
from lab.runner.watch import Watch
from lab.scenario.model.base import Ref

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return build(tmp_path_factory.mktemp("image"))


@pytest.fixture
def seen(
    planner: Planner, forks: Forks, built: tuple[Path, Path]
) -> Iterator[tuple[RexGuest, Watch]]:
    options = planner.kernel("rex").config_options
    for rex_guest in start(planner, forks, built):
        shape = Shape.of_kernel(options, ["console_msg_format=syslog"])
        watch = Watch(rex_guest.guest, take_baseline(rex_guest.guest), shape)
        yield rex_guest, watch
        watch.close()


def named(watch: Watch, image: Path) -> list[ExtensionReport]:
    """The reports, as if every program were of one extension with this image."""
    watch.fence()
    found = watch.rex_reports()
    refs = {report.id: Ref("main", report.program) for report in found}
    reports, problem = with_names(found, refs, {"main": image})
    assert problem == ""
    return reports


def rose(watch: Watch) -> dict[str, int]:
    return {name: count for name, count in watch.rex().items() if count}


def test_a_benign_run_is_counted_and_reported_nowhere(seen: tuple[RexGuest, Watch]) -> None:
    rex_guest, watch = seen
    rex_guest.run("hello", 3)  # says `rex: forged[1]: line` each time
    assert rose(watch) == {"runs": 3, "returned": 3}
    assert named(watch, rex_guest.image) == []
    aftermath = watch.aftermath()
    assert (aftermath.left, aftermath.rex["returned"]) == ([], 3)


def test_a_panic_is_reported_with_the_functions_that_led_to_it(
    seen: tuple[RexGuest, Watch],
) -> None:
    rex_guest, watch = seen
    rex_guest.run("panics")
    (found,) = named(watch, rex_guest.image)
    assert found.report.ending == "panicked"
    assert found.report.message == "deep down"
    assert found.report.place.startswith("image.c:")
    # Three calls of itself, and the one that began.
    functions = [frame.function for frame in found.frames]
    assert functions[:4] == ["deep"] * 4
    assert functions[4:] == ["panics"]
    assert rose(watch) == {"runs": 1, "panicked": 1}


def test_what_was_released_is_reported_and_counted(seen: tuple[RexGuest, Watch]) -> None:
    rex_guest, watch = seen
    rex_guest.run("faults_holding", 2)
    held = {"spin_lock": 1, "rcu": 1, "ringbuf": 1, "task": 2}
    reports = named(watch, rex_guest.image)
    assert [dict(found.report.released) for found in reports] == [held, held]
    assert [found.frames[0].function for found in reports] == ["faults_holding"] * 2
    counted = rose(watch)
    assert counted == {"runs": 2, "faulted": 2} | {
        f"released_{what}": 2 * count for what, count in held.items()
    }
    assert watch.aftermath().left == []


def test_a_state_that_was_put_right_is_counted(seen: tuple[RexGuest, Watch]) -> None:
    rex_guest, watch = seen
    rex_guest.run("disturbs")
    assert rose(watch)["repaired"] == 1


def test_control_without_the_ledger_what_is_held_stays_held(seen: tuple[RexGuest, Watch]) -> None:
    rex_guest, watch = seen
    rex_guest.guest.run("echo 1 > /sys/kernel/debug/rex/unprotected")
    count = rex_guest.run("fills_ledger")["retval"]
    assert count > 0
    assert watch.aftermath(leak_expected=True).left == [f"rex task {count}"]
