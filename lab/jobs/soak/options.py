# SPDX-License-Identifier: GPL-2.0-only
"""The options and the result of a soak."""

from __future__ import annotations

import shlex
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab.report.rerun import command
from lab.report.result import Result
from lab.words import Verdict

# Version of the JSON. Raise it when a figure changes its meaning or is removed.
VERSION = 1
FLAVOR = "rex"

# Bits of the kernel's file rex/unprotected, by the protection that they switch off. With them a
# soak shows that it fails without a protection. The kernel writes the checks of the stack into
# a program when it loads it, so in each round. `guard` backs up these checks.
PROTECTIONS = {"ledger": 1, "faults": 2, "state": 4, "watchdog": 8, "stack": 16, "guard": 32}


@dataclass(frozen=True)
class SoakOptions:
    """The options of a soak.

    New rounds start for `minutes`, on the host's clock. `only` is the number of the one round
    to run. `without` are names of `PROTECTIONS`. `beyond` is that of `Round`.
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
        """The bits for the kernel's file rex/unprotected."""
        return sum({PROTECTIONS[name] for name in self.without})

    def line(self, *, only: int | None = None) -> str:
        """Return the command that repeats the soak, or only one of its rounds."""
        words = [command(), "soak", "--seed", str(self.seed), "--cpus", str(self.cpus)]
        words += ["--kernel", self.flavor] if self.flavor != FLAVOR else []
        words += [word for name in self.without for word in ("--without", name)]
        words += ["--beyond"] if self.beyond else []
        only = self.only if only is None else only
        words += ["--minutes", f"{self.minutes:g}"] if only is None else ["--round", str(only)]
        return shlex.join(words)


@dataclass
class SoakResult:
    """The result of a soak.

    `totals` sums the kernel's counters over the rounds that have `counts`. A round's `counts`
    are None if the guest did not answer after it. `behaviours` counts those that runs started,
    in the `counted` rounds whose `RunCounts` could be read.
    """

    options: SoakOptions
    about: dict[str, Any]
    verdict: Verdict = "passed"
    reasons: tuple[str, ...] = ()
    interrupted: bool = False
    seconds: float = 0.0
    rounds: list[dict[str, Any]] = field(default_factory=list)
    totals: Counter[str] = field(default_factory=Counter)
    behaviours: Counter[str] = field(default_factory=Counter)
    counted: int = 0
    latency_max_ns: int | None = None
    # The first and the last round in which it can have occurred.
    latency_max_rounds: tuple[int, int] | None = None
    gauges: list[dict[str, float]] = field(default_factory=list)
    slopes: dict[str, float] = field(default_factory=dict)
    result: Result | None = None
    # The round of `result` as a scenario's file.
    file: Path | None = None

    @property
    def unknown(self) -> list[int]:
        """The rounds without counts: at most the last one, because such a round ends a soak."""
        return [one["round"] for one in self.rounds if one["counts"] is None]

    def as_data(self) -> dict[str, Any]:
        """Return the result as plain data, for JSON; None where a figure is unknown."""
        any_known = len(self.rounds) > len(self.unknown)
        return {
            "version": VERSION,
            "about": self.about,
            "seed": self.options.seed,
            "rerun": self.options.line(),
            "verdict": self.verdict,
            "reasons": list(self.reasons),
            "interrupted": self.interrupted,
            "seconds": round(self.seconds, 1),
            "totals": dict(self.totals) if any_known else None,
            "behaviours": dict(self.behaviours) if self.counted else None,
            "latency_max_ns": self.latency_max_ns,
            "latency_max_rounds": self.latency_max_rounds,
            "slopes": self.slopes,
            "rounds": self.rounds,
            "dossier": self.result.dossier if self.result else "",
        }
