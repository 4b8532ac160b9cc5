# SPDX-License-Identifier: GPL-2.0-only
"""What all parts of the model share: places, bounds, names and references."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, ClassVar, Literal, Self, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    ModelWrapValidatorHandler,
    PrivateAttr,
    Strict,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from lab.config.yaml_file import Map, Mark

# Parts of paths, of options and of pytest's markers, hence the plain beginning.
NAME = r"^[a-zA-Z0-9][a-zA-Z0-9_-]*$"
IDENTIFIER = r"^[a-zA-Z_][a-zA-Z0-9_]*$"
FLAVOR = r"^[a-zA-Z0-9_.-]+$"
ARGUMENT = r"^\S+$"
SYSCTL = r"^[\w./*-]+$"
BPF_PATH = r"^/sys/fs/bpf/[\w/.-]+$"
ERRNO = r"^E[A-Z0-9]+$"
HEX_BYTES = r"^([0-9a-fA-F]{2})+$"
SYSRQ_KEY = r"^[0-9a-z]$"
_BYTE = r"(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
IPV4 = rf"^{_BYTE}\.{_BYTE}\.{_BYTE}\.{_BYTE}$"
ABSOLUTE = r"^/\S+$"

# What a run of a Rust program may take, in ms.
BUDGET = "kernel.rex.budget_ms"

# What the patterns mean, for errors.
PATTERNS = {
    NAME: "a name: use letters, digits, '-' and '_', a letter or digit first",
    IDENTIFIER: "a name: use letters, digits and '_'",
    FLAVOR: "the name of a kernel flavor",
    ARGUMENT: "one boot argument: no spaces in it",
    SYSCTL: "the name of a sysctl",
    BPF_PATH: "a path below /sys/fs/bpf/",
    ERRNO: "the name of an errno, such as EINVAL",
    HEX_BYTES: "bytes in hex, such as '00ff'",
    SYSRQ_KEY: "a SysRq key: one letter or digit",
    IPV4: "an IPv4 address, such as 10.0.0.2",
    ABSOLUTE: "an absolute path without spaces",
}

# Scalars as YAML says them: `"5"` is no number, and `1` is no truth value.
Int = Annotated[int, Strict()]
Float = Annotated[float, Strict(), Field(allow_inf_nan=False)]
Bool = Annotated[bool, Strict()]
Text = Annotated[str, Field(min_length=1)]
Name = Annotated[str, Field(pattern=NAME, max_length=64)]
Count = Annotated[Int, Field(ge=1, le=1_000_000_000)]
Cpu = Annotated[Int, Field(ge=0, le=255)]
Seconds = Annotated[Float, Field(gt=0, le=86_400)]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _number(value: Any) -> Any:
    if not _is_number(value):
        raise flaw("expected a number")
    return value


def _scalar(value: Any) -> Any:
    if not isinstance(value, bool | int | float | str):
        raise flaw("expected text, a number, true or false")
    return value


# One type to the user, not a choice between types: so is what the errors say.
Number = Annotated[int | float, BeforeValidator(_number), WithJsonSchema({"type": "number"})]
Scalar = Annotated[
    bool | int | float | str,
    BeforeValidator(_scalar),
    WithJsonSchema({"type": ["string", "number", "boolean"]}),
]


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
    # Braces would be taken for a template.
    return PydanticCustomError("lab", message.replace("{", "{{").replace("}", "}}"))


class Part(BaseModel):
    """A part of a scenario: frozen, strict about its keys, and aware of its place."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    _where: Where = PrivateAttr(default_factory=Where)

    @property
    def where(self) -> Where:
        """Where the part stands in its file."""
        return self._where

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


class Bound(Part):
    """What a number has to be. A bare number in YAML means `equals`."""

    at_least: Number | None = None
    at_most: Number | None = None
    equals: Number | None = None

    def holds(self, value: float) -> bool:
        """Whether `value` is within the bound."""
        return (
            (self.equals is None or value == self.equals)
            and (self.at_least is None or value >= self.at_least)
            and (self.at_most is None or value <= self.at_most)
        )

    def describe(self) -> str:
        """The bound in words: `100`, `at least 1`, `2 to 5`."""
        if self.equals is not None:
            return f"{self.equals}"
        if self.at_least is not None and self.at_most is not None:
            return f"{self.at_least} to {self.at_most}"
        return f"at least {self.at_least}" if self.at_most is None else f"at most {self.at_most}"

    @property
    def numbers(self) -> tuple[int | float, ...]:
        """The numbers that the bound names."""
        named = (self.at_least, self.at_most, self.equals)
        return tuple(number for number in named if number is not None)

    @property
    def positive(self) -> bool:
        """Whether the bound asks for more than nothing, so that 0 does not hold."""
        return not self.holds(0)

    @model_validator(mode="before")
    @classmethod
    def _short(cls, data: Any) -> Any:
        if _is_number(data):
            return {"equals": data}
        if not isinstance(data, dict | Bound):
            raise flaw("expected a number, or a mapping with at_least, at_most or equals")
        return data

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not self.numbers:
            raise flaw("an empty bound: give at_least, at_most or equals")
        if self.equals is not None and len(self.numbers) > 1:
            raise flaw("equals leaves nothing to at_least and at_most: give it alone")
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            raise flaw(f"no number is at least {self.at_least} and at most {self.at_most}")
        return self

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        long_form = handler.resolve_ref_schema(handler(schema))
        long_form["minProperties"] = 1
        return {"anyOf": [{"type": "number"}, long_form]}


def at_least(number: int | float) -> Bound:
    """The bound of what has to be `number` or more."""
    return Bound(at_least=number)


def equals(number: int | float) -> Bound:
    """The bound of what has to be just `number`."""
    return Bound(equals=number)


def _counting(bound: Bound) -> Bound:
    if any(number < 0 or number != int(number) for number in bound.numbers):
        raise flaw("expected whole numbers that are not negative: this is a count")
    return bound


def _timing(bound: Bound) -> Bound:
    if any(number < 0 for number in bound.numbers):
        raise flaw("a time can't be negative")
    return bound


CountBound = Annotated[Bound, AfterValidator(_counting)]
TimeBound = Annotated[Bound, AfterValidator(_timing)]


@dataclass(frozen=True, order=True)
class Ref:
    """A program or a map of an extension: `a.counts`."""

    extension: str
    name: str

    def __str__(self) -> str:
        return f"{self.extension}.{self.name}"

    @classmethod
    def parse(cls, text: str, extensions: tuple[str, ...]) -> Ref:
        """The reference `text` says; with one extension its name may be left out."""
        extension, dot, name = text.partition(".")
        # A map may be called `.bss`, so a leading dot belongs to the name.
        if dot and extension and name:
            return cls(extension, name)
        if not text or (dot and not name):
            raise ValueError("expected EXTENSION.NAME")
        if len(extensions) == 1:
            return cls(extensions[0], text)
        known = ", ".join(f"'{name}.{text}'" for name in extensions[:4])
        raise ValueError(f"'{text}' of which extension?" + (f" Say {known}" if known else ""))


def _ref(value: Any, info: ValidationInfo) -> Ref:
    if isinstance(value, Ref):
        return value
    if not isinstance(value, str):
        raise flaw("expected EXTENSION.NAME, or NAME if there is one extension")
    try:
        return Ref.parse(value, info.context.get("extensions", ()) if info.context else ())
    except ValueError as error:
        raise flaw(str(error)) from None


ProgramRef = Annotated[
    Ref, BeforeValidator(_ref), WithJsonSchema({"type": "string", "minLength": 1})
]
MapRef = Annotated[Ref, BeforeValidator(_ref), WithJsonSchema({"type": "string", "minLength": 1})]


def _in_map(what: str) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        if isinstance(value, str) and re.fullmatch(r"0x([0-9a-fA-F]{2})+", value):
            return value
        raise flaw(f"a map's {what} is a whole number, or its bytes as text such as '0x0a0000ff'")

    return check


_IN_MAP = WithJsonSchema(
    {
        "anyOf": [
            {"type": "integer"},
            {"type": "string", "pattern": "^(-?[0-9]+|0x([0-9a-fA-F]{2})+)$"},
        ]
    }
)
MapKey = Annotated[int | str, BeforeValidator(_in_map("key")), _IN_MAP]
MapValue = Annotated[int | str, BeforeValidator(_in_map("value")), _IN_MAP]


def _regex(pattern: str) -> str:
    try:
        re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        raise flaw(f"not a regular expression: {error}") from None
    return pattern


Regex = Annotated[Text, AfterValidator(_regex)]


def one_or_many(value: Any) -> Any:
    """A lone text where a list of texts may stand is a list of one."""
    return (value,) if isinstance(value, str) else value


Texts = Annotated[
    tuple[Text, ...],
    BeforeValidator(one_or_many),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "minLength": 1},
                {"type": "array", "items": {"type": "string", "minLength": 1}},
            ]
        }
    ),
]


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
