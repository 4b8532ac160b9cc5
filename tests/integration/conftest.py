# SPDX-License-Identifier: GPL-2.0-only
"""Real kernels and guests for the tests; the kernel is built once and shared by all."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab.cache import Cache
from lab.guest.forks import Forks
from lab.guest.guest import Guest, GuestSpec
from lab.kernel.artifact import Kernel
from lab.runner.plan import Planner


@pytest.fixture(scope="session")
def planner() -> Planner:
    """A planner on the user's cache, under emulation."""
    return Planner(Cache.default(), accel="tcg")


@pytest.fixture(scope="session")
def stock(planner: Planner) -> Kernel:
    """The stock kernel, built if it is not in the cache."""
    return planner.kernel("stock")


@pytest.fixture(scope="session")
def spec(planner: Planner, stock: Kernel) -> GuestSpec:
    """What boots the stock kernel with the minimal image."""
    return planner.guest_spec(stock, planner.image(stock))


@pytest.fixture(scope="session")
def forks() -> Forks:
    """Guests as scenarios get them."""
    return Forks(Cache.default())


@pytest.fixture(scope="module")
def guest(spec: GuestSpec, forks: Forks) -> Iterator[Guest]:
    """A guest that the tests of a module share; none of them may harm it."""
    with forks.start(spec) as guest:
        yield guest
