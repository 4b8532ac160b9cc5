# SPDX-License-Identifier: GPL-2.0-only
"""The machine oracle: evidence from QEMU's events and its end. Trust: QMP_OR_EXIT."""

from __future__ import annotations

import signal
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Protocol

from lab.errors import InfraError
from lab.oracle.evidence import Evidence

# QEMU's reasons for a SHUTDOWN event that the lab itself caused.
_HOST_REASONS = ("host-qmp-quit", "host-qmp-system-reset", "host-signal", "host-ui", "host-error")


def evidence(
    events: Sequence[tuple[str, Mapping[str, Any], float]],
    exit_status: int | None,
    stderr: str,
) -> list[Evidence]:
    """Return evidence from QEMU's events (name, data, seconds since the start) and its end.

    `exit_status` is None while QEMU runs. No evidence means that QEMU has seen nothing;
    the guest may hang all the same. Raises `InfraError` if QEMU itself failed, because
    then nothing is known about the guest.
    """
    found = [one for name, data, at in events if (one := _event(name, data, at))]
    last = max((at for _, _, at in events), default=0.0)
    if exit_status is not None:
        if not found:
            check_exit(exit_status, stderr)
        found.append(_exit(exit_status, stderr, last))
    return found


def check_exit(exit_status: int, stderr: str) -> None:
    """Raise `InfraError` if QEMU ended in a way that shows nothing about the guest.

    With no event before it, a status of 0 is a guest that ended unseen (a
    triple fault, a power-off); a signal or another status is QEMU's own fault.
    """
    if exit_status == 0:
        return
    raise InfraError(
        f"QEMU ended with {_status(exit_status)}: nothing is known about the guest",
        details=stderr.strip(),
        hint="`lab doctor` checks QEMU and the accelerator",
    )


class Cpu(Protocol):
    """A CPU as QEMU shows it from outside the guest; `in_kernel` leaves halted ones out."""

    @property
    def cpu(self) -> int: ...

    @property
    def in_kernel(self) -> bool: ...

    @property
    def interrupts_enabled(self) -> bool: ...


def interrupts_off(cpus: Iterable[Cpu]) -> frozenset[int]:
    """Return the CPUs that run in the kernel with interrupts off.

    A CPU that is halted is not among them: one that was taken offline waits that way.
    """
    return frozenset(one.cpu for one in cpus if one.in_kernel and not one.interrupts_enabled)


def in_kernel(cpus: Iterable[Cpu]) -> frozenset[int]:
    """Return the CPUs that run kernel code and are not halted.

    KVM does not show which CPUs are halted: there an idle CPU is among them.
    """
    return frozenset(one.cpu for one in cpus if one.in_kernel)


def interrupts_off_evidence(
    cpus: Collection[int], looks: int, seconds: float, at: float
) -> Evidence:
    """Return evidence that CPUs had interrupts off in each look at them."""
    named = ", ".join(str(cpu) for cpu in sorted(cpus))
    return Evidence(
        "interrupts-off",
        f"CPU {named} had interrupts off in each of {looks} looks within {seconds:.1f} s",
        {"cpus": sorted(cpus), "looks": looks, "seconds": round(seconds, 3)},
        at,
    )


def kernel_bound(cpus: Collection[int], looks: int, seconds: float, at: float) -> Evidence:
    """Return evidence that CPUs ran kernel code in each look at them."""
    named = ", ".join(str(cpu) for cpu in sorted(cpus))
    return Evidence(
        "kernel-bound",
        f"CPU {named} ran kernel code in each of {looks} looks within {seconds:.1f} s",
        {"cpus": sorted(cpus), "looks": looks, "seconds": round(seconds, 3)},
        at,
    )


def _event(name: str, data: Mapping[str, Any], at: float) -> Evidence | None:
    if name == "GUEST_PANICKED":
        action = str(data.get("action", ""))
        return Evidence(
            "guest-panic",
            "the kernel panicked",
            {"action": action, "info": data.get("info") or {}},
            at,
        )
    if name == "SHUTDOWN" and data.get("reason") not in _HOST_REASONS:
        reason = str(data.get("reason", ""))
        words = {
            "guest-reset": "the guest restarted itself",
            "guest-shutdown": "the guest switched itself off",
            "guest-panic": "the machine was stopped after a panic",
        }.get(reason, f"the guest ended ({reason})")
        return Evidence("shutdown", words, {"reason": reason, "guest": bool(data.get("guest"))}, at)
    return None


def _exit(status: int, stderr: str, at: float) -> Evidence:
    name = signal.Signals(-status).name if status < 0 and -status in _SIGNALS else ""
    return Evidence(
        "qemu-exit",
        f"the machine is gone (QEMU ended with {_status(status)})",
        {"status": status, "signal": name, "stderr": stderr[-2000:]},
        at,
    )


_SIGNALS = {one.value for one in signal.Signals}


def _status(status: int) -> str:
    if status < 0:
        return signal.Signals(-status).name if -status in _SIGNALS else f"signal {-status}"
    return f"status {status}"
