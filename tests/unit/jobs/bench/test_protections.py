# SPDX-License-Identifier: GPL-2.0-only
"""Test the figures of `lab bench protections`, and their output."""

from __future__ import annotations

import json
from pathlib import Path

from rich.console import Console
from typer.testing import CliRunner

from lab.cli.bench.app import app
from lab.cli.bench.protections import show
from lab.errors import UserError
from lab.guest.meter import LOOP
from lab.jobs.bench import protections_rows as rows
from lab.jobs.bench.figures import Group
from lab.jobs.bench.protections import ProtectionsFigures
from lab.jobs.bench.protections_rows import BARE, CHECKED, EBPF, EMPTY, NO_CALL, Taken


def taken(checks: bool = True, ticks: bool = False) -> Taken:
    runs = {LOOP: 1.0, NO_CALL: 5.0, EMPTY: 101.0}
    for depth in rows.DEPTHS:
        runs[rows.level(EBPF, depth)] = 5.0 + 8 * depth
        runs[rows.indexed(depth)] = 5.0 + 12 * depth
        runs[rows.level(CHECKED, depth)] = 101.0 + 4 * depth
        runs[rows.level(BARE, depth)] = 101.0 + 2 * depth
    for depth in rows.FRAMES:
        runs[rows.frames(depth)] = 5.0 + 2 * depth
    wanted = rows.of_depths(checks)
    found = Taken({name: [runs[name]] * 5 for name in wanted})
    for knob in (0, *rows.KNOBS):
        found.knobs[knob] = {LOOP: [1.0] * 5, EMPTY: [101.0 - knob] * 5}
    if ticks:
        found.ticks, found.per_second = [1000.0] * 5, 400
    return found


def medians(group: Group, row: str) -> tuple[float | None, float | None]:
    base, other = group.row(row).base, group.row(row).other
    return (None if base is None else base.median, None if other is None else other.median)


def named(groups: tuple[Group, ...]) -> dict[str, Group]:
    return {group.name: group for group in groups}


def test_each_figure_is_of_its_own_programs_without_what_is_not_its_own() -> None:
    found = named(rows.groups(taken(), "ns"))
    assert medians(found["depth"], "33") == (4 + 8 * 33, 100 + 4 * 33)
    assert medians(found["levels"], "33") == (8 * 33, 4 * 33)
    assert medians(found["indexed"], "16") == (12 * 16, 4 * 16)
    assert medians(found["frames"], "7") == (2 * 7, 4 * 7)
    assert medians(found["stack_check"], "2") == (100 + 2 * 2, 100 + 4 * 2)
    assert found["levels"].row("33").ratio == 0.5


def test_a_run_without_a_protection_stands_beside_one_with_all_of_them() -> None:
    found = named(rows.groups(taken(), "ns"))["protections"]
    assert {row.name: medians(found, row.name) for row in found.rows} == {
        str(knob): (100 - knob, 100) for knob in rows.KNOBS
    }


def test_there_is_no_stack_check_where_no_program_is_without() -> None:
    assert not any(name.startswith(BARE) for name in rows.of_depths(has_checks=False))
    assert "stack_check" not in named(rows.groups(taken(checks=False), "ns"))


def test_the_names_of_programs_are_told_apart_and_fit_into_the_module() -> None:
    names = rows.of_depths(has_checks=True)
    assert len(set(names)) == len(names) <= 40  # MAX_SUBJECTS of extensions/modules/bench


def test_ticks_are_of_one_and_of_a_second() -> None:
    found = named(rows.groups(taken(ticks=True), "instructions", "count_"))
    assert all(name.startswith("count_") for name in found)
    assert medians(found["count_ticks"], "tick") == (1000, None)
    assert medians(found["count_ticks"], "second") == (400_000, None)
    assert "ticks" not in named(rows.groups(taken(), "ns"))


ABOUT = {
    "accelerator": "tcg",
    "host": {"cpu": "a CPU"},
    "kernels": {"rex": {"release": "6.12-rex"}},
}


def shown(found: ProtectionsFigures) -> list[str]:
    console = Console(width=120, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    show(found, console)
    return [" ".join(line.split()) for line in console.export_text().splitlines()]


def test_all_figures_are_shown_with_their_ratio() -> None:
    lines = shown(ProtectionsFigures(ABOUT, rows.groups(taken(ticks=True), "instructions")))
    assert "33 calls 264 exactly 132 exactly 0.50" in lines
    assert "1 call 102 exactly 104 exactly 1.02" in lines
    assert "the watchdog 92 exactly 100 exactly 1.09" in lines
    assert "400 ticks: a second 400,000 exactly" in lines


def test_what_was_not_measured_is_said() -> None:
    lines = shown(ProtectionsFigures(ABOUT, (), "an old kernel", "on KVM"))
    assert "No stack checks: an old kernel." in lines
    assert "No instruction counts: on KVM." in lines


def test_the_json_has_every_figure() -> None:
    groups = (
        *rows.groups(taken(), "ns"),
        *rows.groups(taken(ticks=True), "instructions", "count_"),
    )
    data = json.loads(json.dumps(ProtectionsFigures(ABOUT, groups).as_data()))
    assert data["version"] == 1
    names = ["depth", "levels", "indexed", "frames", "stack_check", "protections"]
    counts = [f"count_{name}" for name in (*names, "ticks")]
    assert [group["name"] for group in data["groups"]] == [*names, *counts]
    row = data["groups"][1]["rows"][-1]
    assert (row["ebpf"]["median"], row["rex"]["median"], row["ratio"]) == (264, 132, 0.5)


def test_a_file_that_cannot_be_written_is_said_before_anything_is_measured(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["protections", "--json", str(tmp_path / "no" / "file")])
    assert isinstance(result.exception, UserError)
