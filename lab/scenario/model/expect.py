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
    # `outcome: returned` requires at least one such run.
    if isinstance(value, str):
        if value not in OUTCOMES:
            raise flaw(f"'{value}' is no outcome{did_you_mean(value, OUTCOMES)}")
        return {value: at_least(1)}
    if not isinstance(value, dict):
        raise flaw("expected an outcome, or a mapping of outcomes to how often they happen")
    return value


class _OrOutcome:
    """Add the short form to the JSON Schema."""

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
    """The expected contents of a text; each given key must hold."""

    contains: Texts = ()
    excludes: Texts = ()
    matches: Regex | None = None  # found anywhere in the text; `.` does not match a line's end

    def failures(self, text: str) -> list[str]:
        """Return in words each key that does not hold for `text`; empty if all hold."""
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
    """The expected text and number of the kernel's reports on Rust programs."""

    # The number of reports in the whole item, its second use included.
    count: CountBound | None = None

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not (self.contains or self.excludes or self.matches or self.count):
            raise flaw("expects nothing: give contains, excludes, matches or count")
        return self


class StepExpect(Part):
    """The expectations that every step can have."""

    # The duration of the step, in seconds.
    time: TimeBound | None = None


def _load_outcome(value: Any) -> Any:
    if value == "refused":
        raise flaw("'refused' is a run that did not start; a load is 'rejected'")
    return value


class LoadExpect(StepExpect):
    """Expectations about a load.

    It must succeed unless one of `outcome`, `program`, `stage` and `error` is given.
    """

    # `rejected`: the kernel's verifier, or its checks of an image or module, refuses it.
    outcome: Annotated[LoadOutcome, BeforeValidator(_load_outcome)] | None = None
    # The program that is rejected.
    program: Text | None = None
    # The stage at which the load fails.
    stage: LoadStage | None = None
    # The error of the rejection or of the failed stage.
    error: Annotated[str, Field(pattern=ERRNO)] | None = None
    verifier_log: TextExpect | None = None
    compiler_log: TextExpect | None = None

    @property
    def fails(self) -> bool:
        """True if the load is expected to fail."""
        return bool(self.outcome or self.program or self.stage or self.error)


class AttachExpect(StepExpect):
    """Expectations about an attachment. Without `error` it must succeed."""

    error: Annotated[str, Field(pattern=ERRNO)] | None = None


class TriggerExpect(StepExpect):
    """Expectations about a trigger: the outcome of the programs that ran, and its results."""

    outcome: Outcomes | None = None
    # The exit status of a shell line.
    status: Annotated[Int, Field(ge=0, le=255)] | None = None
    # The value that a program returned when run on test data.
    returns: Bound | None = None
    # The output of a shell line.
    output: TextExpect | None = None
    maps: MapValues = Field(default_factory=dict)
    # The number of runs that the kernel dropped because a program was already running.
    misses: CountBound | None = None
    # The number of packets that reached a socket.
    received: CountBound | None = None


class ReadExpect(StepExpect):
    """Expectations about a read: the value; for a per-CPU map, the sum over all CPUs."""

    value: Bound | None = None


class ShellExpect(StepExpect):
    """Expectations about a shell line. Without `status` its exit status must be 0."""

    status: Annotated[Int, Field(ge=0, le=255)] = 0
    output: TextExpect | None = None


class Expect(Part):
    """The expectations about a whole item, checked at its end."""

    # Outcomes of the item's first use.
    outcome: Outcomes | None = None
    verifier_log: TextExpect | None = None
    compiler_log: TextExpect | None = None
    maps: MapValues = Field(default_factory=dict)
    kernel: KernelState = "alive"
    resources: Resources | None = None
    reusable: Bool = False
    reports: tuple[ReportKind, ...] = ()
    # The number of texts on the console that have the form of a report but are not the kernel's.
    forged: CountBound | None = None
    # The text of all reports on Rust programs that the kernel ended.
    extension_report: ExtensionReportExpect | None = None
    # Increases over the item's baseline.
    counters: dict[Counter, CountBound] = Field(default_factory=dict)
    # Increases over the item's baseline.
    bpf_objects: dict[BpfObjectKind, Bound] = Field(default_factory=dict)
    # Increases over the item's baseline, in the item's first use only.
    rex: dict[RexCounter, CountBound] = Field(default_factory=dict)
    # Increases per repetition.
    slopes: dict[Slope, Bound] = Field(default_factory=dict)
    # The sum of the triggers' times, in seconds.
    time: TimeBound | None = None
    # The number of runs that the kernel dropped because a program was already running.
    misses: CountBound | None = None
    # The number of packets of all triggers that reached a socket.
    received: CountBound | None = None

    @property
    def failed_load(self) -> LoadOutcome | None:
        """The expected failure of a load; None if the item expects no load to fail."""
        for word in LOAD_OUTCOMES:
            bound = (self.outcome or {}).get(word)
            if bound is not None and bound.positive:
                return word
        return None

    def resolved(self) -> Expect:
        """Return the expectations with defaults: a kernel that is alive must release everything."""
        if self.resources is None and self.kernel == "alive":
            return self.model_copy(update={"resources": "released"}).moved(self.where)
        return self


class AllowConsole(Part):
    """One kind of report that may appear on the console, and the reason for it."""

    kind: ReportKind
    reason: Annotated[str, Field(min_length=3)]
