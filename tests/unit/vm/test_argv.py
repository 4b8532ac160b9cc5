# SPDX-License-Identifier: GPL-2.0-only
"""QEMU's command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.errors import UserError
from lab.vm import argv
from lab.vm.accel import CPU_MODELS


def line(shape: argv.Shape) -> str:
    return " ".join(
        argv.command(
            "qemu",
            shape,
            argv.Descriptors(qmp=7, channel=8),
            boot=Path("/k"),
            initrd=Path("/i"),
            command_line="a b",
        )
    )


@pytest.mark.parametrize("machine", argv.MACHINES)
def test_every_machine_is_closed_and_observed(machine: str) -> None:
    text = line(argv.Shape(machine=machine))
    assert "restrict=on" in text
    assert "hostfwd=tcp:127.0.0.1:0-:22" in text
    assert "-no-reboot" in text
    assert "pvpanic" in text
    assert "-nodefaults" in text
    assert "socket,id=qmp,fd=7" in text


def test_microvm_has_no_pci_devices() -> None:
    assert "pci" not in line(argv.Shape(machine="microvm"))


def test_the_shape_decides_cpus_memory_and_accelerator() -> None:
    text = line(argv.Shape(cpus=3, memory=512, accel="kvm", cpu="host"))
    assert "-smp 3,threads=1" in text
    assert "-smp 4,threads=2" in line(argv.Shape(cpus=4, threads=2))
    assert "-m 512M" in text
    assert "-accel kvm -cpu host" in text


def test_time_is_told_by_instructions_under_emulation_only() -> None:
    assert "-icount" not in line(argv.Shape())
    assert "-icount shift=3,sleep=on" in line(argv.Shape(cpus=1, icount=3))
    with pytest.raises(UserError, match="can't be counted"):
        argv.Shape(cpus=1, accel="kvm", icount=3)


def test_unknown_machines_are_refused() -> None:
    with pytest.raises(UserError, match="pc98"):
        argv.Shape(machine="pc98")


@pytest.mark.parametrize("machine", argv.MACHINES)
def test_a_fork_has_the_devices_of_the_machine_that_was_saved(machine: str) -> None:
    shape = argv.Shape(machine=machine)
    inherited = argv.Descriptors(qmp=7, channel=8)
    saved = argv.command(
        "qemu",
        shape,
        inherited,
        boot=Path("/k"),
        initrd=Path("/i"),
        command_line="a",
        memory=Path("/m"),
    )
    fork = argv.fork_command("qemu", shape, inherited, memory_fd=9)
    own = {"-kernel", "-initrd", "-append", "/k", "/i", "a", "-incoming", "defer"}

    def shared(words: list[str]) -> list[str]:
        return [word for word in words if word not in own and "mem-path" not in word]

    assert shared(fork) == shared(saved)
    assert "mem-path=/m,share=on" in " ".join(saved)
    assert "mem-path=/proc/self/fd/9,share=off" in " ".join(fork)


def test_on_kvm_the_cpu_is_one_that_a_snapshot_can_be_loaded_on() -> None:
    assert "migratable=on" in CPU_MODELS["kvm"]
