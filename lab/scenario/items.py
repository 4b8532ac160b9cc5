# SPDX-License-Identifier: GPL-2.0-only
"""Items: one scenario on one flavor with one set of parameters, each with an ID of its own.

An ID is `property/name@flavor[depth=8,hook=xdp]`, with brackets only if there
are parameters; a control's name ends in `-without-PROTECTION`.
"""

from __future__ import annotations

import itertools
import urllib.parse
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lab.scenario.expand import with_boot
from lab.scenario.load import with_parameters
from lab.scenario.model.scenario import Control, Scenario
from lab.scenario.model.steps import SetStep, Step
from lab.scenario.parameters import as_text

# Characters of an ID that need no quotes in shells and reports.
_PLAIN = "+:."


@dataclass(frozen=True)
class Item:
    """One run of a scenario, in a virtual machine of its own."""

    id: str
    # The scenario with the parameters inserted and, for a control, with the protection
    # switched off.
    scenario: Scenario
    flavor: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    # The item of a control keeps the expectations of its scenario. It passes if they fail
    # in the topics that the control names.
    control: Control | None = None

    @property
    def path(self) -> str:
        """The ID's `property.name`, a path as result databases (KCIDB) have it."""
        return self.id.partition("@")[0].replace("/", ".")

    @property
    def keeps(self) -> bool:
        """True if leftovers are expected at the end; then there is no long wait for releases."""
        failing = (self.control.fails if self.control else None) or ()
        return self.scenario.expect.resources == "kept" or "resources" in failing


def items(scenario: Scenario, flavors: Iterable[str] | None = None) -> list[Item]:
    """Return the scenario's items, on its own or the given flavors, in a stable order."""
    chosen = list(dict.fromkeys(scenario.kernels if flavors is None else flavors))
    variants = [(values, with_parameters(scenario, values)) for values in scenario.grid]
    found = []
    for flavor in chosen:
        for values, variant in variants:
            found.append(Item(item_id(variant, flavor, values), variant, flavor, values))
            for control in variant.controls:
                changed = switched_off(variant, control)
                name = item_id(variant, flavor, values, control)
                found.append(Item(name, changed, flavor, values, control))
    return found


def item_id(
    scenario: Scenario, flavor: str, values: Mapping[str, Any], control: Control | None = None
) -> str:
    """Return the ID of an item, which depends only on the file, the flavor and the values."""
    name = f"{scenario.id}-without-{control.without}" if control else scenario.id
    said = ",".join(
        f"{key}={urllib.parse.quote(as_text(value), safe=_PLAIN)}" for key, value in values.items()
    )
    return f"{name}@{flavor}[{said}]" if said else f"{name}@{flavor}"


def switched_off(scenario: Scenario, control: Control) -> Scenario:
    """Return the scenario with the control's protection switched off before its first step."""
    steps: tuple[Step, ...] = scenario.steps
    if not control.set.empty:
        # After the scenario's own settings, such as its budget: the control's values win.
        own = tuple(itertools.takewhile(lambda step: isinstance(step, SetStep), steps))
        steps = (*own, SetStep(set=control.set).moved(control.where), *steps[len(own) :])
    machine = with_boot(scenario.machine, control.boot)
    if control.clock is not None:
        machine = machine.model_copy(update={"clock": control.clock})
    return scenario.model_copy(update={"machine": machine, "steps": steps})
