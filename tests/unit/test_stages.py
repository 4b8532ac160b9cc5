# SPDX-License-Identifier: GPL-2.0-only
"""Stages are announced in order, and only one that ended well is announced as finished."""

from __future__ import annotations

import pytest

from lab.errors import UserError
from lab.events import Event, StageFinished, StageProgress, StageStarted
from lab.stages import Stages


def test_a_stage_that_ends_well_has_both_events_in_order() -> None:
    seen: list[Event] = []
    stages = Stages("kernel x", seen.append)
    with stages.stage("compile", 2):
        stages.progress("compile", 1, 2, "a.o")
    assert seen[:2] == [
        StageStarted("kernel x", "compile", 2),
        StageProgress("kernel x", "compile", 1, 2, "a.o"),
    ]
    (finished,) = seen[2:]
    assert isinstance(finished, StageFinished)
    assert (finished.job, finished.stage) == ("kernel x", "compile")
    assert finished.seconds >= 0


def test_a_stage_that_fails_is_not_announced_as_finished() -> None:
    seen: list[Event] = []

    def fail() -> None:
        with Stages("kernel x", seen.append).stage("compile"):
            raise UserError("no compiler")

    with pytest.raises(UserError, match="no compiler"):
        fail()
    assert seen == [StageStarted("kernel x", "compile")]


def test_a_body_may_return_from_within_a_stage() -> None:
    seen: list[Event] = []

    def work() -> int:
        with Stages("kernel x", seen.append).stage("compile"):
            return 1

    assert work() == 1
    assert [event.kind for event in seen] == ["StageStarted", "StageFinished"]
