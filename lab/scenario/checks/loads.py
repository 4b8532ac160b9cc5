# SPDX-License-Identifier: GPL-2.0-only
"""Check expectations of loads that fail: their stages and outcomes."""

from __future__ import annotations

from collections.abc import Iterator

from lab.config.yaml_file import Flaw, Map
from lab.scenario.checks.data import at_key, failed_load, mapping, sequence, text, walk
from lab.words import VERIFY


def check(data: Map) -> Iterator[Flaw]:
    """Find all flaws in one scenario's data, with its parameters inserted."""
    expect = mapping(data, "expect")
    steps = [step for step in walk(sequence(data, "steps")) if "load" in step]
    loads = [mapping(step, "expect") for step in steps]
    yield from _compiled(expect, failed_load(data) == "not_compiled", [*loads, expect])
    for load in loads:
        yield from _compiled(load, text(load, "outcome") == "not_compiled", [load, expect])
        yield from _stage(load)


def _compiled(expect: Map, fails: bool, logs: list[Map]) -> Iterator[Flaw]:
    """Require `compiler_log` with `not_compiled`: without it any mistake would pass."""
    said = [mapping(holder, "compiler_log") for holder in logs]
    if fails and not any("contains" in log or "matches" in log for log in said):
        yield at_key(
            expect,
            "outcome",
            "any mistake would pass: give the compiler's message, compiler_log: {contains: …}",
        )
    if "compiler_log" in expect and not any(_expects_no_object(holder) for holder in logs):
        yield at_key(
            expect,
            "compiler_log",
            "only an extension that does not compile has a compiler log: "
            "expect 'outcome: not_compiled', too",
        )


def _expects_no_object(holder: Map) -> bool:
    outcome = holder.get("outcome")
    return outcome == "not_compiled" or (isinstance(outcome, Map) and "not_compiled" in outcome)


def _stage(load: Map) -> Iterator[Flaw]:
    outcome, stage = text(load, "outcome"), text(load, "stage")
    if outcome == "not_compiled":
        for key in ("program", "stage", "error", "verifier_log"):
            if key in load:
                yield at_key(
                    load, key, "no kernel sees an extension that does not compile: leave this out"
                )
    elif stage is not None and stage != VERIFY and (outcome is not None or "program" in load):
        yield at_key(
            load, "stage", f"a rejection fails at the stage '{VERIFY}': leave one of them out"
        )
