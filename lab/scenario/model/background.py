# SPDX-License-Identifier: GPL-2.0-only
"""Background work: what goes on beside the steps, from `start` to `stop`."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from lab.scenario.model.base import Cpu, Int, Name, OneOf, Part, Seconds, Text, kinds_of


class BaseBackground(Part):
    """What all background work has: its `kind`."""

    kind: ClassVar[str]


class LoadUnload(BaseBackground):
    """Loads and unloads the extension `load_unload`, then waits `every` seconds, and again."""

    kind = "load_unload"
    load_unload: Name
    every: Seconds = 0.2


class Traffic(BaseBackground):
    """Packets of `size` bytes over the device `traffic`, as fast as they go or one per `every`."""

    kind = "traffic"
    traffic: Text
    size: Annotated[Int, Field(ge=1, le=65_000)] = 64
    every: Seconds | None = None
    cpu: Cpu | None = None


class CpuHotplug(BaseBackground):
    """Takes CPU `cpu_hotplug` offline and back online, each after `every` seconds."""

    kind = "cpu_hotplug"
    cpu_hotplug: Cpu
    every: Seconds = 0.5


class ShellBackground(BaseBackground):
    """A line for the guest's shell that runs until it ends or is stopped."""

    kind = "shell"
    shell: Text
    cpu: Cpu | None = None


_Any = LoadUnload | Traffic | CpuHotplug | ShellBackground
BACKGROUNDS = kinds_of(_Any, "kind")
Background = Annotated[_Any, OneOf("background", BACKGROUNDS)]
