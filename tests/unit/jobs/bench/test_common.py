# SPDX-License-Identifier: GPL-2.0-only
"""Test the common parts of benchmarks: amounts, reasons not to measure, and requests."""

from __future__ import annotations

from unittest.mock import create_autospec

import pytest

from lab.errors import InfraError, UserError
from lab.guest import meter
from lab.guest.guest import Guest
from lab.guest.loader import Loader, LoaderAnswer
from lab.guest.meter import Reading, Samples
from lab.jobs.bench import common
from lab.jobs.bench.common import SampleOptions
from lab.jobs.bench.rex import RexOptions
from lab.kernel.artifact import Kernel
from lab.runner.plan import Planner
from lab.vm.accel import Accel


def planner(accel: str) -> Planner:
    made: Planner = create_autospec(Planner, instance=True)
    chosen = create_autospec(Accel, instance=True)
    chosen.name = accel
    made.chosen_accel.return_value = chosen  # type: ignore[attr-defined]
    return made


@pytest.mark.parametrize(("samples", "batches"), [(200, 50), (4, 1), (5, 2), (1, 1)])
def test_the_samples_of_a_guest_are_taken_in_turns(samples: int, batches: int) -> None:
    options = SampleOptions(samples=samples)
    assert options.batches == batches
    assert options.as_data()["brackets_in_each"] == batches * common.TURNS


def test_loads_are_among_the_amounts_of_the_rex_benchmark() -> None:
    assert RexOptions(boots=2, samples=4, runs=3, loads=7).as_data() == {
        "guests": 2,
        "brackets_in_each": 4,
        "runs_in_each": 3,
        "loads_in_each": 7,
    }


def test_instructions_are_counted_under_emulation_if_asked_for() -> None:
    assert "emulation only" in common.why_no_counts(planner("kvm"), SampleOptions())
    assert common.why_no_counts(planner("tcg"), SampleOptions(counts=False)) == "not asked for"
    assert common.why_no_counts(planner("tcg"), SampleOptions()) == ""


def test_a_kernel_without_rex_is_the_users_mistake() -> None:
    kernel = create_autospec(Kernel, instance=True)
    kernel.has.return_value = False
    made = planner("tcg")
    made.kernel.return_value = kernel  # type: ignore[attr-defined]
    with pytest.raises(UserError, match="kernel stock ends no programs") as caught:
        common.rex_kernel(made, "stock", "ends no programs")
    assert "flavor rex" in caught.value.hint


def test_a_request_that_fails_names_what_was_asked_for() -> None:
    guest = create_autospec(Guest, instance=True)
    guest.loader = create_autospec(Loader, instance=True)
    guest.loader.call.return_value = LoaderAnswer({"ok": False, "error": "ENOENT"})
    with pytest.raises(InfraError, match=r"pin rex empty: .*ENOENT"):
        common.pin(guest, "rex", "empty", "rex_empty")


def test_a_program_that_failed_has_no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    reading = Reading(1000, {"a": Samples((1, 2), 5, 0), "b": Samples((1, 2), 5, -1)})
    monkeypatch.setattr(meter, "measure", lambda *_args, **_more: reading)
    guest = create_autospec(Guest, instance=True)
    with pytest.raises(InfraError, match="programs failed: b"):
        common.read(guest, ["a", "b"], 2, 5, 0)
