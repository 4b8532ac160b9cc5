# SPDX-License-Identifier: GPL-2.0-only
"""Fixtures for tests of builders of extensions."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.cache import Cache
from lab.kernel.artifact import Kernel


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    """Return a cache of the test's own."""
    return Cache(tmp_path / "cache")


@pytest.fixture
def kernel(tmp_path: Path) -> Kernel:
    """Return a kernel without files, to compile C extensions for."""
    nowhere = tmp_path / "none"
    return Kernel("stock", "key", "6.12", nowhere, nowhere, nowhere, (), btf=tmp_path / "btf")
