# SPDX-License-Identifier: GPL-2.0-only
"""QEMU's command line, from small pure functions that return lists.

Nothing here has a path or a port of its own: files, sockets and consoles are
handed over as descriptors, so that nothing is left behind when the lab is
killed, and the SSH port is picked by QEMU.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lab.errors import UserError

MACHINES = ("q35", "microvm")


@dataclass(frozen=True)
class Shape:
    """What a machine looks like to its kernel: everything that a snapshot depends on.

    `threads` of the CPUs are one core: they share its caches. `memory` is in MiB.
    `cpu` is QEMU's CPU model. With `icount` the emulator counts instructions,
    and each takes 2 to the power of `icount` nanoseconds of the guest's time: of
    all CPUs together, so only on one CPU are instructions counted by the clock.
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
    """Machine type; nothing on it that no scenario uses."""
    if shape.machine == "microvm":
        options = "microvm,acpi=on,pit=on,pic=on,rtc=on,isa-serial=on,auto-kernel-cmdline=on"
        return ["-M", options]
    return ["-M", "q35,vmport=off,hpet=off,smbus=off,sata=off,usb=off"]


def accel_args(shape: Shape) -> list[str]:
    """Accelerator and CPU model.

    Emulated CPUs take turns in one thread of the host. With a thread each,
    QEMU 7.2 runs code that another CPU has patched away meanwhile: guests died
    of the int3 of text_poke when programs were attached under traffic (2 of 24
    runs, 0 of 24 so). A second guest makes better use of a second core.
    """
    accel = "tcg,thread=single,tb-size=64" if shape.accel == "tcg" else shape.accel
    return ["-accel", accel, "-cpu", shape.cpu, *icount_args(shape)]


def icount_args(shape: Shape) -> list[str]:
    """Time by instructions, where the shape says so.

    An idle guest still sleeps in real time (`sleep=on`): else its clock would
    leap from timer to timer, and detectors fire while the host is at work.
    """
    return [] if shape.icount is None else ["-icount", f"shift={shape.icount},sleep=on"]


def size_args(shape: Shape) -> list[str]:
    """CPUs and memory."""
    return ["-smp", f"{shape.cpus},threads={shape.threads}", "-m", f"{shape.memory}M"]


def memory_args(shape: Shape, path: str, *, shared: bool) -> list[str]:
    """Memory that is a file: written to (`shared`), or a private copy of what it holds."""
    share = "on" if shared else "off"
    return [
        "-object", f"memory-backend-file,id=ram,size={shape.memory}M,mem-path={path},share={share}",
        "-machine", "memory-backend=ram",
    ]  # fmt: skip


def restore_args() -> list[str]:
    """Wait for a saved machine's state instead of starting one."""
    return ["-incoming", "defer"]


def kernel_args(boot: Path, initrd: Path, command_line: str) -> list[str]:
    """Direct boot: a PVH vmlinux or a bzImage, the image, and the boot arguments."""
    return ["-kernel", str(boot), "-initrd", str(initrd), "-append", command_line]


def quiet_args() -> list[str]:
    """No display, no default devices, no configuration of the host's; a reboot is an exit."""
    return ["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]


def console_args() -> list[str]:
    """The first serial port on QEMU's own standard input and output."""
    return ["-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console"]


def qmp_args(fd: int) -> list[str]:
    """QMP on an inherited socket."""
    return ["-chardev", f"socket,id=qmp,fd={fd}", "-mon", "chardev=qmp,mode=control"]


def channel_args(fd: int) -> list[str]:
    """The second serial port on an inherited socket: a line into the guest without its network."""
    return [
        "-chardev", f"socket,id=channel,fd={fd}",
        "-device", "isa-serial,chardev=channel,index=1",
    ]  # fmt: skip


def network_args(shape: Shape) -> list[str]:
    """User networking, closed but for SSH on a loopback port that QEMU picks."""
    return [
        "-netdev", "user,id=net,restrict=on,ipv6=off,hostfwd=tcp:127.0.0.1:0-:22",
        "-device", _virtio("virtio-net", shape, "netdev=net", rom=False),
    ]  # fmt: skip


def entropy_args(shape: Shape) -> list[str]:
    """Randomness from the host."""
    return ["-device", _virtio("virtio-rng", shape)]


def panic_args(shape: Shape) -> list[str]:
    """A panic becomes a QMP event; the machine stops when the guest restarts or ends.

    It must not stop at the panic itself: printk is deferred in NMI-like
    context, and the report of a stack overflow would never be flushed. Stopped
    and not gone, the machine can still be dumped.
    """
    device = "pvpanic-pci" if shape.machine == "q35" else "pvpanic"
    return ["-device", device, "-action", "panic=none,reboot=shutdown,shutdown=pause"]


def gdb_args(path: Path) -> list[str]:
    """A gdb stub on a Unix socket; the machine runs until a debugger attaches."""
    return ["-chardev", f"socket,id=gdb,path={path},server=on,wait=off", "-gdb", "chardev:gdb"]


def _virtio(name: str, shape: Shape, *options: str, rom: bool = True) -> str:
    bus = "pci" if shape.machine == "q35" else "device"
    extra = [] if rom or bus != "pci" else ["romfile="]
    return ",".join([f"{name}-{bus}", *options, *extra])


@dataclass(frozen=True)
class Descriptors:
    """The descriptors that QEMU inherits: sockets of QMP and of the channel."""

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
    """The whole command line of a machine that boots; its memory is kept in `memory`, if given."""
    return [
        *_machine(qemu, shape),
        *(memory_args(shape, str(memory), shared=True) if memory else []),
        *kernel_args(boot, initrd, command_line),
        *_devices(shape, inherited),
        *(gdb_args(gdb_socket) if gdb_socket else []),
    ]


def fork_command(qemu: str, shape: Shape, inherited: Descriptors, *, memory_fd: int) -> list[str]:
    """The whole command line of a machine that is restored from a saved one.

    It has no kernel: that is in its memory. Without one, QEMU starts sooner.
    """
    return [
        *_machine(qemu, shape),
        *memory_args(shape, f"/proc/self/fd/{memory_fd}", shared=False),
        *_devices(shape, inherited),
        *restore_args(),
    ]
