# SPDX-License-Identifier: GPL-2.0-only
"""The cases of `lab bench kill`, and its figures from the times that runs took."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lab.jobs.bench.figures import percentile

MILLISECOND = 1_000_000  # nanoseconds

# The same values as in kernel/bpf/rex/watchdog.c.
TICKS = 4  # in a budget
MAX_TICK_MS = 25.0
# Maximum number of ticks that a run lasts after its budget. A CPU's own tick sees the run after
# one. With interrupts off, the neighbour's ticks, which come at other times, find the CPU silent
# after two; only then it starts to account for the run, and late ticks may cost one more.
OWN_TICKS = 1
NEIGHBOURS_TICKS = 5
# Time on top of the ticks: ending the run, reporting it, and other work of the interrupt that
# ends it. A tick that finds the run in the kernel comes again after 0.2 ms.
END_MS = 0.5


@dataclass(frozen=True)
class Case:
    """A program in a context of `extensions/modules/kill`.

    `by_neighbour`: a tick of the neighbouring CPU ends it, not one of its own CPU.
    """

    name: str
    what: str
    context: str
    program: str
    by_neighbour: bool = False

    def bound_ms(self, tick_ms: float) -> float:
        """Return the longest latency that the kernel promises, in milliseconds."""
        ticks = NEIGHBOURS_TICKS if self.by_neighbour else OWN_TICKS
        return ticks * tick_ms + END_MS


CASES = (
    Case("task", "task, interrupts on", "task", "plain"),
    Case("rcu", "task, under RCU", "rcu", "plain"),
    Case("own_rcu", "the program is in RCU", "rcu", "rcu"),
    Case("softirq", "softirq", "softirq", "plain"),
    Case("helper", "in a helper", "rcu", "calls"),
    Case("map", "in a map", "rcu", "keys"),
    Case("hardirq", "hard interrupt", "hardirq", "plain", by_neighbour=True),
    Case("irqs_off", "task, interrupts off", "irqsoff", "plain", by_neighbour=True),
    Case("lock", "the program holds a lock", "rcu", "locked", by_neighbour=True),
    Case("irqs_off_helper", "in a helper, interrupts off", "irqsoff", "calls", by_neighbour=True),
)
# This program returns at once. It measures the cost of the clocks and the call alone.
EMPTY = "empty"
PROGRAMS = (EMPTY, *dict.fromkeys(case.program for case in CASES))


def tick_ms(budget_ms: int) -> float:
    """Return the time between two watchdog ticks of a CPU, in milliseconds."""
    return min(budget_ms / TICKS, MAX_TICK_MS)


@dataclass(frozen=True)
class Latency:
    """Times from the end of the budget to the kernel's next instruction outside the program, in ms.

    `beyond` is the number of kills that took longer than the bound.
    `kernel_max` is the kernel's own maximum, None if it has none.
    """

    kills: int
    minimum: float
    median: float
    p99: float
    maximum: float
    beyond: int
    kernel_max: float | None = None

    @classmethod
    def of(
        cls, took: Sequence[int], budget_ms: int, bound_ms: float, kernel_max: int | None = None
    ) -> Latency:
        """Return the latency of at least one run.

        `took` and `kernel_max` are in nanoseconds. Raises `ValueError` if there are no runs.
        """
        if not took:
            raise ValueError("no latency without kills")
        over = sorted(one / MILLISECOND - budget_ms for one in took)
        return cls(
            len(over),
            over[0],
            statistics.median(over),
            percentile(over, 99),
            over[-1],
            sum(one > bound_ms for one in over),
            None if kernel_max is None else kernel_max / MILLISECOND,
        )


@dataclass(frozen=True)
class Row:
    """The latency of a case by each clock; None if it was not measured. The bound is in ms."""

    case: Case
    bound_ms: float
    clock: Latency | None
    icount: Latency | None

    def as_data(self) -> dict[str, Any]:
        """Return the row as plain data, for JSON."""
        return {
            "name": self.case.name,
            "what": self.case.what,
            "context": self.case.context,
            "program": self.case.program,
            "ended_by": "neighbour" if self.case.by_neighbour else "own tick",
            "bound_ms": self.bound_ms,
            "clock": None if self.clock is None else vars(self.clock),
            "icount": None if self.icount is None else vars(self.icount),
        }
