# SPDX-License-Identifier: GPL-2.0-only
"""Items: one scenario on one flavor with one set of parameters, each with an id of its own.

An id is `property/name@flavor[depth=8,hook=xdp]`, the brackets only if there
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

# Neither shells nor reports need quotes for these.
_PLAIN = "+:."


@dataclass(frozen=True)
class Item:
    """What one virtual machine is started for.

    `scenario` has the parameters put in. Of a control it has the protection
    switched off already, and `expect` is still the scenario's: the item passes
    if that expectation fails in what the control says.
    """

    id: str
    scenario: Scenario
    flavor: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    control: Control | None = None

    @property
    def path(self) -> str:
        """The id's `property.name`, a path as result databases (KCIDB) have it."""
        return self.id.partition("@")[0].replace("/", ".")

    @property
    def keeps(self) -> bool:
        """Whether something is expected to be left over at the end: nobody waits long for it."""
        failing = (self.control.fails if self.control else None) or ()
        return self.scenario.expect.resources == "kept" or "resources" in failing


def items(scenario: Scenario, flavors: Iterable[str] | None = None) -> list[Item]:
    """The scenario's items, on its own flavors or on those given, in a stable order."""
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
    """The id of an item; the same for the same file, flavor and values, always."""
    name = f"{scenario.id}-without-{control.without}" if control else scenario.id
    said = ",".join(
        f"{key}={urllib.parse.quote(as_text(value), safe=_PLAIN)}" for key, value in values.items()
    )
    return f"{name}@{flavor}[{said}]" if said else f"{name}@{flavor}"


def switched_off(scenario: Scenario, control: Control) -> Scenario:
    """The scenario with the control's protection switched off before its first step."""
    steps: tuple[Step, ...] = scenario.steps
    if not control.set.empty:
        # Behind what the scenario sets itself, its budget among it: the control's value wins.
        own = tuple(itertools.takewhile(lambda step: isinstance(step, SetStep), steps))
        steps = (*own, SetStep(set=control.set).moved(control.where), *steps[len(own) :])
    machine = with_boot(scenario.machine, control.boot)
    if control.clock is not None:
        machine = machine.model_copy(update={"clock": control.clock})
    return scenario.model_copy(update={"machine": machine, "steps": steps})
