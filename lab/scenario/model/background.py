# SPDX-License-Identifier: GPL-2.0-only
"""Background work, which runs alongside the steps, from `start` to `stop`."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from lab.config.part import Int, OneOf, Part, Text, kinds_of
from lab.scenario.model.base import Cpu, Name, Seconds


class BaseBackground(Part):
    """The common part of all background work: its `kind`."""

    kind: ClassVar[str]


class LoadUnload(BaseBackground):
    """Load and unload the extension `load_unload` again and again, `every` seconds apart."""

    kind = "load_unload"
    load_unload: Name
    every: Seconds = 0.2


class Traffic(BaseBackground):
    """Send packets of `size` bytes over the device `traffic`, `every` seconds apart or nonstop."""

    kind = "traffic"
    traffic: Text
    size: Annotated[Int, Field(ge=1, le=65_000)] = 64
    every: Seconds | None = None
    cpu: Cpu | None = None


class CpuHotplug(BaseBackground):
    """Take CPU `cpu_hotplug` offline and back online, each after `every` seconds."""

    kind = "cpu_hotplug"
    cpu_hotplug: Cpu
    every: Seconds = 0.5


class ShellBackground(BaseBackground):
    """Run a line in the guest's shell until it ends or is stopped."""

    kind = "shell"
    shell: Text
    cpu: Cpu | None = None


_Any = LoadUnload | Traffic | CpuHotplug | ShellBackground
BACKGROUNDS = kinds_of(_Any, "kind")
Background = Annotated[_Any, OneOf("background", BACKGROUNDS)]
