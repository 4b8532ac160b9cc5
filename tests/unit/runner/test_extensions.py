# SPDX-License-Identifier: GPL-2.0-only
"""Loads that fail: which of them count as the kernel's rejection."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args
from unittest.mock import create_autospec

import pytest

from lab.deadline import Deadline
from lab.guest.loader import Loader, LoaderAnswer
from lab.guest.ssh import Completed
from lab.judge.observation import Iteration, StepResult
from lab.runner.extensions import Artifact, LoadedExtensions
from lab.scenario.model.extensions import BaseExtension, CExtension, ModuleExtension
from lab.scenario.model.steps import LoadStep
from lab.words import LoadStage

SOON = Deadline(60)


def load(extension: BaseExtension, artifact: Artifact, guest: Any) -> tuple[StepResult, Iteration]:
    """Return the results of a step that loads an extension, and of its pass."""
    iteration, step = Iteration(), LoadStep(load="a")
    result = StepResult(step, "step 1")
    loaded = LoadedExtensions(
        guest, {"a": extension}, {"a": artifact}, iteration, lambda _seconds: SOON
    )
    loaded.load(step, result)
    return result, iteration


@pytest.mark.parametrize("stage", get_args(LoadStage))
@pytest.mark.parametrize("errname", ["EINVAL", "EBUSY", "ENOENT"])
def test_only_the_verifiers_word_is_a_rejection(stage: str, errname: str) -> None:
    loader = create_autospec(Loader, instance=True)
    answer = {"ok": False, "stage": stage, "errname": errname, "error": "x", "program": "p"}
    loader.call.return_value = LoaderAnswer(answer)
    guest = SimpleNamespace(loader=loader)
    result, iteration = load(CExtension(c="x"), Artifact(Path("x.bpf.o")), guest)
    assert (result.stage, result.errname) == (stage, errname)
    assert iteration.outcomes == result.outcomes == ({"rejected": 1} if stage == "verify" else {})
    assert result.rejected == ("p" if stage == "verify" else "")


def test_what_was_not_compiled_reaches_no_guest() -> None:
    result, iteration = load(CExtension(c="x"), Artifact(None, "x.c:1: error: no"), None)
    assert result.compiler_log == "x.c:1: error: no"
    assert (result.outcomes, iteration.outcomes) == ({"not_compiled": 1}, {"not_compiled": 1})
    assert result.log == ""


@pytest.mark.parametrize(
    ("said", "stage"),
    [
        ("insmod: can't insert '/root/x.ko': invalid module format", "verify"),
        ("insmod: can't insert '/root/x.ko': unknown symbol in module, or unknown parameter",
         "verify"),
        ("insmod: can't insert '/root/x.ko': Key was rejected by service", "verify"),
        # Errors of the module's own init function, and errors that are not about the module.
        ("insmod: can't insert '/root/x.ko': Device or resource busy", "init"),
        ("insmod: can't insert '/root/x.ko': Invalid argument", "init"),
        ("insmod: can't insert '/root/x.ko': Cannot allocate memory", "init"),
    ],
)  # fmt: skip
def test_a_module_that_refuses_to_start_is_not_rejected(said: str, stage: str) -> None:
    answer = Completed("insmod", 1, "", f"{said}\n", 0.1)
    guest = SimpleNamespace(run=lambda *_: answer)
    result, iteration = load(ModuleExtension(module="x"), Artifact(Path("x.ko")), guest)
    assert result.stage == stage
    assert iteration.outcomes == result.outcomes == ({"rejected": 1} if stage == "verify" else {})
    assert said in result.problem
    if stage == "init":
        number = {"Dev": "EBUSY", "Inv": "EINVAL", "Can": "ENOMEM"}[said.split(": ")[-1][:3]]
        assert result.errname == number


def test_a_module_whose_own_function_fails_is_not_rejected() -> None:
    """Insmod has the same words for an init function that returns -ENOENT."""
    said = "insmod: can't insert '/root/x.ko': unknown symbol in module, or unknown parameter"
    answer = Completed("insmod", 1, "==kextlab== started\n", f"{said}\n", 0.1)
    guest = SimpleNamespace(run=lambda *_: answer)
    result, iteration = load(ModuleExtension(module="x"), Artifact(Path("x.ko")), guest)
    assert (result.stage, iteration.outcomes) == ("init", {})
