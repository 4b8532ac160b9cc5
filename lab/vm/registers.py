# SPDX-License-Identifier: GPL-2.0-only
"""The registers of a machine's CPUs, parsed from QEMU's `info registers -a`."""

from __future__ import annotations

import re
from dataclasses import dataclass

_INTERRUPT_FLAG = 1 << 9

# One block for each CPU. A CPU that runs 32-bit code has EIP and EFL instead of RIP and RFL.
_BLOCK = re.compile(r"^CPU#(\d+)\s*$", re.MULTILINE)
_FIELDS = re.compile(
    r"\b[RE]IP=([0-9a-f]+)\b.*?\b[RE]FL=([0-9a-f]+)\b.*?\bCPL=(\d)\b.*?\bHLT=(\d)\b", re.DOTALL
)


@dataclass(frozen=True)
class CpuRegisters:
    """One CPU, as QEMU shows it from outside the guest.

    `rip` is the instruction pointer, `flags` the flags register, `level` the current
    privilege level (0 is the kernel). `halted` is never set under KVM, where QEMU does not
    know it; a CPU that the guest has taken offline is halted.
    """

    cpu: int
    rip: int
    flags: int
    level: int
    halted: bool

    @property
    def interrupts_enabled(self) -> bool:
        """True if the CPU accepts maskable interrupts."""
        return bool(self.flags & _INTERRUPT_FLAG)

    @property
    def in_kernel(self) -> bool:
        """True if the CPU executes kernel code: it is at level 0, and not halted."""
        return self.level == 0 and not self.halted


def parse(text: str) -> tuple[CpuRegisters, ...]:
    """Return the CPUs in QEMU's answer to `info registers -a`, in its order.

    A CPU with a field that is missing or malformed is left out: no field is taken from
    the next CPU.
    """
    _, *blocks = _BLOCK.split(text)
    return tuple(
        CpuRegisters(int(cpu), int(found[1], 16), int(found[2], 16), int(found[3]), found[4] == "1")
        for cpu, block in zip(blocks[::2], blocks[1::2], strict=True)
        if (found := _FIELDS.search(block))
    )
