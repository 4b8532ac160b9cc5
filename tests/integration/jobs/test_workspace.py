# SPDX-License-Identifier: GPL-2.0-only
"""A submission outside the checkout runs as an overlay, and nothing is set for the process."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.jobs.session import Session
from lab.runner.catalog import catalog_of
from lab.scenario.items import items
from lab.scenario.load import find_files, load_scenarios
from lab.workspace import Workspace

pytestmark = pytest.mark.integration

# It has the name of an extension that the lab ships, and counts each call twice.
TWICE = """\
// SPDX-License-Identifier: GPL-2.0-only
#include "kext.h"

COUNTERS(counts, 1);

SEC("tracepoint/syscalls/sys_enter_getpgid")
int count_getpgid(void *context)
{
	count(&counts, 0, 2);
	return 0;
}
"""
SCENARIO = """\
summary: A program of the submission counts next to one that the lab ships
extensions:
  theirs: {c: count_getpgid_tracepoint}
  shipped: {c: count_getpgid_kprobe}
steps:
  - load: theirs
  - load: shipped
  - attach: theirs
  - attach: shipped
  - trigger: {syscall: getpgid, times: 10}
    expect: {outcome: {returned: 20}}
  - read: {map: theirs.counts, key: 0}
    expect: {value: 20}
  - read: {map: shipped.counts, key: 0}
    expect: {value: 10}
  - unload: theirs
  - unload: shipped
expect:
  kernel: alive
"""


def test_a_submission_runs_with_its_own_extension_and_with_one_from_below(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    submission = tmp_path / "submission"
    for name, text in (
        ("extensions/c/count_getpgid_tracepoint.bpf.c", TWICE),
        ("scenarios/course/counts.yaml", SCENARIO),
    ):
        (submission / name).parent.mkdir(parents=True)
        (submission / name).write_text(text)
    monkeypatch.setenv("LAB_RESULTS", str(tmp_path / "results"))
    workspace = Workspace.default().overlay(submission)
    (file,) = find_files(submission / "scenarios")
    (scenario,) = load_scenarios(file, catalog_of(workspace))
    (item,) = items(scenario, ["stock"])
    session = Session.create(workspace=workspace, accel="tcg")
    (result,) = session.run_all([item], 1)
    assert (result.verdict, result.reasons) == ("passed", ())
