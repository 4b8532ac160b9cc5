# SPDX-License-Identifier: GPL-2.0-only
"""Find the part of a model that a path of validation leads to."""

from __future__ import annotations

import types
from collections.abc import Iterator
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import Tag

from lab.config.part import Part


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
        if isinstance(candidate, type) and issubclass(candidate, Part):
            yield candidate


def keys_of(model: type[Part]) -> dict[str, Any]:
    """The keys that a model's mapping may have, as written, each with its annotation."""
    return {field.alias or name: field.annotation for name, field in model.model_fields.items()}


def _inside(annotation: Any, element: Any) -> Iterator[Any]:
    for choice in _choices(annotation):
        origin, arguments = get_origin(choice), get_args(choice)
        if isinstance(element, str) and element.startswith("<"):
            if _tag(choice) == element:
                yield choice
        elif origin is tuple and isinstance(element, int):
            yield arguments[0]
        elif origin is dict:
            yield arguments[1]
        else:
            plain = arguments[0] if origin is Annotated else choice
            if isinstance(plain, type) and issubclass(plain, Part) and element in keys_of(plain):
                yield keys_of(plain)[element]


def _choices(annotation: Any) -> Iterator[Any]:
    """The alternatives of a union, tagged ones still with their tag."""
    origin = get_origin(annotation)
    if origin in (Union, types.UnionType):
        for argument in get_args(annotation):
            yield from _choices(argument)
    elif origin is Annotated and _tag(annotation) is None:
        yield from _choices(get_args(annotation)[0])
    elif annotation is not None:
        yield annotation
        if origin is Annotated:
            yield get_args(annotation)[0]


def _tag(annotation: Any) -> str | None:
    if get_origin(annotation) is not Annotated:
        return None
    marks = [mark.tag for mark in annotation.__metadata__ if isinstance(mark, Tag)]
    return marks[0] if marks else None
