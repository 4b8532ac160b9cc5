# SPDX-License-Identifier: GPL-2.0-only
"""Parse Kconfig's expressions (Documentation/kbuild/kconfig-language.rst, "Menu dependencies")."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

Value = Callable[[str], str]

_LEVELS = {"n": 0, "m": 1, "y": 2}
_TOKEN = re.compile(
    r'\s*(&&|\|\||!=|<=|>=|[!=<>()]|"(?:[^"\\]|\\.)*"|\'[^\']*\'|\$\([^()]*(?:\([^()]*\))*[^()]*\)'
    r"|[A-Za-z0-9_.$-]+)"
)


class Expr:
    """An expression over symbols, evaluated by a function from symbol to value."""

    def level(self, value: Value) -> int:
        """Return 0 for n, 1 for m, 2 for y."""
        raise NotImplementedError

    def false_leaves(self, value: Value) -> list[str]:
        """Return the parts that keep the expression from being true; empty if it is true."""
        raise NotImplementedError

    def holds(self, value: Value) -> bool:
        return self.level(value) > 0


@dataclass(frozen=True)
class Symbol(Expr):
    name: str

    def level(self, value: Value) -> int:
        if self.name.startswith("$("):
            # Assume y for a macro: a compiler or a script computes it, not the configuration.
            return 2
        text = self.name if self.name in _LEVELS else value(self.name)
        return _LEVELS.get(text, 0)

    def false_leaves(self, value: Value) -> list[str]:
        return [] if self.holds(value) else [f"CONFIG_{self.name}"]


@dataclass(frozen=True)
class Comparison(Expr):
    left: str
    operator: str
    right: str

    def level(self, value: Value) -> int:
        left, right = _operand(self.left, value), _operand(self.right, value)
        one, other = _number(left), _number(right)
        if one is not None and other is not None:
            order = (one > other) - (one < other)
        else:
            order = (left > right) - (left < right)
        truth = {
            "=": order == 0, "!=": order != 0, "<": order < 0,
            ">": order > 0, "<=": order <= 0, ">=": order >= 0,
        }[self.operator]  # fmt: skip
        return 2 if truth else 0

    def false_leaves(self, value: Value) -> list[str]:
        if self.holds(value):
            return []
        return [f"CONFIG_{self.left}{self.operator}{self.right} (it is {value(self.left)})"]


@dataclass(frozen=True)
class Not(Expr):
    inner: Expr

    def level(self, value: Value) -> int:
        return 2 - self.inner.level(value)

    def false_leaves(self, value: Value) -> list[str]:
        if self.holds(value):
            return []
        if isinstance(self.inner, Symbol):
            return [f"!CONFIG_{self.inner.name} (it is {value(self.inner.name)})"]
        return [f"!({text(self.inner)})"]


@dataclass(frozen=True)
class And(Expr):
    parts: tuple[Expr, ...]

    def level(self, value: Value) -> int:
        return min(part.level(value) for part in self.parts)

    def false_leaves(self, value: Value) -> list[str]:
        return [leaf for part in self.parts for leaf in part.false_leaves(value)]


@dataclass(frozen=True)
class Or(Expr):
    parts: tuple[Expr, ...]

    def level(self, value: Value) -> int:
        return max(part.level(value) for part in self.parts)

    def false_leaves(self, value: Value) -> list[str]:
        if self.holds(value):
            return []
        ways = [" and ".join(part.false_leaves(value)) for part in self.parts]
        return [" or ".join(f"({way})" if " and " in way else way for way in ways)]


def _operand(word: str, value: Value) -> str:
    if word[:1] in "\"'":
        return word[1:-1]
    if word in _LEVELS or not re.match(r"[A-Z]", word):
        return word
    return value(word)


def _number(word: str) -> int | None:
    try:
        return int(word, 0)
    except ValueError:
        return None


def text(expression: Expr) -> str:
    """Return the text of an expression, with CONFIG_ prefixes."""
    match expression:
        case Symbol(name):
            return f"CONFIG_{name}"
        case Comparison(left, operator, right):
            return f"CONFIG_{left}{operator}{right}"
        case Not(inner):
            return f"!{text(inner)}"
        case And(parts):
            return " && ".join(_wrapped(part, Or) for part in parts)
        case Or(parts):
            return " || ".join(text(part) for part in parts)
    raise TypeError(f"not an expression: {expression!r}")


def _wrapped(expression: Expr, kind: type[Expr]) -> str:
    return f"({text(expression)})" if isinstance(expression, kind) else text(expression)


def parse_expr(source: str) -> Expr | None:
    """Parse an expression; return None if it is empty or this parser does not understand it."""
    tokens: list[str] = []
    position = 0
    source = source.strip()
    while position < len(source):
        match = _TOKEN.match(source, position)
        if match is None:
            return None
        tokens.append(match[1])
        position = match.end()
    if not tokens:
        return None
    try:
        reader = _Reader(tokens)
        result = reader.either()
    except (IndexError, ValueError):
        return None
    return result if reader.done else None


class _Reader:
    """Recursive descent: || binds weakest, then &&, then ! and comparisons."""

    def __init__(self, tokens: list[str]) -> None:
        self._tokens = tokens
        self._next = 0

    @property
    def done(self) -> bool:
        return self._next == len(self._tokens)

    def _take(self, *wanted: str) -> str | None:
        if not self.done and self._tokens[self._next] in wanted:
            self._next += 1
            return self._tokens[self._next - 1]
        return None

    def either(self) -> Expr:
        parts = [self.both()]
        while self._take("||"):
            parts.append(self.both())
        return parts[0] if len(parts) == 1 else Or(tuple(parts))

    def both(self) -> Expr:
        parts = [self.single()]
        while self._take("&&"):
            parts.append(self.single())
        return parts[0] if len(parts) == 1 else And(tuple(parts))

    def single(self) -> Expr:
        if self._take("!"):
            return Not(self.single())
        if self._take("("):
            inner = self.either()
            if not self._take(")"):
                raise ValueError("unbalanced")
            return inner
        word = self._word()
        if operator := self._take("=", "!=", "<", ">", "<=", ">="):
            return Comparison(word, operator, self._word())
        return Symbol(word)

    def _word(self) -> str:
        word = self._tokens[self._next]
        if word in ("&&", "||", "!", "(", ")", "=", "!=", "<", ">", "<=", ">="):
            raise ValueError(word)
        self._next += 1
        return word
