# SPDX-License-Identifier: GPL-2.0-only
"""Test the figures of `lab bench kill`, and their output."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from lab.cli.bench.app import app
from lab.cli.bench.kill import show
from lab.errors import InfraError, UserError
from lab.guest.kills import parse
from lab.jobs.bench import kill_rows as rows
from lab.jobs.bench.kill import KillFigures, KillOptions
from lab.jobs.bench.kill_rows import CASES, Latency, Row

MS = 1_000_000


def test_a_latency_begins_where_the_budget_ends() -> None:
    took = [11 * MS, 13 * MS, 12 * MS, 14 * MS]
    assert Latency.of(took, 10, 3.5, 4 * MS) == Latency(4, 1, 2.5, pytest.approx(3.97), 4, 1, 4)  # type: ignore[arg-type]
    # A run that ended too early must show, too.
    assert Latency.of([9 * MS], 10, 5).minimum == -1
    with pytest.raises(ValueError, match="without kills"):
        Latency.of([], 10, 5)


def test_what_is_as_long_as_the_bound_is_within_it() -> None:
    assert Latency.of([15 * MS, 15 * MS + 1], 10, 5).beyond == 1


def test_ticks_are_quarters_of_a_budget_and_not_far_apart() -> None:
    assert rows.tick_ms(10) == 2.5
    assert rows.tick_ms(100) == 25
    assert rows.tick_ms(1000) == 25
    assert KillOptions(budget_ms=10).tick_ns == 2_500_000


def test_a_neighbour_takes_longer() -> None:
    bounds = {case.name: case.bound_ms(2.0) for case in CASES}
    assert bounds["task"] == 2 + rows.END_MS
    assert bounds["hardirq"] == bounds["lock"] == 10 + rows.END_MS


def test_the_modules_results_are_read() -> None:
    assert parse("15000000 0\n16000000 4294967295\n") == (15 * MS, 16 * MS)
    assert parse("") == ()
    for text in ("15\n", "x 0\n", "1 2 3\n"):
        with pytest.raises(InfraError, match="malformed answer"):
            parse(text)


ABOUT = {
    "accelerator": "tcg",
    "host": {"cpu": "a CPU"},
    "kernels": {"rex": {"release": "6.12-rex"}},
}


def found(icount: bool = True) -> KillFigures:
    def latency(case: rows.Case) -> Latency:
        return Latency.of([13 * MS, 16 * MS], 10, case.bound_ms(2.5), 6 * MS)

    made = tuple(
        Row(case, case.bound_ms(2.5), latency(case), latency(case) if icount else None)
        for case in CASES
    )
    why = "" if icount else "on KVM"
    return KillFigures(ABOUT, KillOptions(kills=2), made, {"clock": 300.0}, why)


def shown(one: KillFigures) -> list[str]:
    console = Console(width=120, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    show(one, console)
    return [" ".join(line.split()) for line in console.export_text().splitlines()]


def test_each_context_is_shown_by_both_clocks_and_what_is_beyond_the_bound() -> None:
    lines = shown(found())
    assert "2 kills each; budget 10 ms, tick 2.5 ms" in lines
    assert lines.count("task, interrupts on 3.00 4.50 5.97 6.00 3.00 1") == 2
    assert lines.count("hard interrupt 3.00 4.50 5.97 6.00 13.00 0") == 2


def test_a_clock_that_there_is_not_is_said() -> None:
    lines = shown(found(icount=False))
    assert lines.count("hard interrupt 3.00 4.50 5.97 6.00 13.00 0") == 1
    assert "No latency by instructions: on KVM." in lines


def test_the_json_has_every_figure() -> None:
    data = json.loads(json.dumps(found().as_data()))
    assert data["version"] == 1
    assert (data["budget_ms"], data["tick_ms"], data["kills"]) == (10, 2.5, 2)
    assert [row["name"] for row in data["rows"]] == [case.name for case in CASES]
    first = data["rows"][0]
    assert first["ended_by"] == "own tick"
    assert first["clock"] == first["icount"]
    assert first["icount"] == {
        "kills": 2, "minimum": 3, "median": 4.5, "p99": 5.97, "maximum": 6, "beyond": 1,
        "kernel_max": 6,
    }  # fmt: skip
    assert json.loads(json.dumps(found(icount=False).as_data()))["rows"][0]["icount"] is None


def test_a_file_that_cannot_be_written_is_said_before_anything_is_measured(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["kill", "--json", str(tmp_path / "no" / "file")])
    assert isinstance(result.exception, UserError)
