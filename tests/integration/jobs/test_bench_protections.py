# SPDX-License-Identifier: GPL-2.0-only
"""`lab bench protections` on real guests: all figures are there, and counted exactly.

Nothing is asserted about how fast anything is.
"""

from __future__ import annotations

import pytest

from lab.jobs.bench import protections_rows as rows
from lab.jobs.bench.protections import ProtectionsBenchmark, ProtectionsFigures, ProtectionsOptions
from lab.runner.plan import Planner

GROUPS = ("depth", "levels", "indexed", "frames", "protections")


@pytest.fixture(scope="module")
def found(planner: Planner) -> ProtectionsFigures:
    """A short run of the whole benchmark: two guests."""
    return ProtectionsBenchmark(
        planner, ProtectionsOptions(boots=1, samples=4, runs=10, warm=10)
    ).measure()


def test_all_figures_are_there(found: ProtectionsFigures) -> None:
    names = [group.name for group in found.groups]
    for name in GROUPS:
        assert {name, f"count_{name}"} <= set(names)
        for row in (*found.group(name).rows, *found.group(f"count_{name}").rows):
            assert row.base is not None
            assert row.other is not None
    assert ("stack_check" in names) == (not found.why_no_stack_check)


def test_calls_are_counted_exactly_and_each_level_costs_the_same(found: ProtectionsFigures) -> None:
    for name in ("levels", "indexed"):
        group = found.group(f"count_{name}")
        for column in ("base", "other"):
            costs = {}
            for depth in rows.DEPTHS:
                figure = getattr(group.row(str(depth)), column)
                assert figure.exact, (name, depth)
                costs[depth] = figure.median
            # Else some program does not go as deep as its name says.
            step = costs[2] - costs[1]
            assert step > 3
            for depth, cost in costs.items():
                assert cost == costs[1] + step * (depth - 1), (name, column, depth)


def test_a_tick_is_more_than_nothing_and_less_than_a_tick_apart(found: ProtectionsFigures) -> None:
    tick = found.group("count_ticks").row("tick").base
    assert tick is not None
    assert 100 < tick.median < 100_000
