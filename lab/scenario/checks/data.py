# SPDX-License-Identifier: GPL-2.0-only
"""What the checks of a file's data share.

They read the data, not the model: a file with a mistyped key in one place is
still checked everywhere else. So they skip whatever has the wrong type, which
validation has named already.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lab.config.yaml_file import Flaw, Map, Seq
from lab.scenario.expand import MAIN
from lab.scenario.model.base import Ref
from lab.words import LOAD_OUTCOMES, LoadOutcome


def mapping(holder: Any, key: Any) -> Map:
    """The mapping at `key`, an empty one if there is none."""
    value = holder.get(key) if isinstance(holder, Map) else None
    return value if isinstance(value, Map) else Map()


def sequence(holder: Any, key: Any) -> Seq:
    """The list at `key`, an empty one if there is none."""
    value = holder.get(key) if isinstance(holder, Map) else None
    return value if isinstance(value, Seq) else Seq()


def text(holder: Any, key: Any) -> str | None:
    """The text at `key`, if there is one."""
    value = holder.get(key) if isinstance(holder, Map) else None
    return value if isinstance(value, str) else None


def number(holder: Any, key: Any) -> int | float | None:
    """The number at `key`, if there is one."""
    value = holder.get(key) if isinstance(holder, Map) else None
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def at_value(holder: Map, key: Any, message: str) -> Flaw:
    return Flaw(holder.values_at[key], message)


def at_key(holder: Map, key: Any, message: str) -> Flaw:
    return Flaw(holder.keys_at[key], message)


def extensions(data: Map) -> dict[str, Map]:
    """The extensions by name; one that is malformed is an empty mapping."""
    found = {
        name: mapping(data["extensions"], name)
        for name in mapping(data, "extensions")
        if isinstance(name, str)
    }
    return {MAIN: mapping(data, "extension")} if "extension" in data else found


def walk(steps: Seq) -> Iterator[Map]:
    """All steps that are mappings, those inside repetitions after theirs."""
    for step in steps:
        if isinstance(step, Map):
            yield step
            yield from walk(sequence(step.get("repeat"), "steps"))


def ref(said: Any, known: dict[str, Map]) -> Ref | None:
    """The program or map that `said` refers to, None where validation has complained."""
    try:
        return Ref.parse(said, tuple(known)) if isinstance(said, str) else None
    except ValueError:
        return None


def positive(bound: Any) -> bool:
    """Whether a bound as written asks for more than nothing."""
    least = number(bound, "at_least") or number(bound, "equals") or 0
    return least > 0 or (isinstance(bound, int) and bound > 0)


def failed_load(data: Map) -> LoadOutcome | None:
    """Return how a load is expected to fail; None if the item expects no failing load."""
    outcome = mapping(data, "expect").get("outcome")
    for word in LOAD_OUTCOMES:
        if outcome == word or (isinstance(outcome, Map) and positive(outcome.get(word))):
            return word
    return None
