# SPDX-License-Identifier: GPL-2.0-only
"""The base of all models of files that people write: strict, frozen, aware of their place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    ModelWrapValidatorHandler,
    PrivateAttr,
    Strict,
    ValidationInfo,
    model_validator,
)
from pydantic_core import CoreSchema, PydanticCustomError

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
    """An error of validation whose message is meant for the user as it is."""
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
        """Where the part stands in its file."""
        return self._where

    def problem_at(self, message: str, *loc: str | int, key: bool = False) -> Problem:
        """Return a problem with the value at path `loc` of this part, or with its `key`.

        It stands at the deepest element of the path that the file has.
        """
        mark = locate(self._mapping, loc, key=key)
        return Problem(self._where.file, mark.line, mark.column, message)

    def moved(self, where: Where) -> Self:
        """The same part, said to stand elsewhere: for what a short form stands for."""
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


def tagged(kinds: dict[str, type[Part]]) -> Callable[[Any], str | None]:
    """Tells which kind of part a mapping is, by which of the kinds' own keys it has.

    The tag is in angle brackets, so that no key of a file is mistaken for it.
    """

    def tag(data: Any) -> str | None:
        if isinstance(data, dict):
            return next((f"<{kind}>" for kind in kinds if kind in data), None)
        for kind, model in kinds.items():
            if isinstance(data, model):
                return f"<{kind}>"
        return None

    return tag
