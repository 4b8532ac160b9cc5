# SPDX-License-Identifier: GPL-2.0-only
"""Test the judgement of a soak: a silent guest, growth, figures for JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from lab.errors import InfraError
from lab.jobs.soak.options import SoakOptions, SoakResult
from lab.jobs.soak.plan import draw
from lab.jobs.soak.run import SLOPE_ROUNDS, SLOPE_WARM, Soak, item_of
from lab.judge.observation import Observation


class Quiet:
    """A watch that heard nothing."""

    def reports(self) -> list[Any]:
        return []


def soak(tmp_path: Path) -> Soak:
    return Soak(cast(Any, None), cast(Any, None), SoakOptions(1), folder=tmp_path)


def judged(tmp_path: Path, seen: Observation) -> Any:
    drawn = draw(1, 1, 4)
    item = item_of(drawn, "rex")
    judgement, _ = soak(tmp_path)._judge(drawn, item, seen, cast(Any, Quiet()))
    return judgement


def test_a_guest_that_falls_silent_is_a_finding(tmp_path: Path) -> None:
    seen = Observation(infra_error=InfraError("the guest does not answer"))
    seen.facts["cpus"] = "CPU 0: stop_machine_yield+0x2"
    judgement = judged(tmp_path, seen)
    assert judgement.verdict == "failed"
    assert "stop_machine_yield" in judgement.reasons[0]


def test_what_the_lab_could_not_do_is_none(tmp_path: Path) -> None:
    seen = Observation(infra_error=InfraError("QEMU could not be asked"))
    assert judged(tmp_path, seen).verdict == "error"


def test_a_round_whose_runs_do_not_balance(tmp_path: Path) -> None:
    ends = dict.fromkeys(("panicked", "faulted", "terminated", "overflowed"), 0)
    seen = Observation(state="alive", leaked=[], counters={}, taint="")
    seen.rex_total = cast(Any, {"runs": 8, "returned": 8, "repaired": 0, **ends})
    assert judged(tmp_path, seen).verdict == "passed"
    seen.rex_total = cast(Any, {"runs": 9, "returned": 8, "repaired": 0, **ends})
    judgement = judged(tmp_path, seen)
    assert judgement.verdict == "failed"
    assert judgement.reasons == ("runs that ended: expected 9, but it is 8",)


@pytest.mark.parametrize(
    ("rounds", "rise", "sanitized", "verdict"),
    [
        (SLOPE_ROUNDS + SLOPE_WARM, 7.0, False, "passed"),
        (SLOPE_ROUNDS + SLOPE_WARM, 40.0, False, "failed"),
        (SLOPE_ROUNDS + SLOPE_WARM, 40.0, True, "passed"),
        (SLOPE_ROUNDS + SLOPE_WARM - 1, 40.0, False, "passed"),
    ],
)
def test_growth(tmp_path: Path, rounds: int, rise: float, sanitized: bool, verdict: str) -> None:
    soaked = SoakResult(SoakOptions(1), {})
    for turn in range(1, rounds + 1):
        amounts = {"slab": 20000 + rise * turn, "percpu": 900.0, "vmalloc": 4000.0, "used": 1.0}
        soaked.gauges.append({"turn": float(turn), **amounts})
    soak(tmp_path)._judge_slopes(soaked, sanitized)
    assert soaked.verdict == verdict
    assert bool(soaked.slopes) == (rounds >= SLOPE_ROUNDS + SLOPE_WARM)
    assert soaked.as_data()["verdict"] == verdict
