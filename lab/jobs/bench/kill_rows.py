# SPDX-License-Identifier: GPL-2.0-only
"""What `lab bench kill` has ended, and what it makes of how long that takes."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lab.jobs.bench.figures import percentile

MILLISECOND = 1_000_000  # nanoseconds

# As kernel/bpf/rex/watchdog.c has it.
TICKS = 4  # in a budget
MAX_TICK_MS = 25.0
# After its budget, a run takes so many ticks at most: one until it is seen first. A CPU with
# interrupts off is seen to be silent after two, by a neighbour whose ticks come at other
# times; the account begins in that one, and what those are late may cost one more.
OWN_TICKS = 1
NEIGHBOURS_TICKS = 5
# To end a run and to report it, and what else the interrupt has to do that ends it: what is
# beyond the ticks. A tick that finds the run in the kernel comes again after 0.2 ms.
END_MS = 0.5


@dataclass(frozen=True)
class Case:
    """A program in a context of `extensions/modules/kill`, and whose tick ends it."""

    name: str
    what: str
    context: str
    program: str
    by_neighbour: bool = False

    def bound_ms(self, tick_ms: float) -> float:
        """The longest latency that the kernel promises."""
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
# Returns: what the clocks and the call take by themselves.
EMPTY = "empty"
PROGRAMS = (EMPTY, *dict.fromkeys(case.program for case in CASES))


def tick_ms(budget_ms: int) -> float:
    """How far apart a CPU's ticks are."""
    return min(budget_ms / TICKS, MAX_TICK_MS)


@dataclass(frozen=True)
class Latency:
    """From the end of the budget to the kernel's next instruction outside the program, in ms.

    `beyond`: how many kills took longer than the bound.
    `kernel_max`: the kernel's own figure, None if it has none.
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
        """From how long runs took, in nanoseconds; at least one."""
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
    """A case by both clocks; None where there is none. The bound is in milliseconds."""

    case: Case
    bound_ms: float
    clock: Latency | None
    icount: Latency | None

    def as_data(self) -> dict[str, Any]:
        """As plain data, for JSON."""
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
