# SPDX-License-Identifier: GPL-2.0-only
"""The shipped scenarios, all of them, as a user runs them; forked and booted alike."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from harness import judged_again
from harness.paths import TESTS

from lab.report.result import Result
from lab.vm import slots
from lab.vm.argv import Shape
from lab.workspace import CHECKOUT

# What programs do to the kernel there takes long, and not because of how a guest came to
# be: each night looks at it all.
NIGHTLY_COLD = ("nesting", "stack", "termination")
# Controls without the watchdog wait for the kernel's detectors: half of all the time. Each night
# has them all; here there is one for each of the ways in which a loop is ended.
NIGHTLY_CONTROLS = "not without-watchdog or plain- or interrupts-off-"

MUTANTS = "mutants"
# These tests run when all others are done (tests/harness/schedule.py): the host is theirs.
WORKERS = str(slots.capacity(Shape().memory))

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("spec")]


def run_all(results: Path, *options: str, leave_out: tuple[str, ...] = ()) -> dict[str, Result]:
    folders = sorted(
        path for path in (CHECKOUT / "scenarios").iterdir() if path.name not in leave_out
    )
    words = ["pytest", "-n", WORKERS, "-q", "--accel", "tcg", *options]
    words += ["-p", "harness.judged_again", *map(str, folders)]
    tests = str(TESTS)
    done = subprocess.run(
        [sys.executable, "-m", *words],
        cwd=CHECKOUT,
        env={
            **os.environ,
            "LAB_RESULTS": str(results),
            "LAB_MUTANTS": str(results / MUTANTS),
            "PYTHONPATH": os.pathsep.join(filter(None, (tests, os.environ.get("PYTHONPATH")))),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-20_000:]
    assert " passed" in done.stdout
    assert "failed" not in done.stdout
    assert "lab: time of" in done.stdout
    (lines,) = results.rglob("results.jsonl")
    found = [Result.from_json(line) for line in lines.read_text().splitlines()]
    return {result.item: result for result in found}


@pytest.fixture(scope="module")
def forked_results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("forked")


@pytest.fixture(scope="module")
def forked(forked_results: Path) -> dict[str, Result]:
    some = () if os.environ.get("LAB_NIGHTLY") else ("-k", NIGHTLY_CONTROLS)
    return run_all(forked_results, *some)


def test_every_shipped_scenario_passes_in_a_fork(forked: dict[str, Result]) -> None:
    assert len(forked) > 30
    assert {result.guest for result in forked.values()} == {"fork"}
    assert {result.verdict for result in forked.values()} == {"passed"}


def test_each_expectation_of_each_shipped_item_can_fail(
    forked: dict[str, Result], forked_results: Path
) -> None:
    """An expectation that holds when it is inverted shows nothing: see mutants.py."""
    entries = judged_again.read(forked_results / MUTANTS)
    assert len(entries) == len(forked)
    assert min(entry["mutants"] for entry in entries if entry["control"] is None) > 10
    assert [entry for entry in entries if entry["survivors"]] == []


def test_each_stored_observation_is_judged_alike(
    forked: dict[str, Result], forked_results: Path
) -> None:
    entries = judged_again.read(forked_results / MUTANTS)
    assert len(entries) == len(forked)
    assert [entry["item"] for entry in entries if not entry["stored_alike"]] == []


def test_verdicts_are_the_same_in_booted_guests(forked: dict[str, Result], tmp_path: Path) -> None:
    left_out = () if os.environ.get("LAB_NIGHTLY") else NIGHTLY_COLD
    some = () if os.environ.get("LAB_NIGHTLY") else ("-k", NIGHTLY_CONTROLS)
    cold = run_all(tmp_path, "--cold", *some, leave_out=left_out)
    assert {result.guest for result in cold.values()} == {"cold"}
    alike = {item: it for item, it in forked.items() if item.split("/")[0] not in left_out}
    assert len(alike) > 90
    assert judged(cold) == judged(alike)


def test_ebpf_and_modules_do_not_notice_rex(forked: dict[str, Result], tmp_path: Path) -> None:
    """Each scenario for `stock` has the same result on the patched kernel."""
    rex = run_all(tmp_path, "--kernel", "rex", "-m", "not rust")
    assert {result.flavor for result in rex.values()} == {"rex"}
    stock = {item: result for item, result in forked.items() if result.flavor == "stock"}
    assert len(stock) > 30
    assert {(item.replace("@rex", "@stock"), *result) for item, result in judged(rex).items()} == {
        (item, *result) for item, result in judged(stock).items()
    }


def judged(results: dict[str, Result]) -> dict[str, tuple[object, ...]]:
    """Return the parts of results that must not depend on how a guest started.

    A control that passed has reasons, which are the failures without its protection. They may
    differ between runs; so may the state of the kernel after them.
    """
    return {
        item: (result.verdict,)
        if result.verdict == "passed" and result.reasons
        else (result.verdict, result.state, *result.reasons)
        for item, result in results.items()
    }
