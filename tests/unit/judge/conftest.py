# SPDX-License-Identifier: GPL-2.0-only
"""Fixtures for tests of the judge."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from lab.scenario.load import load_scenarios
from lab.scenario.model.scenario import Scenario


@pytest.fixture
def load(tmp_path: Path) -> Callable[[str], Scenario]:
    """Return a function that loads the one scenario of a text."""

    def make(text: str) -> Scenario:
        path = tmp_path / "basic" / "case.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(textwrap.dedent(text))
        (scenario,) = load_scenarios(path)
        return scenario

    return make
