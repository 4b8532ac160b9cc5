# SPDX-License-Identifier: GPL-2.0-only
"""`lab kernel` and how stages are shown."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import pytest
from harness.fake_kernel import write_flavor
from rich.console import Console
from typer.testing import CliRunner

from lab.cli.kernel import app
from lab.events import Notice, StageFinished, StageProgress, StageStarted
from lab.report.progress import ProgressReport

JOB = "kernel stock"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "kconfigs"
    monkeypatch.setenv("LAB_REPO", str(tmp_path))
    monkeypatch.setenv("LAB_CACHE", str(tmp_path / "cache"))
    write_flavor(folder)
    return folder


def invoke(*words: str) -> str:
    result = CliRunner().invoke(app, list(words), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_build_list_config_clean(root: Path, tmp_path: Path) -> None:
    before = json.loads(invoke("list", "--json"))["flavors"]
    assert [(row["flavor"], row["built"]) for row in before] == [("fake", False)]

    assert re.search(r"fake: 6\.99\.0-fake in [\d.]+ s: .*/cache/kernel/", invoke("build", "fake"))
    (row,) = json.loads(invoke("list", "--json"))["flavors"]
    assert row["built"]
    assert row["release"] == "6.99.0-fake"
    assert row["bytes"] > 0
    assert "6.99.0-fake" in invoke("list")

    config = Path(invoke("config", "fake").strip())
    assert "CONFIG_VETH=y" in config.read_text()
    asked = invoke("config", "fake", "--requested").splitlines()
    assert asked[0] == f"CONFIG_NET=y  # {root}/fake/10-all.config:1"

    assert "fake: deleted" in invoke("clean", "fake")
    assert not json.loads(invoke("list", "--json"))["flavors"][0]["built"]


def test_two_flavors_can_be_compared(root: Path) -> None:
    write_flavor(root, "small", fragments="CONFIG_NET=y\n")
    invoke("build", "fake", "small")
    assert invoke("config", "small", "--diff", "fake").splitlines() == ["CONFIG_VETH: y -> n"]


def test_clean_without_names_deletes_former_versions_too(root: Path, tmp_path: Path) -> None:
    invoke("build", "fake")
    (root / "fake" / "10-all.config").write_text("CONFIG_NET=y\n")
    invoke("clean")
    assert not list((tmp_path / "cache").glob("kernel*/[0-9a-f]*"))


def test_a_flavor_whose_source_is_gone_does_not_hide_the_others(root: Path) -> None:
    write_flavor(root, "theirs", source="source: {tree: /nowhere}\n", fragments="")
    rows = json.loads(invoke("list", "--json"))["flavors"]
    assert [row["flavor"] for row in rows] == ["fake", "theirs"]
    assert "no kernel tree at /nowhere" in rows[1]["problem"]
    assert "fake" in invoke("list")


def show(*, terminal: bool) -> str:
    out = io.StringIO()
    console = Console(file=out, force_terminal=terminal, width=120, legacy_windows=False)
    with ProgressReport(console) as report:
        report(StageStarted(JOB, "unpack"))
        report(StageFinished(JOB, "unpack", 9.87))
        report(StageStarted(JOB, "compile", 200))
        for done in range(1, 201):
            report(StageProgress(JOB, "compile", done, 200, f"[obj] {done}.o"))
        if terminal:
            report._progress.refresh()
        report(Notice("kernel x: waiting for process 7, which is working on it [x]"))
        report(StageFinished(JOB, "compile", 300.0))
    return out.getvalue()


def test_without_a_terminal_there_are_plain_lines() -> None:
    lines = show(terminal=False).splitlines()
    assert lines[:3] == [
        "kernel stock: unpack ...",
        "kernel stock: unpack done in 9.9 s",
        "kernel stock: compile (200) ...",
    ]
    assert lines[3] == "kernel stock: compile  10 % (20 of 200)"
    assert lines[12] == "kernel stock: compile 100 % (200 of 200)"
    assert lines[13] == "kernel x: waiting for process 7, which is working on it [x]"
    assert lines[14] == "kernel stock: compile done in 300.0 s"
    assert len(lines) == 15


def test_a_terminal_has_a_bar_with_the_count_and_the_object() -> None:
    shown = show(terminal=True)
    assert "200/200" in shown
    assert "[obj] 200.o" in shown
    assert "━" in shown
    assert "compile done in 300.0 s" in shown
