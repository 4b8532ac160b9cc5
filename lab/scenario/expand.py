# SPDX-License-Identifier: GPL-2.0-only
"""Expand the short form of a scenario to the long one, with all steps and defaults.

`extension:` is an extension called `main`. Without `steps:` the steps are: load
every extension, attach it, start the background work, pull the trigger, stop
and unload again. Impossible steps are left out: a module is not attached,
nor is a program that the trigger runs on test data; a kernel that is expected
to stall or crash can't unload any more; an extension that is expected to be
rejected, or not to compile, is only loaded. Without `kernels:` the scenario runs on the
kernel that supports all its extensions.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lab.config.part import Where
from lab.config.yaml_file import Map
from lab.scenario.model.background import LoadUnload
from lab.scenario.model.base import BUDGET
from lab.scenario.model.expect import LoadExpect
from lab.scenario.model.extensions import BaseExtension, Extension, ModuleExtension, RustExtension
from lab.scenario.model.scenario import Common, Machine, Scenario, Written
from lab.scenario.model.steps import (
    AttachSpec,
    AttachStep,
    LoadStep,
    SetStep,
    Settings,
    StartStep,
    Step,
    StopStep,
    TriggerStep,
    UnloadStep,
)
from lab.scenario.model.triggers import RunTrigger
from lab.words import LoadOutcome

MAIN = "main"


def expand(
    written: Written,
    *,
    path: Path,
    name: str,
    property: str,
    parameters: dict[str, Any],
    grid: tuple[dict[str, Any], ...],
    data: Map,
) -> Scenario:
    """Return the long form of a file's scenario with one set of parameters."""
    lone = written.extension
    extensions = written.extensions if lone is None else {MAIN: lone}
    expect = written.expect.resolved()
    steps = _steps(written, extensions) if written.steps is None else written.steps
    if expect.failed_load:
        steps = _expect_failure(steps, expect.failed_load)
    settings = _settings(written)
    if not settings.empty:
        steps = (SetStep(set=settings).moved(settings.where), *steps)
    shared = {key: getattr(written, key) for key in Common.model_fields}
    shared["machine"] = with_boot(written.machine, written.set.boot)
    if "kernels" not in written.model_fields_set:
        shared["kernels"] = (default_flavor(extensions.values()),)
    scenario = Scenario(
        **{
            **shared,
            "name": name,
            "property": property,
            "path": path,
            "parameters": parameters,
            "grid": grid,
            "extensions": extensions,
            "steps": steps,
            "expect": expect,
        }
    )
    scenario._data = data
    return scenario.moved(Where(str(path), data.mark.line, data.mark.column))


def _settings(written: Written) -> Settings:
    """Return the settings before the first step, including the budget."""
    sysctl = dict(written.set.sysctl)
    if written.budget_ms is not None:
        sysctl[BUDGET] = written.budget_ms
    where = written.where if written.set.empty else written.set.where
    return Settings(sysctl=sysctl, debug=written.set.debug).moved(where)


def with_boot(machine: Machine, more: tuple[str, ...]) -> Machine:
    """Return the machine with more boot arguments; they follow its own, and so take precedence."""
    return machine.model_copy(update={"boot": (*machine.boot, *more)}) if more else machine


def default_flavor(extensions: Iterable[Extension]) -> str:
    """Return the kernel for all of a scenario's extensions: one with Rust runs the others, too."""
    wanted = {extension.flavor for extension in extensions}
    return RustExtension.flavor if RustExtension.flavor in wanted else BaseExtension.flavor


def _steps(written: Written, extensions: dict[str, Extension]) -> tuple[Step, ...]:
    churned = {
        work.load_unload for work in written.background.values() if isinstance(work, LoadUnload)
    }
    # Background work loads its own extensions, unless there is no other extension to load.
    loaded = [name for name in extensions if name not in churned] or list(extensions)
    steps: list[Step] = [LoadStep(load=name).moved(extensions[name].where) for name in loaded]
    if written.trigger is None:
        return tuple(steps)
    steps += [
        AttachStep(attach=AttachSpec(extension=name)).moved(extensions[name].where)
        for name in loaded
        if _is_attached(extensions[name], written)
    ]
    steps += [StartStep(start=name).moved(work.where) for name, work in written.background.items()]
    steps.append(TriggerStep(trigger=written.trigger).moved(written.trigger.where))
    if written.expect.kernel == "alive":
        steps += [
            StopStep(stop=name).moved(work.where)
            for name, work in reversed(written.background.items())
        ]
        steps += [
            UnloadStep(unload=name).moved(extensions[name].where) for name in reversed(loaded)
        ]
    return tuple(steps)


def _is_attached(extension: Extension, written: Written) -> bool:
    if isinstance(extension, ModuleExtension):
        return False
    if extension.attach is None:
        return not isinstance(written.trigger, RunTrigger)
    return bool(extension.attach)


def _expect_failure(steps: tuple[Step, ...], outcome: LoadOutcome) -> tuple[Step, ...]:
    loads = [step for step in steps if isinstance(step, LoadStep)]
    if len(loads) != 1 or loads[0].expect is not None:
        return steps
    failing = loads[0].model_copy(update={"expect": LoadExpect(outcome=outcome)})
    return tuple(failing if step is loads[0] else step for step in steps)
