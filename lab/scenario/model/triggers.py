# SPDX-License-Identifier: GPL-2.0-only
"""Triggers, which make an extension run."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from lab.config.part import Int, OneOf, Part, Text, kinds_of
from lab.scenario.model.base import (
    ABSOLUTE,
    HEX_BYTES,
    IPV4,
    SYSRQ_KEY,
    Count,
    Cpu,
    ProgramRef,
    Seconds,
)


class BaseTrigger(Part):
    """The common part of all triggers."""

    kind: ClassVar[str]

    # The CPU to run on; None leaves the choice to the scheduler.
    cpu: Cpu | None = None
    # Seconds without emulation, which the runner scales; None: only the item's timeout applies.
    timeout: Seconds | None = None
    # If true, the next step starts before the trigger ends, for triggers that never return.
    background: Annotated[bool, Field(strict=True)] = False


class SyscallTrigger(BaseTrigger):
    """Make one of the trigger program's harmless system calls, `times` times."""

    kind = "syscall"
    syscall: Text
    times: Count = 1


class PageFaultTrigger(BaseTrigger):
    """Cause `pagefault` page faults from user space, on fresh pages."""

    kind = "pagefault"
    pagefault: Count

    @property
    def times(self) -> int:
        return self.pagefault


class PacketsTrigger(BaseTrigger):
    """Send `times` packets of `size` bytes over the device `packets` (`lo`, `veth0`)."""

    kind = "packets"
    packets: Text
    times: Count = 1
    size: Annotated[Int, Field(ge=1, le=65_000)] = 64
    port: Annotated[Int, Field(ge=1, le=65_535)] | None = None
    # With `tcp` each packet is a connection that carries `size` bytes.
    protocol: Literal["udp", "tcp"] = "udp"
    # The IPv4 address of the receiving socket; a loopback device does not need it.
    to: Annotated[str, Field(pattern=IPV4)] | None = None
    # The file of the network namespace of the device.
    netns: Annotated[str, Field(pattern=ABSOLUTE)] | None = None
    # The file of the network namespace of the socket.
    to_netns: Annotated[str, Field(pattern=ABSOLUTE)] | None = None

    @property
    def has_receiver(self) -> bool:
        """True if the keys need a receiver; the trigger then always has one."""
        return self.protocol == "tcp" or any((self.to, self.netns, self.to_netns))


class SpinTrigger(BaseTrigger):
    """Work for `spin` milliseconds in user space, so that perf events hit."""

    kind = "spin"
    spin: Annotated[Int, Field(ge=1, le=600_000)]


class RunTrigger(BaseTrigger):
    """Run the program `run` on test data, by BPF_PROG_TEST_RUN, `repeat` times in one call.

    The packet is `size` bytes of zeros, or `data` (hex); the context is `ctx` (hex).
    """

    kind = "run"
    run: ProgramRef
    repeat: Count = 1
    size: Annotated[Int, Field(ge=1, le=65_536)] | None = None
    data: Annotated[str, Field(pattern=HEX_BYTES)] | None = None
    ctx: Annotated[str, Field(pattern=HEX_BYTES)] | None = None


class ShellTrigger(BaseTrigger):
    """Run a line in the guest's shell."""

    kind = "shell"
    shell: Text


class SysrqTrigger(BaseTrigger):
    """Press a magic SysRq key (`c` crashes the kernel)."""

    kind = "sysrq"
    sysrq: Annotated[str, Field(pattern=SYSRQ_KEY)]


class WaitTrigger(BaseTrigger):
    """Wait `wait` seconds, for events that need no trigger, such as timers."""

    kind = "wait"
    wait: Seconds


_Any = (
    SyscallTrigger
    | PageFaultTrigger
    | PacketsTrigger
    | SpinTrigger
    | RunTrigger
    | ShellTrigger
    | SysrqTrigger
    | WaitTrigger
)
TRIGGERS = kinds_of(_Any, "kind")
Trigger = Annotated[_Any, OneOf("trigger", TRIGGERS)]
