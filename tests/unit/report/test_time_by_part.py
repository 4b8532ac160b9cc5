# SPDX-License-Identifier: GPL-2.0-only
"""The line that says where time went."""

from __future__ import annotations

from lab.report.time_by_part import time_by_part


def test_shares_are_of_the_work_and_waiting_for_a_slot_is_none() -> None:
    line = time_by_part([{"start": 1.0, "wait": 50.0, "steps": 2.0}, {"start": 1.0}])
    assert line == (
        "time of 2 items by part: start 2.0 s (50 %), steps 2.0 s (50 %); "
        "also waited for a slot: 50.0 s"
    )


def test_a_wait_of_no_more_than_a_second_in_all_is_left_out() -> None:
    line = time_by_part([{"wait": 0.5, "steps": 2.0}, {"wait": 0.5}])
    assert line == "time of 2 items by part: steps 2.0 s (100 %)"


def test_nothing_at_all_has_a_line_too() -> None:
    assert time_by_part([{}]) == "time of 1 items by part: "
