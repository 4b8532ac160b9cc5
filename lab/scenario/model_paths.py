# SPDX-License-Identifier: GPL-2.0-only
"""Which part of the model a path of validation leads to."""

from __future__ import annotations

import types
from collections.abc import Iterator
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from lab.scenario.model.base import OneOf, Part


def model_at(root: type[Part], loc: tuple[Any, ...]) -> type[Part] | None:
    """The model of the mapping at path `loc`, None if it is no mapping with set keys."""
    found: Any = root
    for element in loc:
        found = next(_inside(found, element), None)
    for candidate in _choices(found):
        if isinstance(candidate, type) and issubclass(candidate, Part):
            return candidate
    return None


def keys_of(model: type[Part]) -> dict[str, Any]:
    """The keys that a model's mapping may have, as written, each with its annotation."""
    return {field.alias or name: _annotation(field) for name, field in model.model_fields.items()}


def _annotation(field: FieldInfo) -> Any:
    # The model keeps the type of `Annotated` and the rest apart.
    union = next((mark for mark in field.metadata if isinstance(mark, OneOf)), None)
    return field.annotation if union is None else Annotated[field.annotation, union]


def _inside(annotation: Any, element: Any) -> Iterator[Any]:
    for choice in _choices(annotation):
        origin, arguments = get_origin(choice), get_args(choice)
        if (union := _one_of(choice)) is not None:
            if (part := union.part(element)) is not None:
                yield part
        elif origin is tuple and isinstance(element, int):
            yield arguments[0]
        elif origin is dict:
            yield arguments[1]
        elif isinstance(choice, type) and issubclass(choice, Part) and element in keys_of(choice):
            yield keys_of(choice)[element]


def _choices(annotation: Any) -> Iterator[Any]:
    """The alternatives of a union; one whose parts have tags is left whole."""
    origin = get_origin(annotation)
    if origin in (Union, types.UnionType):
        for argument in get_args(annotation):
            yield from _choices(argument)
    elif origin is Annotated and _one_of(annotation) is None:
        yield from _choices(get_args(annotation)[0])
    elif annotation is not None:
        yield annotation


def _one_of(annotation: Any) -> OneOf | None:
    if get_origin(annotation) is not Annotated:
        return None
    return next((mark for mark in annotation.__metadata__ if isinstance(mark, OneOf)), None)
