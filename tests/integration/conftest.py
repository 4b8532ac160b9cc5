# SPDX-License-Identifier: GPL-2.0-only
"""Real kernels and guests for the tests; the kernel is built once and shared by all."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from harness.loader_guest import KINDS_IMAGE
from harness.rex_guest import RexGuest, start
from harness.rex_programs import build

from lab.cache import Cache
from lab.guest.forks import Forks
from lab.guest.guest import Guest, GuestSpec
from lab.jobs.session import Session
from lab.kernel.artifact import Kernel
from lab.report.result import Result
from lab.runner.attempt import Attempts
from lab.runner.catalog import catalog_of
from lab.runner.plan import Planner
from lab.runner.pool import Pool
from lab.scenario.items import items
from lab.scenario.load import load_scenarios
from lab.vm import slots
from lab.workspace import Workspace


@pytest.fixture(scope="session")
def planner() -> Planner:
    """A planner on the user's cache, under emulation."""
    return Planner(Workspace.default(), Cache.default(), accel="tcg")


@pytest.fixture(scope="session")
def stock(planner: Planner) -> Kernel:
    """The stock kernel, built if it is not in the cache."""
    return planner.kernel("stock")


@pytest.fixture(scope="session")
def spec(planner: Planner, stock: Kernel) -> GuestSpec:
    """The specification of a guest with the stock kernel and the minimal image."""
    return planner.guest_spec(stock, planner.image(stock))


@pytest.fixture(scope="session")
def forks() -> Forks:
    """The source of guests that scenarios use."""
    return Forks(Cache.default())


@pytest.fixture(scope="module")
def guest(spec: GuestSpec, forks: Forks) -> Iterator[Guest]:
    """A guest that the tests of a module share; none of them may harm it."""
    with forks.start(spec) as guest:
        yield guest


@pytest.fixture
def judged(planner: Planner, forks: Forks, tmp_path: Path) -> Callable[[str], Result]:
    """Return a function that runs a scenario's text as a user would, with a dossier."""

    def run(text: str) -> Result:
        path = tmp_path / "tests" / "case.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(textwrap.dedent(text))
        (scenario,) = load_scenarios(path, catalog_of(planner.workspace))
        (item,) = items(scenario)
        attempts = Attempts(planner, Pool(forks, tmp_path / slots.FOLDER))
        return Session(attempts, folder=tmp_path / "results", keep=True).run(item)

    return run


@pytest.fixture(scope="session")
def rex(planner: Planner) -> Kernel:
    """The kernel with the Rex series, built if it is not in the cache."""
    return planner.kernel("rex")


@pytest.fixture(scope="session")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A Rex image of programs and maps of each type, with section headers as guests need them."""
    path, _ = build(tmp_path_factory.mktemp("kinds"), "kinds.c")
    return path.read_bytes()


@pytest.fixture(scope="module")
def rex_guest(planner: Planner, forks: Forks, rex: Kernel, kinds: bytes) -> Iterator[Guest]:
    """A guest of the Rex kernel with the image, shared by a module's tests."""
    with forks.start(planner.guest_spec(rex, planner.image(rex))) as guest:
        guest.push({KINDS_IMAGE: kinds})
        yield guest


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """An image of programs in C, and the tool that runs it; a module may override it."""
    return build(tmp_path_factory.mktemp("image"))


@pytest.fixture(scope="module")
def shared(planner: Planner, forks: Forks, built: tuple[Path, Path]) -> Iterator[RexGuest]:
    """A guest of the Rex kernel that the tests of a module share, with what was built."""
    yield from start(planner, forks, built)


@pytest.fixture
def fresh(planner: Planner, forks: Forks, built: tuple[Path, Path]) -> Iterator[RexGuest]:
    """A fresh guest of the Rex kernel that the test may crash."""
    yield from start(planner, forks, built)
