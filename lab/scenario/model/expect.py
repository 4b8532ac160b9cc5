# SPDX-License-Identifier: GPL-2.0-only
"""Expectations: of a whole item, and of single steps."""

from __future__ import annotations

import re
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, GetJsonSchemaHandler, model_validator
from pydantic_core import CoreSchema

from lab.config.part import Bool, Int, Part, Text, flaw
from lab.config.suggest import did_you_mean
from lab.scenario.model.base import (
    ERRNO,
    Bound,
    CountBound,
    MapKey,
    MapRef,
    Regex,
    Texts,
    TimeBound,
    at_least,
)
from lab.words import (
    LOAD_OUTCOMES,
    OUTCOMES,
    BpfObjectKind,
    Counter,
    KernelState,
    LoadOutcome,
    LoadStage,
    Outcome,
    ReportKind,
    Resources,
    RexCounter,
    Slope,
)


def _outcome(value: Any) -> Any:
    # `outcome: returned` asks that it happened at all.
    if isinstance(value, str):
        if value not in OUTCOMES:
            raise flaw(f"'{value}' is no outcome{did_you_mean(value, OUTCOMES)}")
        return {value: at_least(1)}
    if not isinstance(value, dict):
        raise flaw("expected an outcome, or a mapping of outcomes to how often they happen")
    return value


class _OrOutcome:
    """Adds the short form to the JSON Schema."""

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {"anyOf": [{"enum": list(OUTCOMES)}, handler(schema)]}


Outcomes = Annotated[
    Annotated[dict[Outcome, CountBound], Field(min_length=1)],
    BeforeValidator(_outcome),
    _OrOutcome(),
]
MapValues = dict[MapRef, Annotated[dict[MapKey, Bound], Field(min_length=1)]]


class TextExpect(Part):
    """What a text has to look like; every line of it that is given has to hold."""

    contains: Texts = ()
    excludes: Texts = ()
    matches: Regex | None = None  # searched for, `.` does not match a line's end

    def failures(self, text: str) -> list[str]:
        """In words, what does not hold for `text`; empty if all does."""
        wrong = [f"does not contain {part!r}" for part in self.contains if part not in text]
        wrong += [f"contains {part!r}" for part in self.excludes if part in text]
        if self.matches is not None and not re.search(self.matches, text, re.MULTILINE):
            wrong.append(f"does not match /{self.matches}/")
        return wrong

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not (self.contains or self.excludes or self.matches):
            raise flaw("expects nothing: give contains, excludes or matches")
        return self


class ExtensionReportExpect(TextExpect):
    """What the kernel's reports on Rust programs look like, and how many there are.

    `count` is of the whole item, of its second use as well.
    """

    count: CountBound | None = None

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not (self.contains or self.excludes or self.matches or self.count):
            raise flaw("expects nothing: give contains, excludes, matches or count")
        return self


class StepExpect(Part):
    """What every step can be held to: `time`, its duration in seconds."""

    time: TimeBound | None = None


def _load_outcome(value: Any) -> Any:
    if value == "refused":
        raise flaw("'refused' is a run that did not begin; a load is 'rejected'")
    return value


class LoadExpect(StepExpect):
    """The expectation of a load. Without `outcome`, `error` and `stage` it has to succeed.

    `rejected` means that the kernel's verifier refuses it, or the kernel's checks of
    an image or module; `program` is the one that it rejects. `error` is that of a
    rejection, or of the `stage` at which the load fails.
    """

    outcome: Annotated[LoadOutcome, BeforeValidator(_load_outcome)] | None = None
    program: Text | None = None
    stage: LoadStage | None = None
    error: Annotated[str, Field(pattern=ERRNO)] | None = None
    verifier_log: TextExpect | None = None
    compiler_log: TextExpect | None = None

    @property
    def fails(self) -> bool:
        """Return whether the load is expected to fail."""
        return bool(self.outcome or self.program or self.stage or self.error)


class AttachExpect(StepExpect):
    """Of an attachment. Without `error` it has to succeed."""

    error: Annotated[str, Field(pattern=ERRNO)] | None = None


class TriggerExpect(StepExpect):
    """The expectation of a trigger: the outcome of the programs that ran, and its results.

    `status` is a shell line's exit status, `returns` the value that a program
    run on test data returned, `output` what a shell line printed, `received`
    how many packets reached a socket.
    """

    outcome: Outcomes | None = None
    status: Annotated[Int, Field(ge=0, le=255)] | None = None
    returns: Bound | None = None
    output: TextExpect | None = None
    maps: MapValues = Field(default_factory=dict)
    misses: CountBound | None = None
    received: CountBound | None = None


class ReadExpect(StepExpect):
    """Of a read: the value; for a per-CPU map the sum over CPUs."""

    value: Bound | None = None


class ShellExpect(StepExpect):
    """Of a shell line. Without `status` it has to be 0."""

    status: Annotated[Int, Field(ge=0, le=255)] = 0
    output: TextExpect | None = None


class Expect(Part):
    """What must hold at the end of an item.

    Counters and BPF objects are increases over the item's baseline, `rex` those of
    the item's first use only, as for outcomes. Slopes are increases per
    repetition. `time` is the sum of the triggers' times in
    seconds, `misses` the number of runs that the kernel dropped because a
    program was already running, `received` the number of packets of all triggers that
    reached a socket. `extension_report` is about the text of all
    reports on Rust programs that the kernel ended. `forged` is the number of
    texts on the console that have the form of a report and are not the kernel's.
    """

    outcome: Outcomes | None = None
    verifier_log: TextExpect | None = None
    compiler_log: TextExpect | None = None
    maps: MapValues = Field(default_factory=dict)
    kernel: KernelState = "alive"
    resources: Resources | None = None
    reusable: Bool = False
    reports: tuple[ReportKind, ...] = ()
    forged: CountBound | None = None
    extension_report: ExtensionReportExpect | None = None
    counters: dict[Counter, CountBound] = Field(default_factory=dict)
    bpf_objects: dict[BpfObjectKind, Bound] = Field(default_factory=dict)
    rex: dict[RexCounter, CountBound] = Field(default_factory=dict)
    slopes: dict[Slope, Bound] = Field(default_factory=dict)
    time: TimeBound | None = None
    misses: CountBound | None = None
    received: CountBound | None = None

    @property
    def failed_load(self) -> LoadOutcome | None:
        """Return how a load fails; None if the item expects no failing load."""
        for word in LOAD_OUTCOMES:
            bound = (self.outcome or {}).get(word)
            if bound is not None and bound.positive:
                return word
        return None

    def resolved(self) -> Expect:
        """With what was left out filled in: an alive kernel is held to release everything."""
        if self.resources is None and self.kernel == "alive":
            return self.model_copy(update={"resources": "released"}).moved(self.where)
        return self


class AllowConsole(Part):
    """One kind of report that may appear on the console, and why it may."""

    kind: ReportKind
    reason: Annotated[str, Field(min_length=3)]
