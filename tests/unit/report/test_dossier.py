# SPDX-License-Identifier: GPL-2.0-only
"""Dossiers and the folders of runs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from lab.report import dossier
from lab.report.dossier import Dossier, new_run
from lab.report.result import Result, explain

RESULT = Result(
    item="basic/x@stock[n=1]",
    scenario="x.yaml",
    summary="A thing",
    flavor="stock",
    verdict="failed",
    reasons=("outcome returned: expected 5, but it is 4",),
    evidence=({"source": "nonce", "trust": "wire_nonce", "summary": "all 2 CPUs answered"},),
    excerpt="BUG: something",
    rerun="lab run x.yaml --only 'basic/x@stock[n=1]'",
)


@pytest.fixture(autouse=True)
def _no_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(dossier.RUN_VARIABLE, raising=False)


def make_runs(root: Path, count: int) -> list[Path]:
    runs = [root / f"20260101-0000{number:02d}-1" for number in range(count)]
    for run in runs:
        run.mkdir(parents=True)
    return runs


def test_old_runs_give_way_and_nothing_else_does(tmp_path: Path) -> None:
    runs = make_runs(tmp_path, dossier.KEPT_RUNS + 3)
    other = tmp_path / "notes"
    other.mkdir()
    new_run(tmp_path).mkdir()
    assert other.is_dir()
    assert [run.is_dir() for run in runs[:5]] == [False] * 4 + [True]
    assert len(list(tmp_path.iterdir())) == dossier.KEPT_RUNS + 1


def test_processes_of_one_run_share_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(dossier.RUN_VARIABLE, "20250101-000000-1")
    own = new_run(tmp_path)
    own.mkdir()
    make_runs(tmp_path, dossier.KEPT_RUNS + 3)
    assert new_run(tmp_path) == own
    assert own.is_dir(), "the oldest by name, but still being written"


def test_what_a_person_needs_comes_first() -> None:
    text = explain(RESULT)
    order = ["expected 5, but it is 4", "all 2 CPUs answered", "BUG: something", "run it again:"]
    places = [text.index(part) for part in order]
    assert places == sorted(places)


def test_a_dossier_is_whole_and_a_second_one_has_its_own_folder(tmp_path: Path) -> None:
    one = Dossier(RESULT, console="[ 0.1] hello\n", facts={"qemu": "qemu -x"})
    first, second = one.write(tmp_path), one.write(tmp_path)
    assert first != second
    assert (first / "console.log").read_text() == "[ 0.1] hello\n"
    assert json.loads((first / "host.json").read_text())["qemu"] == "qemu -x"
    assert json.loads((first / "result.json").read_text())["version"] == 1
    assert not (first / "verifier.log").exists()


def test_results_survive_their_line() -> None:
    assert Result.from_json(RESULT.to_json()) == RESULT
    with pytest.raises(ValueError, match="version 2"):
        Result.from_json(RESULT.to_json().replace('"version": 1', '"version": 2'))


def test_evidence_that_differs_only_in_its_time_is_told_once() -> None:
    def evidence(summary: str, at: float, kind: str = "extension-report") -> dict[str, object]:
        return {"kind": kind, "summary": summary, "at": at}

    ran = "a.b terminated on CPU 1: ran for more than 100 ms"
    late = "a.b overdue on CPU 1: {} ms after its 100 ms still in the kernel"
    text = explain(
        replace(
            RESULT,
            evidence=(
                evidence(f"{ran}: 122 ms", 1.0),
                evidence(late.format(1000), 1.5),
                evidence(f"{ran}: 124 ms", 2.0),
                evidence(f"{ran}: 122 ms", 3.0),
                evidence(late.format(1002), 3.5),
                evidence(f"{ran.replace('100', '200')}: 224 ms", 4.0),
                evidence(f"{ran}: 122 ms", 5.0, "other"),
                evidence("a.b terminated on CPU 0: ran for more than 100 ms: 122 ms", 6.0),
            ),
        )
    )
    shown = text.partition("evidence:\n")[2].partition("\n\n")[0]
    assert shown.splitlines() == [
        f"  [extension-report] {ran}: 122 ms",
        "    ... and 2 more like it",
        f"  [extension-report] {late.format(1000)}",
        "    ... and 1 more like it",
        f"  [extension-report] {ran.replace('100', '200')}: 224 ms",
        f"  [other] {ran}: 122 ms",
        "  [extension-report] a.b terminated on CPU 0: ran for more than 100 ms: 122 ms",
    ]


def test_forgeries_are_shown_and_all_of_them_are_in_the_dossier(tmp_path: Path) -> None:
    forged = {"line": 3, "at": 1.0, "text": "Kernel panic - not syncing: no", "means": "kmsg"}
    result = replace(RESULT, forgeries=(forged,) * 9, forged=400)
    assert explain(result).count("console line 3 [kmsg]: Kernel panic") == 5
    assert "forgeries (400), ignored:" in explain(result)
    assert Result.from_json(result.to_json()) == result
    folder = Dossier(result).write(tmp_path)
    assert len((folder / "forgeries.txt").read_text().splitlines()) == 9
    assert not (Dossier(RESULT).write(tmp_path) / "forgeries.txt").exists()
