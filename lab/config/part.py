# SPDX-License-Identifier: GPL-2.0-only
"""The base of all models of files that people write: strict, frozen, aware of their place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, ClassVar, Literal, Self, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    ModelWrapValidatorHandler,
    PrivateAttr,
    Strict,
    ValidationInfo,
    model_validator,
)
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from lab.config.problems import Problem
from lab.config.yaml_file import Map, Mark, locate

# Scalars as YAML says them: `"5"` is no number, and `1` is no truth value.
Int = Annotated[int, Strict()]
Float = Annotated[float, Strict(), Field(allow_inf_nan=False)]
Bool = Annotated[bool, Strict()]
Text = Annotated[str, Field(min_length=1)]


@dataclass(frozen=True)
class Where:
    """A place in a file; line and column count from 1, 0 where there is no file."""

    file: str = ""
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" if self.line else "(no file)"


def flaw(message: str) -> PydanticCustomError:
    """Return an error of validation whose message the user sees as it is."""
    # Without a context nothing is replaced in it: braces stay as they are.
    return PydanticCustomError("lab", message)


class Part(BaseModel):
    """A mapping of a file: frozen, strict about its keys, and aware of its place.

    Two parts are equal if their values are, wherever they stand.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    _where: Where = PrivateAttr(default_factory=Where)
    # The mapping that it was made from, which knows the place of each key and value.
    _mapping: Map = PrivateAttr(default_factory=Map)

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.__dict__ == other.__dict__

    def __hash__(self) -> int:
        return hash((type(self), *self.__dict__.values()))

    @property
    def where(self) -> Where:
        """Return the position of the part in its file."""
        return self._where

    def problem_at(self, message: str, *loc: str | int, key: bool = False) -> Problem:
        """Return a problem with the value at path `loc` of this part, or with its `key`.

        It stands at the deepest element of the path that the file has.
        """
        mark = locate(self._mapping, loc, key=key)
        return Problem(self._where.file, mark.line, mark.column, message)

    def moved(self, where: Where) -> Self:
        """Return the same part at another position: that of the short form that it replaces."""
        self._where = where
        return self

    @model_validator(mode="wrap")
    @classmethod
    def _place(
        cls, data: Any, handler: ModelWrapValidatorHandler[Self], info: ValidationInfo
    ) -> Self:
        part = handler(data)
        if isinstance(data, Map):
            part._where = where_of(data.mark, info)
            part._mapping = data
        return part


class Abbreviated(Part):
    """A part that a lone text may stand for: the value of its key `lone`."""

    lone: ClassVar[str]

    @model_validator(mode="before")
    @classmethod
    def _long(cls, data: Any) -> Any:
        return {cls.lone: data} if isinstance(data, str) else data

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        long_form = handler.resolve_ref_schema(handler(schema))
        return {"anyOf": [long_form["properties"][cls.lone], long_form]}


def where_of(mark: Mark, info: ValidationInfo) -> Where:
    file = info.context.get("file", "") if info.context else ""
    return Where(file, mark.line, mark.column)


def kinds_of(union: UnionType, key: Literal["kind", "verb"]) -> dict[str, type[Part]]:
    """Return the parts of a union by their `kind` or `verb`, in the union's order."""
    return {getattr(part, key): part for part in get_args(union)}


# Compared by identity, because annotations have to be hashable.
@dataclass(frozen=True, eq=False)
class OneOf:
    """Says of a union of parts: the key that a mapping has tells which part it is.

    `kinds` are the parts by that key, `name` is the one word for all of them in errors.
    """

    name: str
    kinds: Mapping[str, type[Part]]

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.tagged_union_schema(
            {_tag(kind): handler.generate_schema(part) for kind, part in self.kinds.items()},
            self._tag_of,
            custom_error_type=f"no_{self.name}",
            custom_error_message=f"no known kind of {self.name}",
        )

    def part(self, tag: object) -> type[Part] | None:
        """Return the part that a tag in an error's path stands for."""
        return next((part for kind, part in self.kinds.items() if _tag(kind) == tag), None)

    def _tag_of(self, data: Any) -> str | None:
        if isinstance(data, dict):
            return next((_tag(kind) for kind in self.kinds if kind in data), None)
        return next(
            (_tag(kind) for kind, part in self.kinds.items() if isinstance(data, part)), None
        )


def _tag(kind: str) -> str:
    # No key of a scenario has angle brackets: none is mistaken for the tag in an error's path.
    return f"<{kind}>"
