# SPDX-License-Identifier: GPL-2.0-only
"""Check for expectations that nothing can meet, or that prove nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lab.config.yaml_file import Flaw, Map, Seq
from lab.scenario.checks.data import (
    at_key,
    at_value,
    extensions,
    failed_load,
    mapping,
    number,
    positive,
    sequence,
    text,
    walk,
)
from lab.scenario.checks.packets import loses_packets
from lab.scenario.model.base import BUDGET
from lab.words import FATAL_REPORTS, LOAD_OUTCOMES, OUTCOMES, TOPICS

# Values that are read in the guest at the end, and so not from a crashed kernel.
_READ_AT_END = ("maps", "misses", "counters", "bpf_objects", "rex", "slopes")
# Topics that the judge checks even if the scenario does not mention them.
_ALWAYS_JUDGED = ("kernel", "reports", "counters", "resources", "rex", "steps")
# Keys that show that something happened. A healthy kernel alone does not show it.
_PROOFS = (
    "outcome",
    "maps",
    "reports",
    "verifier_log",
    "compiler_log",
    "misses",
    "rex",
    "extension_report",
)
_OF_EXTENSIONS = (
    "outcome",
    "verifier_log",
    "compiler_log",
    "maps",
    "misses",
    "rex",
    "extension_report",
)
_STEP_PROOFS = (
    "outcome",
    "returns",
    "status",
    "output",
    "maps",
    "misses",
    "value",
    "error",
    "stage",
    "verifier_log",
)

# Keys whose work runs while the item runs.
_BUSY = ("background", "trigger", "steps")


def check(data: Map) -> Iterator[Flaw]:
    """Find all flaws in one scenario's data, with its parameters inserted."""
    expect = mapping(data, "expect")
    yield from _state(expect)
    yield from _rejection(data, expect)
    yield from _extensions(data, expect)
    yield from _endless(data, expect)
    yield from _slopes(data, expect)
    yield from _signs(data, expect)
    yield from _proof(data, expect)
    yield from _controls(data, expect)
    yield from _repeated(data)
    yield from _timeouts(data)


def _state(expect: Map) -> Iterator[Flaw]:
    kernel = text(expect, "kernel") or "alive"
    if kernel in ("stalled", "crashed") and expect.get("reusable") is True:
        yield at_value(
            expect,
            "reusable",
            f"a {kernel} kernel can't run the extension again: leave 'reusable' out",
        )
    if kernel == "crashed" and "resources" in expect:
        yield at_value(
            expect,
            "resources",
            "a crashed kernel can't be checked for resources: leave 'resources' out",
        )
    if kernel == "stalled" and expect.get("resources") == "released":
        yield at_value(
            expect, "resources", "a stalled kernel can't release anything: leave 'resources' out"
        )
    if kernel == "crashed":
        for key in _READ_AT_END:
            if key in expect:
                yield at_key(expect, key, f"'{key}' can't be read from a crashed kernel")
    reports = sequence(expect, "reports")
    for report, place in zip(reports, reports.items_at, strict=True):
        if kernel == "alive" and isinstance(report, str) and report in FATAL_REPORTS:
            yield Flaw(
                place, f"a kernel that reports '{report}' is not alive: expect 'kernel: crashed'"
            )


def _rejection(data: Map, expect: Map) -> Iterator[Flaw]:
    word = failed_load(data)
    if word is None:
        return
    fault = "is rejected" if word == "rejected" else "does not compile"
    what = f"an extension that {fault}"
    if expect.get("reusable") is True:
        yield at_value(expect, "reusable", f"{what} is never used: leave 'reusable' out")
    if "trigger" in data:
        yield at_key(data, "trigger", f"{what} never runs: leave 'trigger' out")
    known = extensions(data)
    loads = [step for step in walk(sequence(data, "steps")) if "load" in step]
    if len(known) > 1 and len(loads) != 1:
        if not any(text(mapping(step, "expect"), "outcome") == word for step in loads):
            yield at_value(
                expect,
                "outcome",
                f"expect this at the load step of one extension: expect: {{outcome: {word}}}",
            )
        return
    for key in ("maps", "misses"):
        if key in expect and len(known) == 1:
            yield at_key(expect, key, f"{what} never runs: leave '{key}' out")
    for step in walk(sequence(data, "steps")):
        for key in ("outcome", "misses", "maps", "returns"):
            if "trigger" in step and key in mapping(step, "expect"):
                yield at_key(step["expect"], key, f"{what} never runs")


def _extensions(data: Map, expect: Map) -> Iterator[Flaw]:
    known = extensions(data)
    for key in _OF_EXTENSIONS:
        if key in expect and not known and "compare" not in data:
            yield at_key(expect, key, f"'{key}' needs an extension, and there is none")
    if known and not any("rust" in extension for extension in known.values()):
        for key in ("rex", "extension_report"):
            if key in expect:
                yield at_key(expect, key, f"'{key}' is about Rust programs, and there is none")
    if known and all("module" in extension for extension in known.values()):
        for key in ("verifier_log", "misses"):
            if key in expect:
                yield at_key(expect, key, f"a module has no '{key}'")
        yield from _runs_of_modules(expect)


def _runs_of_modules(expect: Map) -> Iterator[Flaw]:
    """Find outcomes of runs in a scenario with modules only, whose runs are not counted."""
    outcomes = expect.get("outcome")
    words = list(outcomes) if isinstance(outcomes, Map) else [outcomes]
    for word in words:
        if word in OUTCOMES and word not in LOAD_OUTCOMES:
            yield at_key(
                expect,
                "outcome",
                f"the runs of a module are not counted, so none is '{word}': "
                "expect something of a step, such as a shell line's output",
            )


def _endless(data: Map, expect: Map) -> Iterator[Flaw]:
    """Find runs that are expected to be terminated although they have no time limit.

    The expectations of a control are not checked: it can set a budget of its own.
    """
    budget = _budget(data)
    # A later part that names the budget, such as a shell line, may set a limit.
    if budget is None or any(_names_budget(data.get(key)) for key in _BUSY):
        return
    steps = [mapping(step, "expect") for step in walk(sequence(data, "steps"))]
    for holder, key in ((expect, "outcome"), (expect, "rex"), *((one, "outcome") for one in steps)):
        said = f"'{budget}: 0' ends no run, so 'terminated' can't happen"
        if text(holder, key) == "terminated":
            yield at_value(holder, key, said)
        elif positive(mapping(holder, key).get("terminated")):
            yield at_key(holder[key], "terminated", said)


def _budget(data: Map) -> str | None:
    """Return the key that removes the time limit of runs, or None if no key does."""
    if number(data, "budget_ms") == 0:
        return "budget_ms"
    for name, value in mapping(mapping(data, "set"), "sysctl").items():
        if isinstance(name, str) and name.replace("/", ".") == BUDGET and str(value) == "0":
            return name
    return None


def _names_budget(part: Any) -> bool:
    if isinstance(part, Map):
        return any(_names_budget(one) for pair in part.items() for one in pair)
    if isinstance(part, Seq):
        return any(_names_budget(one) for one in part)
    return isinstance(part, str) and "budget_ms" in part


def _slopes(data: Map, expect: Map) -> Iterator[Flaw]:
    repeats = any("repeat" in step for step in walk(sequence(data, "steps")))
    if "slopes" in expect and not repeats:
        yield at_key(
            expect, "slopes", "a slope is an increase per repetition, and there is no repeat step"
        )


def _signs(data: Map, expect: Map) -> Iterator[Flaw]:
    """Find negative numbers for a map's values, which are read as unsigned in any size."""
    steps = [mapping(step, "expect") for step in walk(sequence(data, "steps"))]
    values = [
        mapping(mapping(holder, "maps"), ref)
        for holder in (expect, *steps)
        for ref in mapping(holder, "maps")
    ]
    bounds = [(holder, key) for holder in values for key in holder]
    bounds += [(step, "value") for step in steps if "value" in step]
    for holder, key in bounds:
        bound = mapping(holder, key)
        named = [number(holder, key), *(number(bound, word) for word in bound)]
        least = min((one for one in named if one is not None), default=0)
        if least < 0:
            yield at_value(
                holder,
                key,
                f"a map's value is unsigned here: {least:g} in 32 bits is {least + 2**32:.0f}, "
                f"in 64 bits {int(least) + 2**64}",
            )


def _proof(data: Map, expect: Map) -> Iterator[Flaw]:
    if "expect" not in data or "compare" in data:
        return
    if _shows(expect, _PROOFS) or expect.get("kernel", "alive") != "alive":
        return
    if positive(expect.get("forged")) or loses_packets(data):
        return
    for step in walk(sequence(data, "steps")):
        if "wait_for" in step or "console" in step:
            return
        if _shows(mapping(step, "expect"), _STEP_PROOFS):
            return
    yield at_key(
        data,
        "expect",
        "nothing here shows that the extension did anything, so any kernel would pass: "
        "expect an outcome, a map's value, or something of a step",
    )


def _shows(expect: Map, proofs: tuple[str, ...]) -> bool:
    """Return whether one of the keys would fail if nothing happened at all."""
    for key in proofs:
        if key not in expect:
            continue
        if key in ("outcome", "rex") and isinstance(expect[key], Map):
            if any(positive(bound) for bound in expect[key].values()):
                return True
        elif key == "misses":
            if positive(expect[key]):
                return True
        elif key == "reports":
            if sequence(expect, key):
                return True
        elif key == "extension_report":
            report = mapping(expect, key)
            if any(word != "count" for word in report) or positive(report.get("count")):
                return True
        else:
            return True
    return False


def _controls(data: Map, expect: Map) -> Iterator[Flaw]:
    expected = {*_ALWAYS_JUDGED, *expect}
    for step in walk(sequence(data, "steps")):
        expected |= {*mapping(step, "expect")}
    for control in sequence(data, "controls"):
        fails = sequence(control, "fails")
        for word, place in zip(fails, fails.items_at, strict=True):
            if word in TOPICS and word not in expected:
                yield Flaw(place, f"'{word}' can't fail: nothing is expected of it")


def _repeated(data: Map) -> Iterator[Flaw]:
    for holder, key, what in (
        (data, "kernels", "kernel"),
        (data, "tags", "tag"),
        (mapping(data, "expect"), "reports", "report"),
    ):
        seen = set()
        items = sequence(holder, key)
        for item, place in zip(items, items.items_at, strict=True):
            if isinstance(item, str) and item in seen:
                yield Flaw(place, f"the {what} '{item}' is given twice")
            seen.add(item if isinstance(item, str) else None)
    for key, word in (("controls", "without"), ("allow_console", "kind")):
        seen = set()
        for item in sequence(data, key):
            said = text(item, word)
            if said is not None and said in seen:
                yield at_value(item, word, f"'{said}' is given twice")
            seen.add(said)


def _timeouts(data: Map) -> Iterator[Flaw]:
    whole = number(data, "timeout") or 60
    parts = [mapping(data, "trigger")]
    for step in walk(sequence(data, "steps")):
        parts += [mapping(step, key) for key in ("trigger", "shell", "wait_for")]
        parts += [talk for talk in sequence(step, "console") if isinstance(talk, Map)]
    for part in parts:
        for key in ("timeout", "wait"):
            said = number(part, key)
            if said is not None and said > whole:
                yield at_value(
                    part, key, f"{said:g} s are more than the item's timeout of {whole:g} s"
                )
