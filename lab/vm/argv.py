# SPDX-License-Identifier: GPL-2.0-only
"""QEMU's command line, built by small pure functions that return lists.

Nothing here chooses a path or a port: files, sockets and consoles are passed as
descriptors, so that nothing is left behind when the lab is killed, and QEMU picks
the SSH port.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lab.errors import UserError

MACHINES = ("q35", "microvm")


@dataclass(frozen=True)
class Shape:
    """A machine as its kernel sees it: everything that a snapshot depends on.

    `threads` CPUs form a core and share its caches. `memory` is in MiB. `cpu` is
    QEMU's CPU model. With `icount` the emulator counts instructions: each takes 2 to
    the power of `icount` nanoseconds of the guest's time. The count is that of all
    CPUs together, so the clock counts a program's instructions only on a single CPU.
    """

    machine: str = "q35"
    cpus: int = 2
    threads: int = 1
    memory: int = 256
    accel: str = "tcg"
    cpu: str = "max"
    icount: int | None = None

    def __post_init__(self) -> None:
        if self.machine not in MACHINES:
            raise UserError(
                f"unknown machine type {self.machine!r}",
                hint=f"the lab drives {' and '.join(MACHINES)}",
            )
        if self.icount is not None and self.accel != "tcg":
            raise UserError(
                f"instructions can't be counted under {self.accel}",
                hint="that is for emulated CPUs (accel=tcg)",
            )


def machine_args(shape: Shape) -> list[str]:
    """Return the arguments for the machine type, without devices that no scenario uses."""
    if shape.machine == "microvm":
        options = "microvm,acpi=on,pit=on,pic=on,rtc=on,isa-serial=on,auto-kernel-cmdline=on"
        return ["-M", options]
    return ["-M", "q35,vmport=off,hpet=off,smbus=off,sata=off,usb=off"]


def accel_args(shape: Shape) -> list[str]:
    """Return the arguments for the accelerator and the CPU model.

    Emulated CPUs take turns in one thread of the host. With one thread per CPU,
    QEMU 7.2 runs code that another CPU has already patched: guests died of the
    int3 of text_poke when programs were attached under traffic (in 2 of 24 runs;
    with a single thread in 0 of 24). A second guest makes better use of a second core.
    """
    accel = "tcg,thread=single,tb-size=64" if shape.accel == "tcg" else shape.accel
    return ["-accel", accel, "-cpu", shape.cpu, *icount_args(shape)]


def icount_args(shape: Shape) -> list[str]:
    """Return the arguments for a clock that counts instructions, if the shape has one.

    An idle guest still sleeps in real time (`sleep=on`). Otherwise its clock would
    leap from timer to timer, and detectors would fire while the host works.
    """
    return [] if shape.icount is None else ["-icount", f"shift={shape.icount},sleep=on"]


def size_args(shape: Shape) -> list[str]:
    """Return the arguments for CPUs and memory."""
    return ["-smp", f"{shape.cpus},threads={shape.threads}", "-m", f"{shape.memory}M"]


def memory_args(shape: Shape, path: str, *, shared: bool) -> list[str]:
    """Return the arguments for memory in a file: written to it (`shared`), or a private copy."""
    share = "on" if shared else "off"
    return [
        "-object", f"memory-backend-file,id=ram,size={shape.memory}M,mem-path={path},share={share}",
        "-machine", "memory-backend=ram",
    ]  # fmt: skip


def restore_args() -> list[str]:
    """Return the arguments to wait for a saved machine's state instead of booting."""
    return ["-incoming", "defer"]


def kernel_args(boot: Path, initrd: Path, command_line: str) -> list[str]:
    """Return the arguments to boot a PVH vmlinux or a bzImage directly."""
    return ["-kernel", str(boot), "-initrd", str(initrd), "-append", command_line]


def quiet_args() -> list[str]:
    """Return the arguments to omit display, default devices and the host's configuration."""
    return ["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]


def console_args() -> list[str]:
    """Return the arguments for the first serial port, on QEMU's standard input and output."""
    return ["-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console"]


def qmp_args(fd: int) -> list[str]:
    """Return the arguments for QMP on an inherited socket."""
    return ["-chardev", f"socket,id=qmp,fd={fd}", "-mon", "chardev=qmp,mode=control"]


def channel_args(fd: int) -> list[str]:
    """Return the arguments for the second serial port, on an inherited socket.

    It is a line into the guest that needs no network.
    """
    return [
        "-chardev", f"socket,id=channel,fd={fd}",
        "-device", "isa-serial,chardev=channel,index=1",
    ]  # fmt: skip


def network_args(shape: Shape) -> list[str]:
    """Return the arguments for user networking, closed except for SSH.

    QEMU picks the loopback port.
    """
    return [
        "-netdev", "user,id=net,restrict=on,ipv6=off,hostfwd=tcp:127.0.0.1:0-:22",
        "-device", _virtio("virtio-net", shape, "netdev=net", rom=False),
    ]  # fmt: skip


def entropy_args(shape: Shape) -> list[str]:
    """Return the arguments for randomness from the host."""
    return ["-device", _virtio("virtio-rng", shape)]


def panic_args(shape: Shape) -> list[str]:
    """Make a panic a QMP event, and stop the machine when the guest restarts or ends.

    It must not stop at the panic itself: printk is deferred in NMI-like
    context, and the report of a stack overflow would never be flushed. A machine
    that is stopped, not ended, can still be dumped.
    """
    device = "pvpanic-pci" if shape.machine == "q35" else "pvpanic"
    return ["-device", device, "-action", "panic=none,reboot=shutdown,shutdown=pause"]


def gdb_args(path: Path) -> list[str]:
    """Return the arguments for a gdb stub on a Unix socket; the machine does not wait for gdb."""
    return ["-chardev", f"socket,id=gdb,path={path},server=on,wait=off", "-gdb", "chardev:gdb"]


def _virtio(name: str, shape: Shape, *options: str, rom: bool = True) -> str:
    bus = "pci" if shape.machine == "q35" else "device"
    extra = [] if rom or bus != "pci" else ["romfile="]
    return ",".join([f"{name}-{bus}", *options, *extra])


@dataclass(frozen=True)
class Descriptors:
    """The descriptors that QEMU inherits: the sockets of QMP and of the channel."""

    qmp: int
    channel: int


def _devices(shape: Shape, inherited: Descriptors) -> list[str]:
    return [
        *console_args(),
        *qmp_args(inherited.qmp),
        *channel_args(inherited.channel),
        *network_args(shape),
        *entropy_args(shape),
        *panic_args(shape),
    ]


def _machine(qemu: str, shape: Shape) -> list[str]:
    return [qemu, *quiet_args(), *machine_args(shape), *accel_args(shape), *size_args(shape)]


def command(
    qemu: str,
    shape: Shape,
    inherited: Descriptors,
    *,
    boot: Path,
    initrd: Path,
    command_line: str,
    memory: Path | None = None,
    gdb_socket: Path | None = None,
) -> list[str]:
    """Return the command line of a machine that boots; `memory` is the file of its memory."""
    return [
        *_machine(qemu, shape),
        *(memory_args(shape, str(memory), shared=True) if memory else []),
        *kernel_args(boot, initrd, command_line),
        *_devices(shape, inherited),
        *(gdb_args(gdb_socket) if gdb_socket else []),
    ]


def fork_command(qemu: str, shape: Shape, inherited: Descriptors, *, memory_fd: int) -> list[str]:
    """Return the command line of a machine that is restored from a saved one.

    It names no kernel: the kernel is in its memory. Without it QEMU starts sooner.
    """
    return [
        *_machine(qemu, shape),
        *memory_args(shape, f"/proc/self/fd/{memory_fd}", shared=False),
        *_devices(shape, inherited),
        *restore_args(),
    ]
