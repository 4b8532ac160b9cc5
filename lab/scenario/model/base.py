# SPDX-License-Identifier: GPL-2.0-only
"""Bounds, names, patterns and references that the parts of the model share."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    GetJsonSchemaHandler,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import CoreSchema

from lab.config.part import Float, Int, Part, Text, flaw

# Names become parts of paths, options and pytest's markers, hence the plain first character.
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

# The sysctl of the budget of a run of a Rust program, in ms.
BUDGET = "kernel.rex.budget_ms"

# The meanings of the patterns, for errors.
PATTERNS = {
    NAME: "a name: use letters, digits, '-' and '_'; the first is a letter or digit",
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


# To the user this is one type, not a choice between types, and errors describe it so.
Number = Annotated[int | float, BeforeValidator(_number), WithJsonSchema({"type": "number"})]
Scalar = Annotated[
    bool | int | float | str,
    BeforeValidator(_scalar),
    WithJsonSchema({"type": ["string", "number", "boolean"]}),
]


class Bound(Part):
    """The limits of a number. A bare number in YAML means `equals`."""

    at_least: Number | None = None
    at_most: Number | None = None
    equals: Number | None = None

    def holds(self, value: float) -> bool:
        """Return whether `value` is within the bound."""
        return (
            (self.equals is None or value == self.equals)
            and (self.at_least is None or value >= self.at_least)
            and (self.at_most is None or value <= self.at_most)
        )

    def describe(self) -> str:
        """Return the bound in words: `100`, `at least 1`, `2 to 5`."""
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
        """True if 0 is not within the bound."""
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
            raise flaw("equals excludes at_least and at_most: give it alone")
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
    """Return the bound of a value that must be `number` or more."""
    return Bound(at_least=number)


def equals(number: int | float) -> Bound:
    """Return the bound of a value that must be exactly `number`."""
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
        """Parse EXTENSION.NAME; with one extension in `extensions`, `text` may be only the name.

        Raises `ValueError` if `text` is malformed or does not name the extension.
        """
        extension, dot, name = text.partition(".")
        # A map may be called `.bss`, so a leading dot belongs to the name.
        if dot and extension and name:
            return cls(extension, name)
        if not text or (dot and not name):
            raise ValueError("expected EXTENSION.NAME")
        if len(extensions) == 1:
            return cls(extensions[0], text)
        known = ", ".join(f"'{name}.{text}'" for name in extensions[:4])
        choices = f": write one of {known}" if known else ""
        raise ValueError(f"'{text}' does not name its extension{choices}")


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
    """Return a lone text as a list of one, and other values unchanged."""
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
