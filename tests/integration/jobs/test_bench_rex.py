# SPDX-License-Identifier: GPL-2.0-only
"""`lab bench rex` on real guests: all figures are there, and instructions are counted exactly.

Nothing is asserted about how fast anything is.
"""

from __future__ import annotations

import pytest

from lab.jobs.bench import rex_rows as rows
from lab.jobs.bench.rex import RexBenchmark, RexFigures, RexOptions
from lab.runner.plan import Planner

# What the kernel allows of tail calls, and how deep the recursion is.
CALLS = 33

TIMES = ("path", "run", "panic", "load", "ebpf_run", "ebpf_load")
COUNTS = ("count_path", "count", "count_panic", "count_load", "ebpf_count", "ebpf_count_load")
# But for loading, which interrupts are part of.
EXACT = ("count_path", "count", "count_panic", "ebpf_count")
# What has nothing to be compared with.
ALONE = (
    ("load", rows.LARGE),
    ("count_load", rows.LARGE),
    ("panic", "thrown"),
    ("count_panic", "thrown"),
)


@pytest.fixture(scope="module")
def found(planner: Planner) -> RexFigures:
    """A short run of the whole benchmark: five guests."""
    return RexBenchmark(
        planner, RexOptions(boots=1, samples=4, runs=10, warm=10, loads=1)
    ).measure()


def test_all_figures_are_there(found: RexFigures) -> None:
    assert tuple(group.name for group in found.groups) == (*TIMES, *COUNTS)
    for name in ("run", "ebpf_run", "count", "ebpf_count"):
        assert tuple(row.name for row in found.group(name).rows) == rows.MEASURED
    for group in found.groups:
        for row in group.rows:
            missing = (row.base is None) + (row.other is None)
            expected = (group.name, row.name) in ALONE or len(group.columns) == 1
            assert missing == expected, (group.name, row.name)
    assert found.group("run").row("empty").base.samples == 4  # type: ignore[union-attr]


def test_two_guests_count_the_same_instructions(found: RexFigures) -> None:
    assert found.repeated is True
    for name in EXACT:
        for row in found.group(name).rows:
            figures = [figure for figure in (row.base, row.other) if figure is not None]
            assert all(figure.exact for figure in figures), (name, row.name)


def test_ordinary_ebpf_runs_the_same_instructions_beside_rex(found: RexFigures) -> None:
    for row in found.group("ebpf_count").rows:
        assert row.ratio == 1.0, row.name


def test_the_programs_do_what_is_counted(found: RexFigures) -> None:
    counts = {row.name: row for row in found.group("count").rows}
    for name in ("array", "hash", "spin"):
        # Each of its steps is a call or what was put in its place: more than a jump or two.
        assert counts[name].base.median > 5  # type: ignore[union-attr]
        assert counts[name].other.median > 5  # type: ignore[union-attr]
    calls, empty = counts["calls"], counts["empty"]
    for one, nothing in ((calls.base, empty.base), (calls.other, empty.other)):
        assert one is not None
        assert nothing is not None
        assert one.median - nothing.median > 3 * CALLS
