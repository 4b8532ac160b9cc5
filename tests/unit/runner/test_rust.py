# SPDX-License-Identifier: GPL-2.0-only
"""Rust extensions: where they run by default, and how they reach the loader."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lab.cache import Cache
from lab.deadline import Deadline
from lab.errors import UserError
from lab.guest.loader import LoaderAnswer
from lab.judge.observation import Iteration, StepResult
from lab.runner.extensions import Artifact, LoadedExtensions
from lab.runner.plan import Planner
from lab.scenario.items import items
from lab.scenario.load import load_scenarios
from lab.scenario.model.extensions import CExtension, ProgramExtension, RustExtension
from lab.scenario.model.scenario import Scenario
from lab.scenario.model.steps import AttachSpec, AttachStep, LoadStep
from lab.workspace import Workspace

SOON = Deadline(5)


def load(folder: Path, extensions: str, more: str = "") -> Scenario:
    path = folder / "basic" / "case.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(
        f"summary: x\nextensions: {extensions}\ntrigger: {{syscall: getpid}}\n"
        f"expect: {{outcome: returned}}\n{more}"
    )
    (scenario,) = load_scenarios(path)
    return scenario


@pytest.mark.parametrize(
    ("extensions", "more", "flavors"),
    [
        ("{a: {rust: hello}}", "", ("rex",)),
        ("{a: {c: count}, b: {rust: hello}, m: {module: leak}}", "", ("rex",)),
        ("{a: {c: count}, m: {module: leak}}", "", ("stock",)),
        ("{}", "", ("stock",)),
        ("{a: {rust: hello}}", "kernels: [rex-debug, stock]\n", ("rex-debug", "stock")),
    ],
)
def test_the_kernel_of_a_scenario_that_names_none(
    tmp_path: Path, extensions: str, more: str, flavors: tuple[str, ...]
) -> None:
    if extensions == "{}":
        more = "steps: [{shell: 'true', expect: {status: 0}}]\n"
        path = tmp_path / "basic" / "case.yaml"
        path.parent.mkdir()
        path.write_text(f"summary: x\n{more}expect: {{kernel: alive}}\n")
        (scenario,) = load_scenarios(path)
    else:
        scenario = load(tmp_path, extensions, more)
    assert scenario.kernels == flavors
    assert [item.flavor for item in items(scenario)] == list(flavors)


def kernel(folder: Path, config: str) -> Any:
    return SimpleNamespace(flavor="stock", key=config, has=lambda symbol: symbol in config)


def test_a_kernel_without_rex_is_the_users_mistake(tmp_path: Path) -> None:
    scenario = load(tmp_path, "{a: {rust: hello}}")
    planner = Planner(Workspace(), Cache(tmp_path), "tcg")
    with pytest.raises(
        UserError, match="kernel stock can't run the Rust extension hello"
    ) as caught:
        planner._artifact(scenario, "a", kernel(tmp_path, "CONFIG_BPF=y"))
    assert "--kernel rex" in caught.value.hint


class Recorder:
    """A guest whose loader executes every command and records it."""

    def __init__(self, *programs: str) -> None:
        self.loader = self
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.programs = programs

    def call(self, verb: str, _deadline: Deadline, **arguments: Any) -> LoaderAnswer:
        self.calls.append((verb, arguments))
        programs = [{"name": name, "id": 7 + n} for n, name in enumerate(self.programs)]
        return LoaderAnswer(json.loads(json.dumps({"ok": True, "programs": programs})))


ATTACH = ({"program": "q", "to": "kprobe:f", "cpu": 1}, "p")


@pytest.mark.parametrize(
    "extension",
    [
        CExtension.model_validate({"c": "x", "programs": ["q", "p"], "attach": ATTACH}),
        RustExtension.model_validate({"rust": "x", "programs": ["q", "p"], "attach": ATTACH}),
    ],
)
def test_programs_and_attach_list_of_each_kind_reach_the_loader(
    extension: ProgramExtension,
) -> None:
    guest = Recorder("p", "q")
    loaded = LoadedExtensions(
        guest,  # type: ignore[arg-type]
        {"a": extension},
        {"a": Artifact(Path("/x/x.o"))},
        Iteration(),
        lambda _seconds: SOON,
    )
    load_step, attach_step = LoadStep(load="a"), AttachStep(attach=AttachSpec(extension="a"))
    loaded.load(load_step, StepResult(load_step, "step 1"))
    loaded.attach(attach_step, StepResult(attach_step, "step 2"))
    assert guest.calls[0][1]["autoload"] == "q,p"
    attached = [(call["program"], call["to"], call["cpu"]) for _, call in guest.calls[1:]]
    assert attached == [("q", "kprobe:f", 1), ("p", None, None)]


def test_without_lists_all_programs_are_loaded_and_attached() -> None:
    guest = Recorder("p", "q")
    extension = RustExtension(rust="x")
    loaded = LoadedExtensions(
        guest,  # type: ignore[arg-type]
        {"a": extension},
        {"a": Artifact(Path("/x/x.o"))},
        Iteration(),
        lambda _seconds: SOON,
    )
    load_step, attach_step = LoadStep(load="a"), AttachStep(attach=AttachSpec(extension="a"))
    loaded.load(load_step, StepResult(load_step, "step 1"))
    loaded.attach(attach_step, StepResult(attach_step, "step 2"))
    assert guest.calls[0][1]["autoload"] is None
    assert [call["program"] for _, call in guest.calls[1:]] == ["p", "q"]
