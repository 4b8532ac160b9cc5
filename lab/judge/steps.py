# SPDX-License-Identifier: GPL-2.0-only
"""Findings on single steps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from lab.judge.finding import (
    COMPILER,
    CONSOLE,
    LOADER,
    Finding,
    bound_finding,
    map_findings,
    outcome_finding,
    text_findings,
)
from lab.judge.observation import StepResult
from lab.scenario.model.base import Bound
from lab.scenario.model.expect import (
    AttachExpect,
    LoadExpect,
    ReadExpect,
    ShellExpect,
    TriggerExpect,
)
from lab.scenario.model.steps import (
    AttachStep,
    BaseStep,
    LoadStep,
    PinStep,
    ReadStep,
    TriggerStep,
    UnloadStep,
    WriteStep,
)
from lab.scenario.model.triggers import RunTrigger
from lab.words import LOAD_OUTCOMES, VERIFY, LoadOutcome, Topic


def extension_of(step: BaseStep) -> str | None:
    """Return the extension of a step; None if the step has no single one."""
    match step:
        case LoadStep():
            return step.load
        case AttachStep():
            return step.attach.extension
        case UnloadStep():
            return step.unload
        case TriggerStep(trigger=RunTrigger() as trigger):
            return trigger.run.extension
        case ReadStep():
            return step.read.map.extension
        case WriteStep():
            return step.write.map.extension
        case PinStep():
            return step.pin.ref.extension
        case _:
            return None


def step_findings(result: StepResult) -> Iterator[Finding]:
    """Compare the result of a step with its expectation."""
    step = result.step
    what = f"{result.path} ({step.label})"
    expect = getattr(step, "expect", None)
    if expect is not None and expect.time is not None:
        yield bound_finding(f"{what}: time in s", expect.time, round(result.seconds, 6), "time")
    match step.verb:
        case "load":
            yield from _load(what, expect or LoadExpect(), result)
        case "attach" | "pin":
            yield from _attach(what, expect or AttachExpect(), result)
        case "trigger":
            yield from _trigger(what, expect or TriggerExpect(), result)
        case "read":
            yield _done(what, result)
            if isinstance(expect, ReadExpect) and expect.value is not None:
                yield bound_finding(f"{what}: value", expect.value, result.value, "steps")
        case "shell":
            yield from _shell(what, expect or ShellExpect(), result)
        case "wait_for":
            yield replace(_done(what, result), source=CONSOLE, asked=True)
        case "console":
            yield replace(_done(what, result), asked=True)
        case _:
            yield _done(what, result)


def _done(what: str, result: StepResult) -> Finding:
    happened = result.problem or "it did"
    return Finding(what, "it to succeed", happened, not result.problem, asked=False)


def _load(what: str, expect: LoadExpect, result: StepResult) -> Iterator[Finding]:
    logs = expect.verifier_log is not None or expect.compiler_log is not None
    if not expect.fails and not logs:
        # An item about a failing load may expect that once, for the whole item: see `totals`.
        if failure_of(result) is None:
            yield _done(what, result)
        return
    # A load that failed before the extension was checked shows nothing about it.
    asked: Topic | None = "outcome" if failure_of(result) or not result.problem else None
    if expect.outcome is not None:
        holds = failure_of(result) == expect.outcome
        source = COMPILER if expect.outcome == "not_compiled" else LOADER
        yield Finding(what, f"to be {expect.outcome}", _fate(result), holds, asked, source)
    if expect.program is not None:
        happened = f"it rejected {result.rejected}" if result.rejected else _fate(result)
        holds = result.rejected == expect.program
        yield Finding(what, f"the kernel to reject {expect.program}", happened, holds, asked)
    if expect.error is not None or expect.stage is not None:
        yield _failed_at(what, expect, result)
    elif not expect.fails:
        yield _done(what, result)
    if expect.verifier_log is not None:
        yield from text_findings(
            f"{what}: verifier log", expect.verifier_log, result.log, "verifier_log", needed=True
        )
    if expect.compiler_log is not None:
        yield from text_findings(
            f"{what}: compiler log",
            expect.compiler_log,
            result.compiler_log,
            "compiler_log",
            needed=True,
        )


def failure_of(result: StepResult) -> LoadOutcome | None:
    """Return the outcome of a failed load; None if it says nothing about the extension."""
    return next((word for word in LOAD_OUTCOMES if result.outcomes[word]), None)


def _fate(result: StepResult) -> str:
    """Describe the end of a load."""
    match failure_of(result):
        case "rejected":
            return f"it was rejected ({result.problem})"
        case "not_compiled":
            return result.problem
        case _:
            return result.problem or "it was loaded"


def _failed_at(what: str, expect: LoadExpect, result: StepResult) -> Finding:
    """Compare the error of a load. The same number from another stage is another error."""
    stage = expect.stage or VERIFY
    if not result.problem:
        happened = "it was loaded"
    else:
        error = result.errname or "none"
        happened = f"the error was {error} at the stage {result.stage} ({result.problem})"
    holds = result.stage == stage and expect.error in (None, result.errname)
    wanted = f"{expect.error or 'an error'} at the stage {stage}"
    return Finding(what, wanted, happened, holds, "steps")


def _attach(what: str, expect: AttachExpect, result: StepResult) -> Iterator[Finding]:
    if expect.error is None:
        yield _done(what, result)
    else:
        # A program that was never loaded is "not there", too.
        holds = result.errname == expect.error and result.stage == result.step.verb
        happened = f"the error was {result.errname or 'none'}"
        if result.errname and not holds:
            happened += f" ({result.problem})"
        yield Finding(what, expect.error, happened, holds, "steps")


def _trigger(what: str, expect: TriggerExpect, result: StepResult) -> Iterator[Finding]:
    if result.ended:
        yield _done(what, result)
    step = result.step
    if isinstance(step, TriggerStep) and step.trigger.background and step.expect is not None:
        # Nothing was counted before the trigger was waited for.
        over = result.status is not None or result.returns is not None or bool(result.problem)
        happened = "it ended" if over else "it was not waited for"
        yield Finding(what, "to end", happened, over, asked=False)
    for outcome, bound in (expect.outcome or {}).items():
        counts, ended = result.outcomes, result.ended
        yield outcome_finding(f"{what}: outcome", outcome, bound, counts, complete=ended)
    shell = isinstance(result.step, TriggerStep) and result.step.trigger.kind == "shell"
    if expect.status is not None or (shell and result.ended and result.status is not None):
        wanted = expect.status or 0
        said = f"it was {result.status} ({result.output.strip()[-200:] or 'it printed nothing'})"
        holds, asked = result.status == wanted, expect.status is not None
        yield Finding(f"{what}: exit status", str(wanted), said, holds, "steps", asked=asked)
    if expect.returns is not None:
        returned = _as_asked(expect.returns, result.returns)
        yield bound_finding(f"{what}: returned value", expect.returns, returned, "steps")
    if expect.output is not None:
        yield from text_findings(f"{what}: output", expect.output, result.output, "steps")
    if expect.misses is not None:
        yield bound_finding(f"{what}: missed runs", expect.misses, result.misses, "misses")
    if expect.received is not None:
        yield bound_finding(f"{what}: received", expect.received, result.received, "received")
    yield from map_findings(what, expect.maps, result.maps)


def _as_asked(bound: Bound, value: int | None) -> int | None:
    """Return a 32-bit value as signed if the bound expects a negative one.

    The kernel reports a program's return value as unsigned (`bpf_attr.test.retval`).
    """
    if value is None or not any(number < 0 for number in bound.numbers):
        return value
    return value - (1 << 32) if value >= 1 << 31 else value


def _shell(what: str, expect: ShellExpect, result: StepResult) -> Iterator[Finding]:
    if result.problem:
        yield _done(what, result)
        return
    happened = f"it was {result.status}"
    if result.status != expect.status and result.output:
        happened += f" ({result.output.strip()[-200:]})"
    holds, asked = result.status == expect.status, "status" in expect.model_fields_set
    finding = Finding(f"{what}: exit status", str(expect.status), happened, holds, "steps")
    yield replace(finding, asked=asked)
    if expect.output is not None:
        yield from text_findings(f"{what}: output", expect.output, result.output, "steps")
