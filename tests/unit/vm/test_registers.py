# SPDX-License-Identifier: GPL-2.0-only
"""The registers of CPUs, parsed from what QEMU printed about real guests."""

from __future__ import annotations

import pytest

from lab.vm.registers import CpuRegisters, parse

# From a guest whose CPU 0 is idle and whose CPU 1 runs a program. The vector registers that
# follow are left out.
REAL = """\
\r
CPU#0\r
RAX=0000000000000000 RBX=0000000000000000 RCX=7fffffffffffffff RDX=0000000000000000\r
RSI=0000000000000001 RDI=0000000000000a7c RBP=ffffffff81e090c0 RSP=ffffffff81e03ea8\r
R8 =ffffffff81e03df8 R9 =0000000000000002 R10=7fffffffffffffff R11=0000000000000000\r
R12=0000000000000000 R13=00000000000000be R14=0000000000000000 R15=0000000002274520\r
RIP=ffffffff81544973 RFL=00000246 [---Z-P-] CPL=0 II=0 A20=1 SMM=0 HLT=1\r
ES =0000 0000000000000000 00000000 00000000\r
CS =0010 0000000000000000 ffffffff 00af9b00 DPL=0 CS64 [-RA]\r
GS =0000 ffff88800f000000 00000000 00000000\r
TR =0040 fffffe0000003000 00000067 00008900 DPL=0 TSS64-avl\r
CR0=80050033 CR2=000000000bba3750 CR3=00000000009d0000 CR4=003506b0\r
EFER=0000000000000d01\r
FCW=037f FSW=0000 [ST=0] FTW=00 MXCSR=00001f80\r
\r
CPU#1\r
RAX=0000000000000000 RBX=000000000a30fc60 RCX=00000000fbad2084 RDX=0000000000000000\r
RSI=0000000000000000 RDI=0000000000000000 RBP=000000000a30fc60 RSP=00007ffee8699290\r
R8 =0000000000000000 R9 =0000000000000000 R10=682443d849498d4c R11=0000000000000000\r
R12=000000000a30fbb8 R13=0000000000000000 R14=0000000000000000 R15=0000000000000000\r
RIP=0000000000530cc4 RFL=00000246 [---Z-P-] CPL=3 II=0 A20=1 SMM=0 HLT=0\r
CS =0033 0000000000000000 ffffffff 00affb00 DPL=3 CS64 [-RA]\r
CR0=80050033 CR2=00000000005e3c80 CR3=0000000000b46000 CR4=003506b0\r
EFER=0000000000000d01\r
"""


def test_each_cpu_has_its_own_registers() -> None:
    idle, busy = parse(REAL)
    assert idle == CpuRegisters(0, 0xFFFFFFFF81544973, 0x246, level=0, halted=True)
    assert busy == CpuRegisters(1, 0x530CC4, 0x246, level=3, halted=False)


def test_lines_may_end_without_a_carriage_return() -> None:
    assert parse(REAL.replace("\r", "")) == parse(REAL)


def test_a_cpu_in_32_bit_code_has_shorter_registers() -> None:
    text = "CPU#0\nEAX=00000000 EBX=00000000\nEIP=0000fff0 EFL=00000002 [-------] CPL=0 HLT=0\n"
    assert parse(text) == (CpuRegisters(0, 0xFFF0, 0x2, level=0, halted=False),)


@pytest.mark.parametrize(
    ("flags", "level", "halted", "enabled", "in_kernel"),
    [
        (0x246, 0, False, True, True),
        (0x046, 0, False, False, True),
        (0x046, 0, True, False, False),
        (0x246, 3, False, True, False),
    ],
)
def test_the_state_of_a_cpu_follows_from_its_registers(
    flags: int, level: int, halted: bool, enabled: bool, in_kernel: bool
) -> None:
    cpu = CpuRegisters(0, 0, flags, level, halted)
    assert (cpu.interrupts_enabled, cpu.in_kernel) == (enabled, in_kernel)


@pytest.mark.parametrize("field", ["RIP=", "RFL=", "CPL=", "HLT="])
def test_no_field_of_a_cpu_is_taken_from_the_next(field: str) -> None:
    cut = REAL.replace(field, "XXX=", 1)
    assert parse(cut) == parse(REAL)[1:]


@pytest.mark.parametrize("text", ["", "no answer", "CPU#0", "CPU#0\nRIP=0 RFL=zz CPL=0 HLT=0"])
def test_an_answer_without_registers_has_no_cpus(text: str) -> None:
    assert parse(text) == ()
