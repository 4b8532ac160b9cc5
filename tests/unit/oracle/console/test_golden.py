# SPDX-License-Identifier: GPL-2.0-only
"""Test the console oracle on real logs of this lab's kernels.

`UPDATE_GOLDEN=1 pytest tests/unit/oracle/console/test_golden.py` rewrites
the expectations; review the diff before you commit it.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from harness.paths import GOLDEN

from lab.oracle.console.parser import Parser, Shape, parse

CORPUS = GOLDEN / "console"
LOGS = sorted(CORPUS.glob("*.log"))


def cases() -> Any:
    """Return the table of the corpus, from the folder of the logs."""
    spec = importlib.util.spec_from_file_location("console_cases", CORPUS / "cases.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


TABLE = cases()
SHAPES = {
    case.name: Shape.of_kernel(TABLE.SYMBOLS, [*TABLE.BOOT, *case.boot]) for case in TABLE.CASES
}


def summary(log: Path) -> dict[str, Any]:
    parser = Parser(SHAPES[log.stem])
    parser.feed(log.read_bytes())
    parser.finish()
    reports = [
        {
            "kind": report.kind,
            "title": report.title,
            "cpu": report.cpu,
            "task": report.task,
            "line": report.first_line,
            "lines": len(report.lines),
            "complete": report.complete,
        }
        for report in parser.reports
    ]
    return {
        "reports": reports,
        "backtraces": [trace.function for trace in parser.backtraces],
        "lookalikes": len(parser.forgeries),
    }


def test_the_corpus_is_whole() -> None:
    assert len(LOGS) >= 30
    assert {log.stem for log in LOGS} == {case.name for case in TABLE.CASES}


@pytest.mark.parametrize("log", LOGS, ids=lambda log: log.stem)
def test_log_gives_what_is_expected(log: Path) -> None:
    found = summary(log)
    expected = log.with_suffix(".expected.json")
    if os.environ.get("UPDATE_GOLDEN"):
        expected.write_text(json.dumps(found, indent=1) + "\n")
    assert found == json.loads(expected.read_text())


@pytest.mark.parametrize(
    "log", [log for log in LOGS if log.stem.startswith("benign-")], ids=lambda log: log.stem
)
def test_benign_log_gives_no_report(log: Path) -> None:
    # Said apart from the expectations, which one command rewrites.
    assert parse(log.read_bytes(), SHAPES[log.stem]) == []


@pytest.mark.parametrize("log", LOGS, ids=lambda log: log.stem)
def test_no_log_of_a_real_kernel_has_a_loss(log: Path) -> None:
    parser = Parser(SHAPES[log.stem])
    parser.feed(log.read_bytes())
    parser.finish()
    assert parser.losses == ()


@pytest.mark.parametrize(
    "log", [log for log in LOGS if not log.stem.startswith("benign-")], ids=lambda log: log.stem
)
def test_bytes_one_by_one_give_the_same(log: Path) -> None:
    data = log.read_bytes()
    whole = Parser(SHAPES[log.stem])
    whole.feed(data)
    whole.finish()
    bitwise = Parser(SHAPES[log.stem])
    for index in range(len(data)):
        bitwise.feed(data[index : index + 1])
    bitwise.finish()
    assert bitwise.reports == whole.reports
    assert bitwise.forgeries == whole.forgeries


# The least that a log must show, whatever its expectation says: the fault that
# was asked for is what the oracle calls it.
WANTED = {
    "oops-": "oops",
    "general-protection": "general-protection",
    "bug": "bug",
    "warn": "warning",
    "refcount": "warning",
    "panic": "panic",
    "double-fault": "double-fault",
    "soft-lockup": "soft-lockup",
    "hard-lockup": "hard-lockup",
    "rcu-stall": "rcu-stall",
    "hung-task": "hung-task",
    "bpf-stall": "rcu-stall",
    "bpf-soft-lockup": "soft-lockup",
    "wq-lockup": "wq-lockup",
    "list-": "list-corruption",
    "atomic-": "sleeping-in-atomic",
    "slub-": "other-splat",
    "oom": "oom",
}


@pytest.mark.parametrize(
    ("log", "wanted"),
    [
        (log, wanted)
        for log in LOGS
        for prefix, wanted in WANTED.items()
        if log.stem.startswith(prefix)
    ],
    ids=lambda value: value.stem if isinstance(value, Path) else "",
)
def test_fault_that_was_seeded_is_seen(log: Path, wanted: str) -> None:
    reports = parse(log.read_bytes(), SHAPES[log.stem])
    assert any(wanted in report.kinds for report in reports)


@pytest.mark.parametrize("log", LOGS, ids=lambda log: log.stem)
def test_shape_is_learned_where_nobody_tells_it(log: Path) -> None:
    told = parse(log.read_bytes(), SHAPES[log.stem])
    learned = parse(log.read_bytes())
    assert [report.title for report in learned] == [report.title for report in told]
