# SPDX-License-Identifier: GPL-2.0-only
"""Stored observations: written with a dossier, and judged again without a virtual machine."""

from __future__ import annotations

import functools
import hashlib
import json
from typing import Any

from pydantic import TypeAdapter, ValidationError

from lab.errors import UserError
from lab.judge.observation import Observation
from lab.scenario.items import Item
from lab.scenario.model.expect import Expect

# Raised when a reader of an older version would misread a newer observation.
VERSION = 1


@functools.cache
def _adapter() -> TypeAdapter[Observation]:
    return TypeAdapter(Observation)


def to_json(seen: Observation, item: Item) -> str:
    """Return an observation of an item as one line of JSON, in ASCII."""
    steps = item.scenario.all_steps()
    data = _adapter().dump_python(seen, mode="json", context={"steps": steps}, fallback=str)
    document = {"version": VERSION, "item": item.id, "ran": what_ran(item), "observation": data}
    return json.dumps(document)


def what_ran(item: Item) -> str:
    """Return a digest of all that decides what an item does, so without its expectations."""
    scenario = item.scenario
    done = {
        "steps": [_without_expect(step.model_dump(mode="json")) for step in scenario.steps],
        **scenario.model_dump(
            mode="json", include={"machine", "extensions", "background", "timeout"}
        ),
        "flavor": item.flavor,
    }
    return hashlib.sha256(json.dumps(done, sort_keys=True).encode()).hexdigest()


def _without_expect(part: Any) -> Any:
    if isinstance(part, dict):
        return {key: _without_expect(one) for key, one in part.items() if key != "expect"}
    return [_without_expect(one) for one in part] if isinstance(part, list) else part


def from_json(text: str, item: Item) -> Observation:
    """Return the observation of an item from its JSON.

    Raises `UserError` if the text is not one of this version, or belongs to another item, if
    the item does something else now, or if it expects what its run did not read.
    """
    data = _parsed(text)
    if data["item"] != item.id:
        raise UserError(
            f"the stored observation is of {data['item']}, not of {item.id}",
            hint="judge it with the scenario that it comes from",
        )
    steps = item.scenario.all_steps()
    if data["ran"] != what_ran(item):
        raise UserError(
            f"{item.scenario.path}: the item is not the one that ran: it does something else now",
            hint="only 'expect' may change before an observation is judged again, and not so "
            "that the lab does other steps; run the scenario for the rest",
        )
    try:
        seen = _adapter().validate_python(data["observation"], context={"steps": steps})
    except (ValidationError, TypeError, KeyError, ValueError) as error:
        raise UserError(
            "the stored observation is damaged", details=str(error), hint="run the scenario again"
        ) from error
    missing = _not_observed(item.scenario.expect, seen)
    if missing and seen.infra_error is None and seen.state == "alive":
        raise UserError(
            f"{item.scenario.path}: it expects something that was not observed: "
            f"{', '.join(missing)}",
            hint="run the scenario",
        )
    return seen


def _not_observed(expect: Expect, seen: Observation) -> list[str]:
    """Return the keys of an expectation for which a run reads more, and this one did not."""
    if seen.first.interrupted:
        return []  # whatever was not read is a finding
    loaded = {ref.extension for ref in seen.first.programs.values()}
    found = [
        f"maps ({ref}[{key}])"
        for ref, keys in expect.maps.items()
        for key in keys
        if ref.extension in loaded and key not in seen.first.maps.get(ref, {})
    ]
    if expect.reusable and seen.second is None:
        found.append("reusable")
    if expect.received is not None and seen.first.received is None:
        found.append("received")
    if expect.slopes and not seen.first.gauges:
        found.append("slopes")
    return found


def item_id(text: str) -> str:
    """Return the id of the item that a stored observation belongs to; errors of `from_json`."""
    return str(_parsed(text)["item"])


def _parsed(text: str) -> dict[str, Any]:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"this is no stored observation: {error}") from error
    if not isinstance(data, dict) or not {"item", "ran", "observation"} <= data.keys():
        raise UserError(
            "this is no stored observation", hint="observation.json of a dossier is one"
        )
    if data.get("version") != VERSION:
        raise UserError(
            f"the stored observation has version {data.get('version')}, not {VERSION}",
            hint="run the scenario again, or judge it with the lab that wrote it",
        )
    return data
