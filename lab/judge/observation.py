# SPDX-License-Identifier: GPL-2.0-only
"""The observation of an item: raw facts without judgement. The judge reads nothing else."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from lab.judge.extension_reports import ExtensionReport
from lab.judge.stored_fields import MapValues, Step, StoredError
from lab.oracle.console.forgeries import Forgery
from lab.oracle.console.losses import Loss
from lab.oracle.console.parser import Report
from lab.oracle.evidence import Evidence
from lab.oracle.modules.reports import Cause
from lab.scenario.model.base import Ref
from lab.scenario.model.steps import TriggerStep
from lab.scenario.model.triggers import PacketsTrigger
from lab.words import KernelState, RexCounter


@dataclass
class StepResult:
    """The result of a step, complete or not.

    `path` says where it is: `step 2`, or `step 3, turn 5, step 1` in a repetition.
    `maps` holds the values that the step's expectation needs.
    """

    step: Step
    path: str
    ended: bool = False
    problem: str = ""  #: why it failed or did not end
    errname: str = ""  #: the loader's name of the error, such as `EINVAL`
    stage: str = ""  #: the stage at which a load failed: see `words.LoadStage`
    rejected: str = ""  #: the program that the kernel's verifier rejected
    seconds: float = 0.0  #: on the guest's clock if the guest measured, else on the host's
    outcomes: Counter[str] = field(default_factory=Counter)  #: runs by outcome
    misses: int = 0  #: runs that the kernel dropped because the program was running already
    log: str = ""  #: the verifier's log
    compiler_log: str = ""
    status: int | None = None  #: exit status of a shell command
    output: str = ""
    returns: int | None = None
    value: int | None = None
    # Packets that reached a socket; None if they were not counted.
    received: int | None = None
    maps: MapValues = field(default_factory=dict)
    answers: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class Iteration:
    """One execution of an item's steps."""

    results: list[StepResult] = field(default_factory=list)
    interrupted: str = ""
    # The connection, or a tool of the lab, ended: that interrupted the steps.
    lost: bool = False
    outcomes: Counter[str] = field(default_factory=Counter)
    misses: int = 0
    maps: MapValues = field(default_factory=dict)
    gauges: list[dict[str, float]] = field(default_factory=list)
    # The programs that were loaded, by the kernel's id, which it does not use twice.
    programs: dict[int, Ref] = field(default_factory=dict)

    @property
    def log(self) -> str:
        """All verifier logs of the iteration."""
        return "\n".join(result.log for result in self.results if result.log)

    @property
    def compiler_log(self) -> str:
        """The output of compilers about all extensions that they did not accept."""
        return "\n".join(result.compiler_log for result in self.results if result.compiler_log)

    @property
    def seconds(self) -> float:
        """The total time of the triggers, in seconds."""
        return sum(result.seconds for result in self.results if result.step.verb == "trigger")

    @property
    def received(self) -> int | None:
        """The packets of all triggers that reached a socket; None if a count is missing."""
        counts = [
            result.received
            for result in self.results
            if isinstance(result.step, TriggerStep)
            and isinstance(result.step.trigger, PacketsTrigger)
        ]
        if not counts or None in counts:
            return None
        return sum(count or 0 for count in counts)


@dataclass
class Observation:
    """All facts that were observed about one item."""

    first: Iteration = field(default_factory=Iteration)
    second: Iteration | None = None
    state: KernelState | None = None
    evidence: list[Evidence] = field(default_factory=list)
    reports: list[Report] = field(default_factory=list)
    extension_reports: list[ExtensionReport] = field(default_factory=list)
    # The first texts that only have the form of reports, and the number of all.
    forgeries: list[Forgery] = field(default_factory=list)
    forged: int = 0
    # Signs that the console does not have all that the kernel printed.
    losses: list[Loss] = field(default_factory=list)
    leaked: list[str] | None = None
    # Leftovers of a module at its unload, for a kernel that could not be asked later.
    left_at_unload: list[str] = field(default_factory=list)
    # Leftovers of modules (memory, timers, work items), a sentence each; and the kinds that this
    # kernel can't show.
    residue: list[str] = field(default_factory=list)
    not_looked_at: list[str] = field(default_factory=list)
    # Reports about leftovers of modules.
    causes: list[Cause] = field(default_factory=list)
    taint: str | None = None
    counters: dict[str, int] = field(default_factory=dict)
    bpf_objects: dict[str, int] = field(default_factory=dict)
    # The increase of the kernel's counters of native programs: in the first iteration, like
    # the outcomes, and in the whole item. None: not read. Empty: the kernel has none.
    rex: dict[RexCounter, int] | None = None
    rex_total: dict[RexCounter, int] | None = None
    # Stacks of native programs that nearly overflowed, each with the bytes that were left.
    near_overflow_stacks: list[str] = field(default_factory=list)
    infra_error: StoredError = None
    # For the dossier.
    console: str = ""
    facts: dict[str, Any] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
