# SPDX-License-Identifier: GPL-2.0-only
"""Looks at a machine's CPUs from outside, again and again, next to what else happens."""

from __future__ import annotations

import threading
import time
from types import TracebackType

from lab.deadline import Deadline, host_factor
from lab.oracle import machine as oracle
from lab.oracle.evidence import Evidence
from lab.vm.machine import Machine
from lab.vm.qmp import QmpFailed

INTERVAL = 0.1
# With interrupts off, or in the kernel; a CPU that is well is otherwise many times in this.
ENOUGH_SECONDS = 3.0
# A QEMU that gets no time from its host shows the same registers again.
ENOUGH_LOOKS = 10


class Looks:
    """Look at the registers of all CPUs in a thread, from `delay` seconds on, in a context.

    It keeps which CPUs had interrupts off at every look (`interrupts_off`), and which ran
    kernel code at every look (`bound`). It ends when no such CPU is left, when the guest has
    died, or when QEMU can't be asked: then both are empty. `seconds` is the time from the
    first look to the last one.
    """

    def __init__(self, machine: Machine, delay: float = 0.0) -> None:
        self._machine = machine
        self._delay = delay * host_factor()
        self._stop = threading.Event()
        self.interrupts_off: frozenset[int] = frozenset()
        self.bound: frozenset[int] = frozenset()
        self.count = 0
        self.seconds = 0.0
        self._thread = threading.Thread(target=self._look, name="looks", daemon=True)

    def __enter__(self) -> Looks:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()
        if self._machine.ended or self._machine.panicked:
            self._forget()

    @property
    def enough(self) -> bool:
        """True if the looks span enough time to show something about a CPU."""
        return self.count >= ENOUGH_LOOKS and self.seconds >= ENOUGH_SECONDS * host_factor()

    def wait(self, deadline: Deadline) -> None:
        """Wait until no CPU is left, until there are enough looks, or until the deadline."""
        while self._thread.is_alive() and not (self.enough or deadline.expired):
            self._thread.join(INTERVAL)

    def interrupts_off_evidence(self, cpus: frozenset[int]) -> Evidence:
        """Return evidence that CPUs had interrupts off at every look."""
        return oracle.interrupts_off_evidence(cpus, self.count, self.seconds, self._machine.age)

    def kernel_bound(self, cpus: frozenset[int]) -> Evidence:
        """Return evidence that CPUs ran kernel code at every look."""
        return oracle.kernel_bound(cpus, self.count, self.seconds, self._machine.age)

    def _look(self) -> None:
        vm, first = self._machine, 0.0
        wait = self._delay
        while not self._stop.wait(wait) and not (vm.ended or vm.panicked):
            try:
                registers = vm.registers()
            except QmpFailed:
                self._forget()
                return
            off, bound = oracle.interrupts_off(registers), oracle.in_kernel(registers)
            if self.count == 0:
                first = time.monotonic()
                self.interrupts_off, self.bound = off, bound
            self.interrupts_off, self.bound = self.interrupts_off & off, self.bound & bound
            self.count += 1
            self.seconds = time.monotonic() - first
            if not self.interrupts_off and not self.bound:
                return
            wait = INTERVAL

    def _forget(self) -> None:
        self.interrupts_off = self.bound = frozenset()
