# SPDX-License-Identifier: GPL-2.0-only
"""Settings for all tests."""

from __future__ import annotations

import os
from typing import Any

import pytest
from harness import schedule
from harness.time_by_file import time_by_file
from hypothesis import settings

from lab.vm import slots
from lab.vm.argv import Shape

# No deadline: an example that takes long on a busy host says nothing about the code.
settings.register_profile("default", max_examples=60, deadline=None)
settings.register_profile("nightly", max_examples=2000, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Return the number of workers of `-n auto`: as many as guests fit on this host."""
    return slots.capacity(Shape().memory)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> schedule.ByFile | None:
    """Share files out in the order below, unless `--dist` asks for another way."""
    if config.option.dist != "load":
        return None
    config.option.loadscopereorder = False
    return schedule.ByFile(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put the tests of a worker in the order of the schedule; a single process keeps its own."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: schedule.place(item.nodeid))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print how long the tests of each file took."""
    phases = [
        (report.nodeid, report.when, report.duration)
        for reports in terminalreporter.stats.values()
        for report in reports
        if isinstance(report, pytest.TestReport)
    ]
    if lines := time_by_file((nodeid, when or "", seconds) for nodeid, when, seconds in phases):
        terminalreporter.section("time of tests by file")
        for line in lines:
            terminalreporter.write_line(line)
