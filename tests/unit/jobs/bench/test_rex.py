# SPDX-License-Identifier: GPL-2.0-only
"""Test the figures of `lab bench rex`, and their output."""

from __future__ import annotations

import json
import statistics
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from typer.testing import CliRunner

from lab.cli.bench.app import app
from lab.cli.bench.rex import show
from lab.errors import InfraError, UserError
from lab.guest.meter import CALL, LOOP, Reading, Samples, parse
from lab.jobs.bench import rex_rows as rows
from lab.jobs.bench.figures import Figure, Group, Row, less, percentile
from lab.jobs.bench.rex import RexFigures
from lab.jobs.bench.rex_rows import Taken, add

NUMBERS = st.lists(st.integers(-1000, 1000), min_size=1, max_size=50)


def test_a_percentile_lies_between_two_samples_by_distance() -> None:
    assert percentile([10, 20], 5) == 10.5
    assert percentile([1, 2, 3], 50) == 2
    assert percentile([7], 95) == 7
    assert percentile(list(range(101)), 95) == 95


@given(NUMBERS)
def test_a_figure_is_ordered_and_within_its_samples(values: list[int]) -> None:
    figure = Figure.of(values)
    assert min(values) <= figure.low <= figure.median <= figure.high <= max(values)
    assert figure.median == statistics.median(values)
    assert figure.samples == len(values)
    if len(set(values)) == 1:
        assert figure.exact == (len(values) > 1)  # one sample repeats nothing


def test_there_is_no_figure_without_samples() -> None:
    with pytest.raises(ValueError, match="without samples"):
        Figure.of([])


def test_what_hits_neighbours_alike_is_subtracted_with_them() -> None:
    assert less([26.0, 126.0], [10.0, 110.0], 16) == [1.0, 1.0]
    with pytest.raises(ValueError, match="zip"):
        less([1.0], [1.0, 2.0])


def test_a_ratio_needs_both_and_something_to_divide_by() -> None:
    two, three, none = (Figure.of([value]) for value in (2.0, 3.0, 0.0))
    assert Row("a", "a", two, three).ratio == 1.5
    assert Row("a", "a", two, None).ratio is None
    assert Row("a", "a", none, three).ratio is None


def test_the_modules_results_are_read() -> None:
    reading = parse("tsc_khz 1000\nloop 0 5 6\n/sys/fs/bpf/rex_empty 2 7 8\n", 10)
    assert reading == Reading(
        1000, {"loop": Samples((5, 6), 10, 0), "rex_empty": Samples((7, 8), 10, 2)}
    )


@pytest.mark.parametrize(
    "text",
    ["", "tsc_khz\n", "khz 5\nloop 0 1\n", "tsc_khz 0\nloop 0 1\n", "tsc_khz 5\n",
     "tsc_khz 5\nloop 0 x\n", "tsc_khz 5\nloop 0 1\ncall 0 1 2\n"],
)  # fmt: skip
def test_what_is_no_result_is_the_labs_error(text: str) -> None:
    with pytest.raises(InfraError, match="malformed answer"):
        parse(text, 10)


# Cycles at 1 MHz: one cycle is 1000 ns.
COSTS = {
    LOOP: 1, CALL: 3, "ebpf_empty": 5, "rex_empty": 6,
    "ebpf_array": 5 + 16 * 2, "rex_array": 6 + 16 * 3, "ebpf_hash": 5 + 16 * 4,
    "rex_hash": 6 + 16 * 6, "ebpf_spin": 5 + 16 * (2 + 10), "rex_spin": 6 + 16 * (3 + 20),
    "ebpf_calls": 101, "rex_calls": 51, "rex_panics": 41,
}  # fmt: skip


def reading(names: list[str], runs: int, samples: int = 8, overhead: int = 0) -> Reading:
    return Reading(
        1000,
        {
            name: Samples((overhead + COSTS[name] * runs,) * samples, runs, 0)
            for name in names
        },
    )  # fmt: skip


LOADS = {"ebpf": [2e6, 4e6], "rex": [1e6, 2e6], "large": [9e6]}


def figures() -> tuple[Group, ...]:
    on_rex, on_stock = Taken(), Taken()
    add(reading(rows.on_rex(), 4), on_rex.runs)
    add(reading(rows.of_panics(), 4), on_rex.panics)
    add(reading([LOOP, "rex_panics"], 1), on_rex.reported, skip=5)
    add(reading(rows.on_stock(), 4), on_stock.runs)
    on_rex.loads = on_stock.loads = LOADS
    return rows.timed(on_rex, on_stock)


def counts() -> tuple[Group, ...]:
    names = [*rows.on_rex(), "rex_panics"]
    taken = Taken.between(reading(names, 100, 5, 77), reading(names, 200, 5, 77), parts=100)
    taken.loads = LOADS
    return rows.counted(taken, taken, taken)


def medians(group: Group) -> dict[str, tuple[float | None, float | None]]:
    return {
        row.name: (
            None if row.base is None else row.base.median,
            None if row.other is None else row.other.median,
        )
        for row in group.rows
    }


def test_each_figure_is_of_its_own_programs_without_what_is_not_its_own() -> None:
    expected = {
        "empty": (4, 5), "array": (2, 3), "hash": (4, 6), "spin": (10, 20), "calls": (100, 50)
    }  # fmt: skip
    times, instructions = {one.name: one for one in figures()}, {one.name: one for one in counts()}
    assert medians(instructions["count"]) == expected
    assert medians(times["run"]) == {
        name: (base * 1000, other * 1000) for name, (base, other) in expected.items()
    }
    assert [row.ratio for row in times["ebpf_run"].rows] == [1.0] * 5
    assert medians(times["panic"]) == {
        "thrown": (None, 35000), "unreported": (5000, 40000), "reported": (5000, 40000)
    }  # fmt: skip
    assert times["panic"].row("reported").other == Figure(40000, 40000, 40000, 3)
    assert medians(times["load"]) == {"programs": (3, 1.5), "large": (9, None)}
    assert medians(times["ebpf_load"]) == {"programs": (3, 3), "large": (9, 9)}
    assert medians(instructions["count_load"]) == {"programs": (3000, 1500), "large": (9000, None)}
    assert medians(instructions["count_path"]) == {"loop": (1, None), "call": (2, None)}
    # It has the samples of both guests, and not the cost of a batch.
    assert instructions["count"].row("empty").base == Figure(4, 4, 4, 10)


ABOUT = {
    "accelerator": "tcg",
    "host": {"cpu": "a CPU"},
    "kernels": {"rex": {"release": "6.12-rex"}, "stock": {"release": "6.12-stock"}},
}


def shown(found: RexFigures) -> str:
    console = Console(width=120, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    show(found, console)
    return console.export_text()


def test_all_figures_are_shown_with_their_spread_and_ratio() -> None:
    text = shown(RexFigures(ABOUT, (*figures(), *counts()), True))
    assert "6.12-rex, 6.12-stock" in text
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert "33 calls: tail calls, recursion 100 exactly 50 exactly 0.50" in lines
    assert any(line.startswith("6 programs and their maps 3 2.1 to 3.9 1.5") for line in lines)
    assert "Both guests counted the same" in text


def test_counts_that_differ_or_are_missing_are_said() -> None:
    assert "did not count the same" in shown(RexFigures(ABOUT, (), False))
    assert "No instruction counts: on KVM." in shown(RexFigures(ABOUT, (), None, "on KVM"))


def test_a_file_that_cannot_be_written_is_said_before_anything_is_measured(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["rex", "--json", str(tmp_path / "no" / "file")])
    assert isinstance(result.exception, UserError)
    assert "can't be written: No such file" in str(result.exception)


def test_the_json_has_every_figure_under_its_columns_name() -> None:
    data = json.loads(json.dumps(RexFigures(ABOUT, (*figures(), *counts()), True).as_data()))
    assert data["version"] == 1
    assert data["instruction_counts_repeat"] is True
    groups = {group["name"]: group for group in data["groups"]}
    assert list(groups) == [
        "path", "run", "panic", "load", "ebpf_run", "ebpf_load",
        "count_path", "count", "count_panic", "count_load", "ebpf_count", "ebpf_count_load",
    ]  # fmt: skip
    empty = groups["count"]["rows"][0]
    assert empty["ebpf"] == {"median": 4, "low": 4, "high": 4, "samples": 10}
    assert empty["ratio"] == 1.25
    assert groups["load"]["rows"][1]["rex"] is None
    assert groups["path"]["rows"][0]["both"]["median"] == 1000
