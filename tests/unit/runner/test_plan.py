# SPDX-License-Identifier: GPL-2.0-only
"""Plans: what a guest gets."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from lab.cache import Cache
from lab.errors import NotCompiled, UserError
from lab.image.build import Image
from lab.kernel.artifact import Kernel
from lab.runner import plan
from lab.runner.extensions import Artifact
from lab.runner.plan import Planner
from lab.scenario.items import items
from lab.scenario.load import load_scenarios
from lab.scenario.model.scenario import Scenario
from lab.vm.accel import Accel
from lab.workspace import Workspace

NOWHERE = Path("none")
KERNEL = Kernel("mine", "key", "6.12", NOWHERE, NOWHERE, NOWHERE, ())


@pytest.mark.parametrize(
    ("needed", "asked", "given"), [(0, 128, 128), (512, 256, 512), (512, 1024, 1024)]
)
def test_a_guest_has_no_less_memory_than_its_kernel_needs(
    tmp_path: Path, needed: int, asked: int, given: int
) -> None:
    planner = Planner(Workspace(), Cache(tmp_path), _accel=Accel("kvm", "host", "said so"))
    kernel = dataclasses.replace(KERNEL, memory=needed)
    spec = planner.guest_spec(kernel, Image(NOWHERE, "key", 1), memory=asked)
    assert spec.shape.memory == given


@pytest.mark.parametrize(
    ("accel", "clock", "icount", "khz"),
    [
        ("tcg", "host", None, None),
        ("tcg", "instructions", plan.CLOCK_SHIFT, plan.ICOUNT_KHZ),
        ("kvm", "instructions", None, None),
    ],
)
def test_only_an_emulated_guest_has_a_clock_that_follows_its_instructions(
    accel: str,
    clock: str,
    icount: int | None,
    khz: int | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(plan, "frequency_khz", lambda _cache: None)
    planner = Planner(Workspace(), Cache(tmp_path), _accel=Accel(accel, "max", "said so"))
    monkeypatch.setattr(planner, "kernel", lambda _flavor: KERNEL)
    monkeypatch.setattr(planner, "image", lambda _kernel: Image(NOWHERE, "key", 1))
    monkeypatch.setattr(planner, "_artifact", lambda *_: Artifact(NOWHERE))
    (item,) = items(scenario(tmp_path, f"machine: {{clock: {clock}}}\n{PLAIN}"))
    spec = planner.plan(item).guest
    assert spec.shape.icount == icount
    assert (f"tsc_early_khz={khz}" in spec.arguments) == (khz is not None)


PLAIN = "trigger: {syscall: getpid}\nexpect: {outcome: returned}\n"
REFUSED = "expect: {outcome: not_compiled, compiler_log: {contains: stack limit}}\n"
REJECTED = "expect: {outcome: rejected, verifier_log: {contains: stack limit}}\n"
IN_STEPS = """\
steps:
  - load: main
    expect: {outcome: not_compiled, compiler_log: {matches: "stack limit"}}
expect: {outcome: {not_compiled: 1}}
"""


def scenario(folder: Path, text: str) -> Scenario:
    path = folder / "stack" / "case.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"summary: x\nextension: {{c: case}}\n{text}")
    (loaded,) = load_scenarios(path)
    return loaded


def not_compiled(log: str, *, missing: bool = False) -> NotCompiled:
    error = NotCompiled("extension case does not compile: case.bpf.c:1:2: error: ...")
    error.log, error.missing = log, missing
    return error


@pytest.mark.parametrize("text", [REFUSED, IN_STEPS])
def test_what_the_compiler_is_to_refuse_is_an_artifact(tmp_path: Path, text: str) -> None:
    error = not_compiled("the stack limit is exceeded")
    artifact = plan.refused(scenario(tmp_path, text), "main", error)
    assert artifact == Artifact(None, error.log)


@pytest.mark.parametrize(
    ("text", "log", "missing"),
    [
        # Nothing expects it; a rejection is different.
        (PLAIN, "the stack limit is exceeded", False),
        (REJECTED, "the stack limit is exceeded", False),
        # A mistake other than the expected one, or none in the code.
        (REFUSED, "expected ';'", False),
        (IN_STEPS, "expected ';'", False),
        (REFUSED, "'stack limit.h' file not found", True),
    ],
)
def test_any_other_refusal_of_the_compiler_is_the_users_mistake(
    tmp_path: Path, text: str, log: str, missing: bool
) -> None:
    with pytest.raises(UserError, match="extension case does not compile"):
        plan.refused(scenario(tmp_path, text), "main", not_compiled(log, missing=missing))


def test_a_refusal_is_judged_for_each_scenario(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One scenario's expectation does not affect another's, though both share a build."""

    def build_c(*_: object) -> None:
        raise not_compiled("the stack limit is exceeded")

    monkeypatch.setattr(plan, "build_c", build_c)
    planner = Planner(Workspace(), Cache(tmp_path))
    assert planner._artifact(scenario(tmp_path, REFUSED), "main", KERNEL).path is None
    with pytest.raises(NotCompiled):
        planner._artifact(scenario(tmp_path, PLAIN), "main", KERNEL)
