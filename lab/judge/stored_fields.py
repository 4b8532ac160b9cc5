# SPDX-License-Identifier: GPL-2.0-only
"""Fields of an observation that JSON has no form of its own for.

Plain code sees the plain types. `lab.judge.stored` writes and reads them through pydantic,
with the scenario's steps as the context: a stored result has its step's number.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import (
    PlainSerializer,
    PlainValidator,
    SerializationInfo,
    ValidationInfo,
)

from lab.errors import InfraError
from lab.scenario.model.base import Ref
from lab.scenario.model.steps import BaseStep

_MapValues = dict[Ref, dict[int | str, int | None]]


def _steps(info: SerializationInfo | ValidationInfo) -> Sequence[BaseStep]:
    assert isinstance(info.context, dict)
    steps: Sequence[BaseStep] = info.context["steps"]
    return steps


def _step_number(step: BaseStep, info: SerializationInfo) -> int:
    return next(number for number, one in enumerate(_steps(info)) if one is step)


def _step(value: Any, info: ValidationInfo) -> BaseStep:
    steps = _steps(info)
    if not isinstance(value, int) or not 0 <= value < len(steps):
        raise ValueError(f"there is no step {value!r}")
    return steps[value]


def _map_rows(maps: _MapValues) -> list[Any]:
    # Keys are numbers or texts, and JSON would make texts of all.
    return [[ref.extension, ref.name, list(keys.items())] for ref, keys in maps.items()]


def _maps(rows: Any) -> _MapValues:
    return {
        Ref(str(extension), str(name)): {_key(key): _count(value) for key, value in keys}
        for extension, name, keys in rows
    }


def _key(value: Any) -> int | str:
    if not isinstance(value, int | str):
        raise ValueError(f"no key of a map: {value!r}")
    return value


def _count(value: Any) -> int | None:
    if value is not None and not isinstance(value, int):
        raise ValueError(f"no value of a map: {value!r}")
    return value


def _error_parts(error: InfraError | None) -> dict[str, str] | None:
    if error is None:
        return None
    return {"message": error.message, "hint": error.hint, "details": error.details}


def _error(parts: Any) -> InfraError | None:
    if parts is None:
        return None
    return InfraError(str(parts["message"]), hint=str(parts["hint"]), details=str(parts["details"]))


Step = Annotated[BaseStep, PlainValidator(_step), PlainSerializer(_step_number)]
MapValues = Annotated[_MapValues, PlainValidator(_maps), PlainSerializer(_map_rows)]
StoredError = Annotated[InfraError | None, PlainValidator(_error), PlainSerializer(_error_parts)]
