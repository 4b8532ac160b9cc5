# SPDX-License-Identifier: GPL-2.0-only
"""The model: `Written`, a scenario as its YAML has it, and `Scenario`, its long form.

`Written` accepts what people write, with its short forms; the JSON Schema for
editors is made from it. `expand` turns it into a `Scenario`, in which every
default is filled in and every step is there.
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

# What the kernel's sysctl takes, in ms; 0 is no end.
Budget = Annotated[Int, Field(ge=0, le=10_000)]
BootArgument = Annotated[str, Field(pattern=ARGUMENT)]
Flavor = Annotated[str, Field(pattern=FLAVOR)]
Clock = Literal["host", "instructions"]
_ROW = {"type": ["string", "number", "boolean"]}
_PARAMETER = {IDENTIFIER: {"type": "array", "items": _ROW, "minItems": 1}}
# Read by `parameters.grid` before there is a model; here for the JSON Schema.
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
    """The guest's shape: CPUs, how many of them are threads of one core, memory in MiB,
    boot arguments, QEMU machine type, and what its clock follows (docs/scenarios.md).
    """

    cpus: Annotated[Int, Field(ge=1, le=64)] = 2
    threads: Annotated[Int, Field(ge=1, le=8)] = 1
    memory: Annotated[Int, Field(ge=64, le=65_536)] = 256
    boot: tuple[BootArgument, ...] = ()
    type: Literal["q35", "microvm"] = "q35"
    clock: Clock = "host"


class TopSettings(Settings):
    """Settings made before the first step; boot arguments are the machine's."""

    boot: tuple[BootArgument, ...] = ()


class Control(Part):
    """A protection to switch off, how, and why the expectation then fails.

    `fails` says in what: one of these has to fail. None leaves it at what the
    protection is there for, the kernel's survival and its resources. `clock` is that
    of the machine; None leaves it as the scenario has it.
    """

    without: Name
    boot: tuple[BootArgument, ...] = ()
    clock: Clock | None = None
    set: Settings = Field(default_factory=Settings)
    fails: Annotated[tuple[Topic, ...], Field(min_length=1)] | None = None
    reason: Annotated[str, Field(min_length=3)]

    @property
    def topics(self) -> tuple[Topic, ...]:
        """What may fail for the control to pass."""
        return CONTROL_TOPICS if self.fails is None else self.fails

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.boot and self.set.empty:
            raise flaw(f"nothing switches '{self.without}' off: give boot or set")
        return self


class Variant(Part):
    """One of the things that a comparison compares; what it leaves out is the scenario's."""

    extension: Extension | None = None
    extensions: dict[Name, Extension] = Field(default_factory=dict)
    machine: Machine | None = None
    set: TopSettings | None = None
    trigger: Trigger | None = None
    steps: tuple[Step, ...] = ()
    expect: Expect | None = None


class Compared(Part):
    """An assertion over variants: that they `agree`, or how two of them relate.

    `ratio` [a, b] bounds a's `measure` divided by b's.
    """

    measure: Literal["outcome", "kernel", "returns", "maps", "time", "run_time"]
    agree: tuple[Name, ...] = ()
    ratio: tuple[Name, Name] | None = None
    at_least: float | None = None
    at_most: float | None = None


class Compare(Part):
    """Variants, and what has to hold over all of them."""

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
    """A scenario as its file says it, one set of parameters put in."""

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
    """A scenario in its long form: nothing left out, nothing left to say.

    `parameters` holds the values that were put in, `grid` all sets of values
    of the file, in the order of its items.
    """

    name: Name
    property: Name
    path: Path
    parameters: dict[str, Scalar] = Field(default_factory=dict)
    grid: tuple[dict[str, Scalar], ...] = ({},)
    extensions: dict[Name, Extension]
    steps: tuple[Step, ...]
    expect: Expect

    # The file's own data, for the other sets of parameters.
    _data: Map = PrivateAttr(default_factory=Map)

    @builtins.property
    def id(self) -> str:
        """`property/name`, the part of an item's id that says the scenario."""
        return f"{self.property}/{self.name}"

    def all_steps(self) -> tuple[Step, ...]:
        """All steps, those inside repetitions too, in the order of the file."""
        return tuple(_walk(self.steps))


def _walk(steps: tuple[Step, ...]) -> list[Step]:
    found: list[Step] = []
    for step in steps:
        found.append(step)
        if isinstance(step, RepeatStep):
            found += _walk(step.repeat.steps)
    return found
