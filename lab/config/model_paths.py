# SPDX-License-Identifier: GPL-2.0-only
"""Find the part of a model that a path of validation leads to."""

from __future__ import annotations

import types
from collections.abc import Iterator
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from lab.config.part import OneOf, Part


def model_at(root: type[Part], loc: tuple[Any, ...]) -> type[Part] | None:
    """Return the model of the mapping at path `loc`; None if it is no mapping with set keys.

    Of several kinds of mapping that may stand there it is the first.
    """
    return next(models_at(root, loc), None)


def models_at(root: type[Part], loc: tuple[Any, ...]) -> Iterator[type[Part]]:
    """Yield the models of all kinds of mapping that may stand at path `loc`."""
    found: Any = root
    for element in loc:
        found = next(_inside(found, element), None)
    for candidate in _choices(found):
        if (union := _one_of(candidate)) is not None:
            yield from union.kinds.values()
        elif isinstance(candidate, type) and issubclass(candidate, Part):
            yield candidate


def keys_of(model: type[Part]) -> dict[str, Any]:
    """Return the keys that a model's mapping may have, as written, each with its annotation."""
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
    """Yield the alternatives of a union; do not take one apart whose parts have tags."""
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
