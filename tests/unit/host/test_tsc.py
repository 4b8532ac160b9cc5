# SPDX-License-Identifier: GPL-2.0-only
"""The frequency of the host's time-stamp counter."""

from __future__ import annotations

import platform
import time
from pathlib import Path

import pytest

from lab.cache import Cache
from lab.host import tsc

pytestmark = pytest.mark.skipif(platform.machine() != "x86_64", reason="x86 has this counter")


def test_two_measurements_agree() -> None:
    assert tsc.measure() == pytest.approx(tsc.measure(), rel=1e-4)


def test_the_counter_is_what_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half the clock, twice the frequency."""
    real = time.clock_gettime_ns
    whole = tsc.measure()
    monkeypatch.setattr(time, "clock_gettime_ns", lambda clock: real(clock) // 2)
    assert tsc.measure() == pytest.approx(2 * whole, rel=1e-3)


def test_it_is_measured_once_per_boot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = Cache(tmp_path)
    found = tsc.frequency_khz(cache)
    monkeypatch.setattr(tsc, "measure", lambda: pytest.fail("measured again"))
    assert tsc.frequency_khz(cache) == found


@pytest.mark.parametrize("error", [PermissionError("no"), OSError("no")])
def test_a_host_that_does_not_allow_code_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: OSError
) -> None:
    def refuse() -> int:
        raise error

    monkeypatch.setattr(tsc, "measure", refuse)
    assert tsc.frequency_khz(Cache(tmp_path)) is None


def test_another_processor_has_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    assert tsc.frequency_khz(Cache(tmp_path)) is None
