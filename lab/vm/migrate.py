# SPDX-License-Identifier: GPL-2.0-only
"""Save a machine into a folder and restore it, both by QEMU's migration.

The memory is in a file of its own, which the migration leaves alone: what QEMU saves and
loads is the state of its devices and CPUs, less than a megabyte. `lab.vm.snapshot` checks
the files.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from lab.deadline import Deadline, DeadlineExceeded
from lab.errors import InfraError
from lab.vm.console import Console
from lab.vm.qmp import Qmp, QmpEvent, QmpFailed
from lab.vm.registers import CpuRegisters
from lab.vm.snapshot import CONSOLE, STATE

# Loading a state of a megabyte takes a twentieth of a second.
RESTORE_SECONDS = 20.0

# The memory is in a file of its own, not in the state.
_IGNORE_SHARED = {"capability": "x-ignore-shared", "state": True}
_EVENTS = {"capability": "events", "state": True}

# The kernel's own late work (the clock's calibration is the last of it, a
# second after it began) must be done, or every fork does it again.
QUIET_SECONDS = 1.5
IDLE_SAMPLES = 6
_IDLE_INTERVAL = 0.05


class RestoreFailed(InfraError):
    """A saved machine could not be loaded; `details` is what QEMU printed."""


class Migratable(Protocol):
    """A machine as saving and restoring need it: `lab.vm.machine.Machine` is one."""

    qmp: Qmp
    console: Console

    @property
    def events(self) -> Sequence[QmpEvent]: ...

    @property
    def running(self) -> bool: ...

    @property
    def age(self) -> float: ...

    @property
    def stderr(self) -> str: ...

    def registers(self) -> tuple[CpuRegisters, ...]: ...

    def wait(self, found: Callable[[], bool], deadline: Deadline, what: str) -> None: ...

    def wait_for_exit(self, seconds: float) -> int | None: ...


def wait_until_quiet(machine: Migratable, deadline: Deadline) -> None:
    """Wait until a guest has nothing left to do: a quiet console, and all CPUs halted.

    Raises `DeadlineExceeded` if it does not come to rest.
    """
    machine.console.wait_for_quiet(QUIET_SECONDS, deadline)
    seen = 0

    def idle() -> bool:
        nonlocal seen
        cpus = machine.registers()
        seen = seen + 1 if cpus and all(cpu.halted for cpu in cpus) else 0
        return seen >= IDLE_SAMPLES

    deadline.poll(idle, "all CPUs of the guest to be idle", interval=_IDLE_INTERVAL)


def save(machine: Migratable, folder: Path, deadline: Deadline) -> None:
    """Stop a machine whose memory is the file `memory` in `folder`, and write the rest of it there.

    Raises `QmpFailed`, `DeadlineExceeded`, or `InfraError` with QEMU's reason.
    """
    machine.qmp.execute("stop")
    machine.qmp.execute("migrate-set-capabilities", capabilities=[_IGNORE_SHARED])
    machine.qmp.execute("migrate", uri=f"exec:cat > {shlex.quote(str(folder / STATE))}")

    def done() -> bool:
        answer = machine.qmp.execute("query-migrate")
        if answer.get("status") in ("failed", "cancelled"):
            raise InfraError(
                "QEMU could not save the machine", details=str(answer.get("error-desc", answer))
            )
        return bool(answer.get("status") == "completed")

    deadline.poll(done, "the machine to be saved")
    age = machine.age
    lines = [[round(line.at - age, 6), line.text] for line in machine.console.lines()]
    (folder / CONSOLE).write_text(json.dumps(lines))


def restore(machine: Migratable, state_fd: int) -> None:
    """Load a saved state into a machine that waits for one; it runs when this returns.

    `state_fd` is the descriptor in QEMU. Raises `RestoreFailed`.
    """
    machine.qmp.execute("migrate-set-capabilities", capabilities=[_IGNORE_SHARED, _EVENTS])
    try:
        machine.qmp.execute("migrate-incoming", uri=f"fd:{state_fd}")
        machine.wait(
            lambda: _status(machine) in ("completed", "failed") or not machine.running,
            Deadline(RESTORE_SECONDS),
            "the saved machine to be loaded",
        )
        if _status(machine) == "completed":
            machine.qmp.execute("cont")
            return
    except (DeadlineExceeded, QmpFailed) as error:
        raise _failed(machine, f"the saved machine is not loaded: {error}") from error
    raise _failed(machine, "QEMU can't load the saved machine")


def _failed(machine: Migratable, message: str) -> RestoreFailed:
    # QEMU prints why before it ends.
    machine.wait_for_exit(1.0)
    return RestoreFailed(message, details=machine.stderr.rstrip())


def _status(machine: Migratable) -> str:
    """Return QEMU's last word on how far it has come with loading a state."""
    told = [event.data.get("status", "") for event in machine.events if event.name == "MIGRATION"]
    return str(told[-1]) if told else ""
