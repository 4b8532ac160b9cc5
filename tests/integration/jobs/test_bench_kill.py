# SPDX-License-Identifier: GPL-2.0-only
"""`lab bench kill` on real guests: every kill is there, none too early, none much too late.

By the clock a busy host is in each figure; only what instructions say is looked at.
"""

from __future__ import annotations

import pytest

from lab.errors import UserError
from lab.jobs.bench.kill import KillBenchmark, KillFigures, KillOptions
from lab.jobs.bench.kill_rows import CASES, Case, Latency, tick_ms
from lab.runner.plan import Planner

KILLS = 10
BUDGET_MS = 10


@pytest.fixture(scope="module")
def found(planner: Planner) -> KillFigures:
    """A short run of the whole benchmark: two guests."""
    return KillBenchmark(planner, KillOptions(kills=KILLS, budget_ms=BUDGET_MS)).measure()


def counted(found: KillFigures, name: str) -> Latency:
    latency = found.row(name).icount
    assert latency is not None
    return latency


def test_every_context_is_measured_by_both_clocks(found: KillFigures) -> None:
    assert [row.case for row in found.rows] == list(CASES)
    for row in found.rows:
        assert row.clock is not None
        assert row.clock.kills == KILLS
        # A host that takes the CPU away makes it longer, nothing makes it shorter.
        assert row.clock.minimum > 0, row.case.name
    assert set(found.path_ns) == {"clock", "icount"}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_no_program_is_ended_before_its_budget_or_beyond_the_bound(
    found: KillFigures, case: Case
) -> None:
    latency = counted(found, case.name)
    assert latency.kills == KILLS
    assert latency.minimum > 0
    # What else the interrupt has to do that ends a run is not the watchdog's: once in a
    # thousand kills that is more than the bound allows for, and never a tick.
    assert latency.maximum < found.row(case.name).bound_ms + tick_ms(BUDGET_MS), latency


def test_runs_begin_at_any_time_between_two_ticks(found: KillFigures) -> None:
    latency = counted(found, "task")
    assert latency.maximum - latency.minimum > tick_ms(BUDGET_MS) / 4


def test_a_kernel_that_ends_nothing_is_refused(planner: Planner) -> None:
    with pytest.raises(UserError, match="has no CONFIG_BPF_REX"):
        KillBenchmark(planner, KillOptions(kills=1), "stock").measure()
