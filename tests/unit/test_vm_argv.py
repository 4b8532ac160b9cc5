# SPDX-License-Identifier: GPL-2.0-only
"""QEMU's command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.errors import UserError
from lab.vm import argv


def line(shape: argv.Shape) -> str:
    return " ".join(
        argv.command(
            "qemu",
            shape,
            boot=Path("/k"),
            initrd=Path("/i"),
            command_line="a b",
            qmp_fd=7,
            channel_fd=8,
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
    assert "-smp 3" in text
    assert "-m 512M" in text
    assert "-accel kvm -cpu host" in text


def test_unknown_machines_are_refused() -> None:
    with pytest.raises(UserError, match="pc98"):
        argv.Shape(machine="pc98")
