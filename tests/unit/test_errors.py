# SPDX-License-Identifier: GPL-2.0-only
"""Errors move between processes whole: pytest-xdist and multiprocessing pickle them."""

from __future__ import annotations

import importlib
import pickle
import pkgutil
from collections.abc import Iterator

import pytest

import lab
from lab.errors import InfraError, LabError, NotCompiled, UserError
from lab.guest.boot_errors import BootCause, BootError
from lab.host.process import Finished, ToolFailed
from lab.vm.machine import LaunchError
from lab.vm.migrate import RestoreFailed


def not_compiled() -> NotCompiled:
    error = NotCompiled("it does not compile", details="a.c:1")
    error.log, error.missing = "all of it", True
    return error


@pytest.mark.parametrize(
    "error",
    [
        UserError("no such file", hint="write one"),
        not_compiled(),
        InfraError("no", details="because"),
        RestoreFailed("no", details="qemu: bad"),
        LaunchError(1, "qemu -x", "qemu: no -x"),
        ToolFailed(Finished(("ld", "-x"), 1, "", "no -x"), hint="install it"),
        BootError(BootCause.ENDED, seconds=2.0, console="a\nb", cpus="CPU 0: f", more="it ended"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_is_the_same_after_the_way_between_processes(error: LabError) -> None:
    other = pickle.loads(pickle.dumps(error))
    assert type(other) is type(error)
    assert (str(other), vars(other)) == (str(error), vars(error))


def test_no_error_has_its_own_way_of_being_pickled() -> None:
    for module in pkgutil.walk_packages(lab.__path__, "lab."):
        if module.name != "lab.__main__":
            importlib.import_module(module.name)
    errors = list(below(LabError))
    assert LaunchError in errors
    assert [error for error in errors if "__reduce__" in vars(error)] == []


def below(base: type[LabError]) -> Iterator[type[LabError]]:
    for error in base.__subclasses__():
        yield error
        yield from below(error)
