# SPDX-License-Identifier: GPL-2.0-only
"""Stored observations: written with a dossier, and judged again without a virtual machine."""

from __future__ import annotations

import functools
import json
from typing import Any

from pydantic import TypeAdapter, ValidationError

from lab.errors import UserError
from lab.judge.observation import Observation
from lab.scenario.items import Item

# Raised when a reader of an older version would misread a newer observation.
VERSION = 1


@functools.cache
def _adapter() -> TypeAdapter[Observation]:
    return TypeAdapter(Observation)


def to_json(seen: Observation, item: Item) -> str:
    """Return an observation of an item as one line of JSON, in ASCII."""
    steps = item.scenario.all_steps()
    data = _adapter().dump_python(seen, mode="json", context={"steps": steps}, fallback=str)
    labels = [step.label for step in steps]
    return json.dumps({"version": VERSION, "item": item.id, "steps": labels, "observation": data})


def from_json(text: str, item: Item) -> Observation:
    """Return the observation of an item from its JSON.

    Raises `UserError` if the text is not one of this version, or belongs to another item, or
    if the scenario has other steps now: a stored result is about one of the steps that ran.
    """
    data = _parsed(text)
    if data["item"] != item.id:
        raise UserError(
            f"the stored observation is of {data['item']}, not of {item.id}",
            hint="judge it with the scenario that it comes from",
        )
    steps = item.scenario.all_steps()
    if data["steps"] != [step.label for step in steps]:
        raise UserError(
            f"{item.scenario.path}: the steps are not those that ran",
            hint="only 'expect' may change before an observation is judged again; "
            "run the scenario for the rest",
        )
    try:
        return _adapter().validate_python(data["observation"], context={"steps": steps})
    except (ValidationError, TypeError, KeyError, ValueError) as error:
        raise UserError(
            "the stored observation is damaged", details=str(error), hint="run the scenario again"
        ) from error


def item_id(text: str) -> str:
    """Return the id of the item that a stored observation belongs to; errors of `from_json`."""
    return str(_parsed(text)["item"])


def _parsed(text: str) -> dict[str, Any]:
    try:
        data = json.loads(text)
    except ValueError as error:
        raise UserError(f"this is no stored observation: {error}") from error
    if not isinstance(data, dict) or not {"item", "steps", "observation"} <= data.keys():
        raise UserError(
            "this is no stored observation", hint="observation.json of a dossier is one"
        )
    if data.get("version") != VERSION:
        raise UserError(
            f"the stored observation has version {data.get('version')}, not {VERSION}",
            hint="run the scenario again, or judge it with the lab that wrote it",
        )
    return data
