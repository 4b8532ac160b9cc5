# SPDX-License-Identifier: GPL-2.0-only
"""The shipped scenarios, all of them, as a user runs them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lab import paths

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("spec")]


def test_every_shipped_scenario_passes(tmp_path: Path) -> None:
    words = ["pytest", "-n", "2", "-q", "--accel", "tcg", str(paths.SCENARIOS)]
    done = subprocess.run(
        [sys.executable, "-m", *words],
        cwd=paths.REPO,
        env={**os.environ, "LAB_RESULTS": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-20_000:]
    assert " passed" in done.stdout
    assert "failed" not in done.stdout
