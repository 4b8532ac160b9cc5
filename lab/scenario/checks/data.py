# SPDX-License-Identifier: GPL-2.0-only
"""Access to a file's data for the checks.

The checks read the data, not the model, so that a file with a mistyped key in one place is
still checked everywhere else. They skip values of the wrong type, which validation
reports.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lab.config.yaml_file import Flaw, Map, Seq
from lab.scenario.expand import MAIN
from lab.scenario.model.base import Ref
from lab.words import LOAD_OUTCOMES, LoadOutcome


def mapping(holder: Any, key: Any) -> Map:
    """Return the mapping at `key`, or an empty one if there is none."""
    value = holder.get(key) if isinstance(holder, Map) else None
    return value if isinstance(value, Map) else Map()


def sequence(holder: Any, key: Any) -> Seq:
    """Return the list at `key`, or an empty one if there is none."""
    value = holder.get(key) if isinstance(holder, Map) else None
    return value if isinstance(value, Seq) else Seq()


def text(holder: Any, key: Any) -> str | None:
    """Return the text at `key`, or None if there is none."""
    value = holder.get(key) if isinstance(holder, Map) else None
    return value if isinstance(value, str) else None


def number(holder: Any, key: Any) -> int | float | None:
    """Return the number at `key`, or None if there is none."""
    value = holder.get(key) if isinstance(holder, Map) else None
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def at_value(holder: Map, key: Any, message: str) -> Flaw:
    return Flaw(holder.values_at[key], message)


def at_key(holder: Map, key: Any, message: str) -> Flaw:
    return Flaw(holder.keys_at[key], message)


def extensions(data: Map) -> dict[str, Map]:
    """Return the extensions by name; a malformed one is an empty mapping."""
    found = {
        name: mapping(data["extensions"], name)
        for name in mapping(data, "extensions")
        if isinstance(name, str)
    }
    return {MAIN: mapping(data, "extension")} if "extension" in data else found


def walk(steps: Seq) -> Iterator[Map]:
    """Yield all steps that are mappings; steps in a repetition follow the repetition."""
    for step in steps:
        if isinstance(step, Map):
            yield step
            yield from walk(sequence(step.get("repeat"), "steps"))


def ref(said: Any, known: dict[str, Map]) -> Ref | None:
    """Return the program or map that `said` refers to, or None if validation reports it."""
    try:
        return Ref.parse(said, tuple(known)) if isinstance(said, str) else None
    except ValueError:
        return None


def positive(bound: Any) -> bool:
    """Return whether a bound as written requires a number above 0."""
    least = number(bound, "at_least") or number(bound, "equals") or 0
    return least > 0 or (isinstance(bound, int) and bound > 0)


def failed_load(data: Map) -> LoadOutcome | None:
    """Return the expected failure of a load, or None if the item expects no load to fail."""
    outcome = mapping(data, "expect").get("outcome")
    for word in LOAD_OUTCOMES:
        if outcome == word or (isinstance(outcome, Map) and positive(outcome.get(word))):
            return word
    return None
