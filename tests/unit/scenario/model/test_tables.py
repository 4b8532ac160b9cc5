# SPDX-License-Identifier: GPL-2.0-only
"""Each kind of part is in the table of its family, each verb in the tables of its users."""

from __future__ import annotations

from unittest.mock import create_autospec

import pytest

from lab.config.part import Part
from lab.config.yaml_file import Map
from lab.deadline import Deadline
from lab.guest.guest import Guest
from lab.runner.shell_lines import trigger_line
from lab.runner.steps import StepDriver
from lab.scenario.checks import steps as checks
from lab.scenario.model.background import BACKGROUNDS, BaseBackground
from lab.scenario.model.extensions import EXTENSIONS, BaseExtension
from lab.scenario.model.steps import STEPS, BaseStep
from lab.scenario.model.triggers import TRIGGERS, BaseTrigger


def concrete(base: type[Part], key: str) -> set[type[Part]]:
    """Return the classes below `base` that have a key of their own."""
    below = {one for child in base.__subclasses__() for one in concrete(child, key)}
    return below | ({base} if key in vars(base) else set())


@pytest.mark.parametrize(
    ("base", "key", "kinds"),
    [
        (BaseStep, "verb", STEPS),
        (BaseTrigger, "kind", TRIGGERS),
        (BaseExtension, "kind", EXTENSIONS),
        (BaseBackground, "kind", BACKGROUNDS),
    ],
)
def test_every_kind_of_part_is_in_its_table(
    base: type[Part], key: str, kinds: dict[str, type[Part]]
) -> None:
    assert set(kinds.values()) == concrete(base, key)
    for kind, part in kinds.items():
        assert getattr(part, key) == kind
        assert kind in part.model_fields, "the key of a mapping tells its kind"


def test_the_driver_can_do_every_step_of_the_model() -> None:
    driver = StepDriver(create_autospec(Guest, instance=True), {}, {}, {}, Deadline(1.0))
    assert list(driver.verbs) == list(STEPS)


def test_every_step_of_the_model_is_checked_or_may_come_anywhere() -> None:
    flow = checks._Flow(Map())
    assert sorted([*flow.verbs, *checks.ANYWHERE]) == sorted(STEPS)


@pytest.mark.parametrize("kind", sorted(TRIGGERS))
def test_every_trigger_but_run_has_a_shell_line(kind: str) -> None:
    trigger = TRIGGERS[kind].model_construct(None, **{kind: "1"})
    assert isinstance(trigger, BaseTrigger)
    if kind == "run":
        with pytest.raises(TypeError, match="no shell line"):
            trigger_line(trigger)
    else:
        assert trigger_line(trigger)
