# SPDX-License-Identifier: GPL-2.0-only
"""What is asked of a soak, and what it came to."""

from __future__ import annotations

import shlex
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab.report.rerun import command
from lab.report.result import Result
from lab.words import Verdict

# Of the JSON: raised when a figure means something else, or is gone.
VERSION = 1
FLAVOR = "rex"

# The bits of rex/unprotected by what they switch off, to see that a soak would notice. The
# checks of the stack are written when a program is loaded, so in each round; the guard is
# what stands behind them.
PROTECTIONS = {"ledger": 1, "faults": 2, "state": 4, "watchdog": 8, "stack": 16, "guard": 32}


@dataclass(frozen=True)
class Order:
    """What is asked for. `only` is the number of the one round to run.

    `minutes` is how long rounds are begun, on the host's clock. `without` are names of
    `PROTECTIONS`; `beyond` is that of rounds.
    """

    seed: int
    minutes: float = 10.0
    flavor: str = FLAVOR
    cpus: int = 4
    only: int | None = None
    without: tuple[str, ...] = ()
    beyond: bool = False

    @property
    def unprotected(self) -> int:
        """The bits for the kernel's file of that name."""
        return sum({PROTECTIONS[name] for name in self.without})

    def line(self, *, only: int | None = None) -> str:
        """The line that orders the same again, or only one of its rounds."""
        words = [command(), "soak", "--seed", str(self.seed), "--cpus", str(self.cpus)]
        words += ["--kernel", self.flavor] if self.flavor != FLAVOR else []
        words += [word for name in self.without for word in ("--without", name)]
        words += ["--beyond"] if self.beyond else []
        only = self.only if only is None else only
        words += ["--minutes", f"{self.minutes:g}"] if only is None else ["--round", str(only)]
        return shlex.join(words)


@dataclass
class Soaked:
    """What a soak came to; `totals` are the kernel's counters, over the rounds that have `counts`.

    Those of a round are None if the guest no longer answered after it. `behaviours` are of
    the rounds whose books were read, `booked` of them.
    """

    order: Order
    about: dict[str, Any]
    verdict: Verdict = "passed"
    reasons: tuple[str, ...] = ()
    interrupted: bool = False
    seconds: float = 0.0
    rounds: list[dict[str, Any]] = field(default_factory=list)
    totals: Counter[str] = field(default_factory=Counter)
    behaviours: Counter[str] = field(default_factory=Counter)
    booked: int = 0
    latency_max_ns: int | None = None
    # The first and the last round in which it can have been.
    latency_max_rounds: tuple[int, int] | None = None
    gauges: list[dict[str, float]] = field(default_factory=list)
    slopes: dict[str, float] = field(default_factory=dict)
    result: Result | None = None
    # The round of the result as a scenario.
    file: Path | None = None

    @property
    def unknown(self) -> list[int]:
        """The rounds of which nobody knows what ran: at most the last, for it ends a soak."""
        return [one["round"] for one in self.rounds if one["counts"] is None]

    def as_data(self) -> dict[str, Any]:
        """As plain data, for JSON; None is what is not known."""
        counted = len(self.rounds) > len(self.unknown)
        return {
            "version": VERSION,
            "about": self.about,
            "seed": self.order.seed,
            "rerun": self.order.line(),
            "verdict": self.verdict,
            "reasons": list(self.reasons),
            "interrupted": self.interrupted,
            "seconds": round(self.seconds, 1),
            "totals": dict(self.totals) if counted else None,
            "behaviours": dict(self.behaviours) if self.booked else None,
            "latency_max_ns": self.latency_max_ns,
            "latency_max_rounds": self.latency_max_rounds,
            "slopes": self.slopes,
            "rounds": self.rounds,
            "dossier": self.result.dossier if self.result else "",
        }
