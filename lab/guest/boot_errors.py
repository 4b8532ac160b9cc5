# SPDX-License-Identifier: GPL-2.0-only
"""Diagnose why a guest did not boot: one cause, with the last lines of the console."""

from __future__ import annotations

import enum
import re

from lab.errors import InfraError

MARK_INIT = "kextlab: init"
MARK_NETWORK = "kextlab: network"

TAIL_LINES = 25

_PANIC = re.compile(r"Kernel panic - not syncing: (.*)")


class BootCause(enum.Enum):
    """The stage that a failed boot reached."""

    KERNEL_PANICKED = "the kernel panicked"
    ENDED = "the machine restarted or ended"
    NO_CONSOLE = "the kernel printed nothing"
    NO_INIT = "the kernel started, but init did not"
    NO_NETWORK = "init ran, but the network did not come up"
    NO_PARK = "the network is up, but the guest did not report on its second serial port"
    NO_SSH = "the guest was unparked, but SSH does not answer"


_HINTS = {
    BootCause.KERNEL_PANICKED: "see the panic message; `No working init` points to the image",
    BootCause.ENDED: "see QEMU's output; with `-no-reboot` a triple fault ends the machine",
    BootCause.NO_CONSOLE: "does the kernel have CONFIG_SERIAL_8250_CONSOLE, and, if it is a "
    "vmlinux, CONFIG_PVH?",
    BootCause.NO_INIT: "is CONFIG_BLK_DEV_INITRD on, and does the image hold /init?",
    BootCause.NO_NETWORK: "is CONFIG_VIRTIO_NET on, or its module in the image?",
    BootCause.NO_PARK: "does the kernel have CONFIG_SERIAL_8250_RUNTIME_UARTS of 2 or more?",
    BootCause.NO_SSH: "dropbear's messages are on the console; `lab shell --console` looks inside",
}


class BootError(InfraError):
    """A guest did not boot; `cause` names the stage that it reached."""

    def __init__(
        self, cause: BootCause, *, seconds: float, console: str, cpus: str = "", more: str = ""
    ) -> None:
        self.cause = cause
        self.console = console
        panic = _PANIC.search(console)
        said = cause.value
        if cause is BootCause.KERNEL_PANICKED and panic:
            said = f"{said}: {panic.group(1)}"
        parts = []
        if more:
            parts.append(more.rstrip())
        if cpus:
            parts.append(f"where each CPU was:\n{cpus.rstrip()}")
        tail = "\n".join(console.splitlines()[-TAIL_LINES:])
        parts.append(f"the console's last lines:\n{tail}" if tail else "the console is empty")
        super().__init__(
            f"the guest did not come up within {seconds:.1f} s: {said}",
            details="\n".join(parts),
            hint=_HINTS[cause],
        )


def diagnose(console: str, *, panicked: bool, running: bool, parked: bool = False) -> BootCause:
    """Return the cause, derived from the state of the machine and the text of its console.

    `parked` says whether the guest reported that it is parked.
    """
    if panicked or _PANIC.search(console):
        return BootCause.KERNEL_PANICKED
    if not running:
        return BootCause.ENDED
    if parked:
        return BootCause.NO_SSH
    if MARK_NETWORK in console:
        return BootCause.NO_PARK
    if MARK_INIT in console:
        return BootCause.NO_NETWORK
    if console.strip():
        return BootCause.NO_INIT
    return BootCause.NO_CONSOLE
