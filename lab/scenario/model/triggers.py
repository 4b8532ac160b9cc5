# SPDX-License-Identifier: GPL-2.0-only
"""Triggers: what makes an extension run."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from lab.scenario.model.base import (
    ABSOLUTE,
    HEX_BYTES,
    IPV4,
    SYSRQ_KEY,
    Count,
    Cpu,
    Int,
    OneOf,
    Part,
    ProgramRef,
    Seconds,
    Text,
    kinds_of,
)


class BaseTrigger(Part):
    """What every trigger has. Without `cpu` it runs where the scheduler puts it.

    `timeout` is in seconds, at emulation-free speed (the runner scales it); None
    leaves it to the item's own timeout. `background`: the next step starts
    before the trigger ends, for triggers that never return.
    """

    kind: ClassVar[str]

    cpu: Cpu | None = None
    timeout: Seconds | None = None
    background: Annotated[bool, Field(strict=True)] = False


class SyscallTrigger(BaseTrigger):
    """One of the harmless system calls of the trigger program, `times` times."""

    kind = "syscall"
    syscall: Text
    times: Count = 1


class PageFaultTrigger(BaseTrigger):
    """`pagefault` page faults from user space, on fresh pages."""

    kind = "pagefault"
    pagefault: Count

    @property
    def times(self) -> int:
        return self.pagefault


class PacketsTrigger(BaseTrigger):
    """`times` packets of `size` bytes over the device `packets` (`lo`, `veth0`).

    With the protocol `tcp` each is a connection that carries `size` bytes. `to` is the
    IPv4 address of the receiving socket, which a loopback device does not need. `netns`
    and `to_netns` are files of network namespaces: where the device is, and where the
    socket is.
    """

    kind = "packets"
    packets: Text
    times: Count = 1
    size: Annotated[Int, Field(ge=1, le=65_000)] = 64
    port: Annotated[Int, Field(ge=1, le=65_535)] | None = None
    protocol: Literal["udp", "tcp"] = "udp"
    to: Annotated[str, Field(pattern=IPV4)] | None = None
    netns: Annotated[str, Field(pattern=ABSOLUTE)] | None = None
    to_netns: Annotated[str, Field(pattern=ABSOLUTE)] | None = None

    @property
    def has_receiver(self) -> bool:
        """Tell whether its keys need a receiver: the trigger then always has one."""
        return self.protocol == "tcp" or any((self.to, self.netns, self.to_netns))


class SpinTrigger(BaseTrigger):
    """`spin` milliseconds of work in user space, for perf events to hit."""

    kind = "spin"
    spin: Annotated[Int, Field(ge=1, le=600_000)]


class RunTrigger(BaseTrigger):
    """The program `run` on test data, by BPF_PROG_TEST_RUN, `repeat` times in one call.

    `size` bytes of zeros or `data` (hex) is the packet, `ctx` (hex) the context.
    """

    kind = "run"
    run: ProgramRef
    repeat: Count = 1
    size: Annotated[Int, Field(ge=1, le=65_536)] | None = None
    data: Annotated[str, Field(pattern=HEX_BYTES)] | None = None
    ctx: Annotated[str, Field(pattern=HEX_BYTES)] | None = None


class ShellTrigger(BaseTrigger):
    """A line for the guest's shell."""

    kind = "shell"
    shell: Text


class SysrqTrigger(BaseTrigger):
    """A magic SysRq key (`c` crashes the kernel)."""

    kind = "sysrq"
    sysrq: Annotated[str, Field(pattern=SYSRQ_KEY)]


class WaitTrigger(BaseTrigger):
    """Nothing for `wait` seconds: for what comes by itself, such as timers."""

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
