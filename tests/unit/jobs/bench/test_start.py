# SPDX-License-Identifier: GPL-2.0-only
"""Test the judgement of a benchmark's figures."""

from __future__ import annotations

from rich.console import Console

from lab.cli.bench.start import _parts, _targets
from lab.jobs.bench.start import StartFigures, Starts


def bench(fork: float, cold: float, each: float, vng: float | None) -> StartFigures:
    return StartFigures(
        Starts((cold, cold), {"QEMU": 0.1, "boot": cold - 0.1}),
        Starts((fork, fork, 9.0), {"QEMU": 0.1, "load": fork - 0.1}),
        each,
        40,
        2,
        vng,
        "" if vng else "virtme-ng is not installed",
    )


def test_each_target_is_judged_by_itself() -> None:
    assert [one.met for one in bench(0.3, 1.3, 0.2, 8.0).judged()] == [True, True, True, True]
    assert [one.met for one in bench(0.5, 1.3, 0.3, 8.0).judged()] == [False] * 4


def test_what_was_not_measured_is_neither_met_nor_missed() -> None:
    vng = bench(0.3, 1.3, 0.2, None).judged()[2]
    assert (vng.measured, vng.met) == (None, None)


def test_parts_and_targets_are_shown_side_by_side() -> None:
    found = bench(0.3, 1.0, 0.3, None)
    console = Console(width=120, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(_parts(found), _targets(found))
    text = console.export_text()
    assert "0.300" in text
    assert "1.000" in text
    assert "missed" in text
    assert "met" in text
    assert "not installed" in text
