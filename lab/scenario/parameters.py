# SPDX-License-Identifier: GPL-2.0-only
"""Parameters: read the sets of values of a file, and insert one set into its data.

`${depth}` stands for the value of `depth`. A text that consists only of it takes the
value with its type, so `times: ${depth}` gets a number. `$${` stands for `${`.
"""

from __future__ import annotations

import itertools
import re
from typing import Any

from lab.config.suggest import did_you_mean
from lab.config.yaml_file import Flaw, Map, Mark, Seq, transform

# More items than this from one file are a mistake, such as a range written by hand.
MAX_SETS = 500
_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*\Z")
_USE = re.compile(r"\$(\$)?\{([^{}]*)\}")
# Keys that determine the items, and so can't depend on an item.
_FIXED = ("name", "property", "tags", "kernels")

Values = dict[str, Any]


def grid(data: Map, flaws: list[Flaw]) -> list[Values]:
    """Return the sets of values, in the order of their items; one empty set without parameters.

    `parameters` is a mapping of lists (every combination; the last name varies
    fastest) or a list of mappings (exactly those sets). Adds to `flaws`.
    """
    written = data.get("parameters")
    if "parameters" not in data:
        return [{}]
    at = data.values_at["parameters"]
    before = len(flaws)
    sets: list[Values] = []
    if isinstance(written, Map) and written:
        lists = [_list(written, name, flaws) for name in written]
        size = 1
        for values in lists:
            size *= len(values)
        if size > MAX_SETS:
            flaws.append(Flaw(at, f"{size} sets of parameters: the maximum is {MAX_SETS}"))
        elif len(flaws) == before:
            sets = [dict(zip(written, row, strict=True)) for row in itertools.product(*lists)]
    elif isinstance(written, Seq) and written:
        sets = _rows(written, flaws)
    else:
        flaws.append(Flaw(at, "expected parameters: a mapping of names to lists of values"))
    return sets if sets and len(flaws) == before else [{}]


def as_text(value: Any) -> str:
    """Return a value as text, as texts of the file and the ID of an item have it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def put_in(data: Map, values: Values, flaws: list[Flaw], unsure: set[Mark]) -> Map:
    """Return a copy of the file's data with the values inserted, except in `parameters`.

    Adds to `flaws`, and adds places with unknown values to `unsure`.
    """
    used: set[str] = set()
    declared = _declared(data.get("parameters"))

    def scalar(value: Any, mark: Mark) -> Any:
        if not isinstance(value, str) or "${" not in value:
            return value
        whole = _USE.fullmatch(value)
        if whole and not whole[1] and whole[2] in values:
            used.add(whole[2])
            return values[whole[2]]

        def replace(match: re.Match[str]) -> str:
            if match[1]:
                return "${" + match[2] + "}"
            if match[2] in values:
                used.add(match[2])
                return as_text(values[match[2]])
            unsure.add(mark)
            if match[2] not in declared:
                meant = did_you_mean(match[2], declared)
                own = f"(for the text itself write '${match[0]}')"
                flaws.append(Flaw(mark, f"'{match[0]}' names no parameter{meant} {own}"))
            return match[0]

        return _USE.sub(replace, value)

    filled = Map(data.mark)
    for key, value in data.items():
        at = data.values_at[key]
        if key == "parameters":
            new = value
        elif key in _FIXED:
            new = value
            unsure |= _refuse(key, value, at, flaws)
        else:
            new = transform(value, scalar, at)
        filled.put(key, new, data.keys_at[key], at)
    for name in values:
        if name not in used:
            flaws.append(Flaw(_named_at(data, name), f"the parameter '{name}' is never used"))
    return filled


def _list(written: Map, name: Any, flaws: list[Flaw]) -> list[Any]:
    values, at = written[name], written.values_at[name]
    _check_name(name, written.keys_at[name], flaws)
    if not isinstance(values, Seq) or not values:
        flaws.append(Flaw(at, f"expected a list of values, such as {name}: [1, 8]"))
        return []
    seen: set[str] = set()
    for value, value_at in zip(values, values.items_at, strict=True):
        if _check_value(value, value_at, flaws) and as_text(value) in seen:
            flaws.append(Flaw(value_at, f"the value {as_text(value)} is given twice"))
        seen.add(as_text(value))
    return list(values)


def _rows(written: Seq, flaws: list[Flaw]) -> list[Values]:
    if len(written) > MAX_SETS:
        flaws.append(
            Flaw(written.mark, f"{len(written)} sets of parameters: the maximum is {MAX_SETS}")
        )
        return []
    seen: set[str] = set()
    names: list[Any] | None = None
    for row, at in zip(written, written.items_at, strict=True):
        if not isinstance(row, Map) or not row:
            flaws.append(Flaw(at, "expected a mapping of names to values, such as {depth: 1}"))
            continue
        for name, value in row.items():
            _check_name(name, row.keys_at[name], flaws)
            _check_value(value, row.values_at[name], flaws)
        names = names or list(row)
        if sorted(map(str, row)) != sorted(map(str, names)):
            says = ", ".join(str(name) for name in names)
            flaws.append(Flaw(at, f"expected the parameters of the first set: {says}"))
            continue
        key = "\n".join(as_text(row[name]) for name in names)
        if key in seen:
            flaws.append(Flaw(at, "this set of values is given twice"))
        seen.add(key)
    return [
        {name: row[name] for name in names or ()}
        for row in written
        if isinstance(row, Map) and names and set(row) == set(names)
    ]


def _check_name(name: Any, at: Mark, flaws: list[Flaw]) -> None:
    if not isinstance(name, str) or not _NAME.match(name):
        flaws.append(Flaw(at, f"'{name}' can't name a parameter: use letters, digits and '_'"))


def _check_value(value: Any, at: Mark, flaws: list[Flaw]) -> bool:
    if not isinstance(value, str | int | float):
        flaws.append(Flaw(at, "a parameter's value is text, a number, true or false"))
        return False
    if isinstance(value, str) and "${" in value:
        flaws.append(Flaw(at, "a parameter's value can't name another parameter"))
        return False
    return True


def _refuse(key: str, value: Any, at: Mark, flaws: list[Flaw]) -> set[Mark]:
    refused: set[Mark] = set()

    def scalar(text: Any, mark: Mark) -> Any:
        if isinstance(text, str) and "${" in text:
            refused.add(mark)
            flaws.append(Flaw(mark, f"'{key}' can't contain parameters"))
        return text

    transform(value, scalar, at)
    return refused


def _declared(written: Any) -> list[str]:
    """Return the names of all parameters, also of those with malformed values."""
    holders = written if isinstance(written, Seq) else [written]
    found = [name for holder in holders if isinstance(holder, Map) for name in holder]
    return [name for name in dict.fromkeys(found) if isinstance(name, str)]


def _named_at(data: Map, name: str) -> Mark:
    written = data["parameters"]
    holder = written[0] if isinstance(written, Seq) else written
    mark: Mark = holder.keys_at[name]
    return mark
