# SPDX-License-Identifier: GPL-2.0-only
"""The model: `Written`, a scenario as its YAML has it, and `Scenario`, its long form.

`Written` accepts the short forms that people write; the JSON Schema for
editors is made from it. `expand` turns it into a `Scenario`, which has every
default and every step.
"""

from __future__ import annotations

import builtins
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, PrivateAttr, WithJsonSchema, model_validator

from lab.config.part import Int, Part, Text, flaw
from lab.config.yaml_file import Map
from lab.scenario.model.background import Background
from lab.scenario.model.base import ARGUMENT, FLAVOR, IDENTIFIER, Name, Scalar, Seconds
from lab.scenario.model.expect import AllowConsole, Expect
from lab.scenario.model.extensions import Extension
from lab.scenario.model.steps import RepeatStep, Settings, Step
from lab.scenario.model.triggers import Trigger
from lab.words import CONTROL_TOPICS, Topic, TrustLevel

# The values of the kernel's sysctl, in ms; 0 means no limit.
Budget = Annotated[Int, Field(ge=0, le=10_000)]
BootArgument = Annotated[str, Field(pattern=ARGUMENT)]
Flavor = Annotated[str, Field(pattern=FLAVOR)]
Clock = Literal["host", "instructions"]
_ROW = {"type": ["string", "number", "boolean"]}
_PARAMETER = {IDENTIFIER: {"type": "array", "items": _ROW, "minItems": 1}}
# `parameters.grid` reads them before the model exists; this type is for the JSON Schema.
Parameters = Annotated[
    Any,
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "object", "patternProperties": _PARAMETER, "additionalProperties": False},
                {"type": "array", "items": {"type": "object", "additionalProperties": _ROW}},
            ]
        }
    ),
]


class Machine(Part):
    """The configuration of the guest (docs/scenarios.md)."""

    cpus: Annotated[Int, Field(ge=1, le=64)] = 2
    # The number of threads of each core; each thread is one of the CPUs.
    threads: Annotated[Int, Field(ge=1, le=8)] = 1
    # Memory in MiB.
    memory: Annotated[Int, Field(ge=64, le=65_536)] = 256
    # Arguments on the kernel's command line.
    boot: tuple[BootArgument, ...] = ()
    # The machine type of QEMU.
    type: Literal["q35", "microvm"] = "q35"
    # The source of the guest's time: the host's clock, or the number of instructions.
    clock: Clock = "host"


class TopSettings(Settings):
    """Settings made before the first step; boot arguments are the machine's."""

    boot: tuple[BootArgument, ...] = ()


class Control(Part):
    """A negative control: a protection to switch off, by `boot` or `set`."""

    # The protection.
    without: Name
    boot: tuple[BootArgument, ...] = ()
    # The clock of the machine; None keeps the scenario's.
    clock: Clock | None = None
    set: Settings = Field(default_factory=Settings)
    # One of these must fail. None: the kernel's survival or its resources, which the
    # protections are for.
    fails: Annotated[tuple[Topic, ...], Field(min_length=1)] | None = None
    # Why the expectation fails without the protection.
    reason: Annotated[str, Field(min_length=3)]

    @property
    def topics(self) -> tuple[Topic, ...]:
        """The topics of which one must fail for the control to pass."""
        return CONTROL_TOPICS if self.fails is None else self.fails

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.boot and self.set.empty:
            raise flaw(f"nothing switches '{self.without}' off: give boot or set")
        return self


class Variant(Part):
    """One side of a comparison; the scenario provides the keys that it leaves out."""

    extension: Extension | None = None
    extensions: dict[Name, Extension] = Field(default_factory=dict)
    machine: Machine | None = None
    set: TopSettings | None = None
    trigger: Trigger | None = None
    steps: tuple[Step, ...] = ()
    expect: Expect | None = None


class Compared(Part):
    """An assertion over variants: that they `agree`, or a bound on the `ratio` of two.

    A `ratio` of [a, b] is a's `measure` divided by b's.
    """

    measure: Literal["outcome", "kernel", "returns", "maps", "time", "run_time"]
    agree: tuple[Name, ...] = ()
    ratio: tuple[Name, Name] | None = None
    at_least: float | None = None
    at_most: float | None = None


class Compare(Part):
    """Variants, and the expectations about all of them together."""

    variants: Annotated[dict[Name, Variant], Field(min_length=2)]
    expect: Annotated[tuple[Compared, ...], Field(min_length=1)]


class Common(Part):
    """The keys that mean the same as written and in the long form."""

    summary: Text
    tags: tuple[Name, ...] = ()
    kernels: Annotated[tuple[Flavor, ...], Field(min_length=1)] = ("stock",)
    machine: Machine = Field(default_factory=Machine)
    timeout: Seconds = 60
    background: dict[Name, Background] = Field(default_factory=dict)
    allow_console: tuple[AllowConsole, ...] = ()
    trust: TrustLevel = "guest"
    controls: tuple[Control, ...] = ()
    compare: Compare | None = None


class Written(Common):
    """A scenario as its file has it, with one set of parameters inserted."""

    name: Name | None = None
    property: Name | None = None
    parameters: Parameters = None
    extension: Extension | None = None
    extensions: dict[Name, Extension] = Field(default_factory=dict)
    set: TopSettings = Field(default_factory=TopSettings)
    budget_ms: Budget | None = None
    trigger: Trigger | None = None
    steps: Annotated[tuple[Step, ...], Field(min_length=1)] | None = None
    expect: Expect


class Scenario(Common):
    """A scenario in its long form, with all defaults and steps."""

    name: Name
    property: Name
    path: Path
    # The values that were inserted.
    parameters: dict[str, Scalar] = Field(default_factory=dict)
    # All sets of values of the file, in the order of its items.
    grid: tuple[dict[str, Scalar], ...] = ({},)
    extensions: dict[Name, Extension]
    steps: tuple[Step, ...]
    expect: Expect

    # The data of the file, to build the scenario with other parameters.
    _data: Map = PrivateAttr(default_factory=Map)

    @builtins.property
    def id(self) -> str:
        """`property/name`, the part of an item's ID that identifies the scenario."""
        return f"{self.property}/{self.name}"

    def all_steps(self) -> tuple[Step, ...]:
        """Return all steps, also those inside repetitions, in the order of the file."""
        return tuple(_walk(self.steps))


def _walk(steps: tuple[Step, ...]) -> list[Step]:
    found: list[Step] = []
    for step in steps:
        found.append(step)
        if isinstance(step, RepeatStep):
            found += _walk(step.repeat.steps)
    return found
