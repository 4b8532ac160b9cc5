# SPDX-License-Identifier: GPL-2.0-only
"""Check that docstrings, comments and messages of the lab are in plain English.

See "Rules" in CONTRIBUTING.md: a docstring of a function begins with a verb in the imperative.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

LAB = Path(__file__).resolve().parents[2] / "lab"

NOUN_CLAUSE = ("How", "What", "When", "Where", "Whether", "Which", "Who", "Whoever", "Whose", "Why")
# Properties are described by noun phrases, functions are not.
NOUN_PHRASE = ("A", "All", "An", "Any", "Each", "Every", "Its", "No", "One", "Some", "The", "Their")
FORBIDDEN = re.compile(
    r"\b(anew|beside|by itself|by himself|mend|mends|mended|nobody(?! cared)|somebody|so many|"
    r"told (?:of|for)|whoever)\b",
    re.IGNORECASE,
)
DECORATORS_OF_DATA = ("property", "cached_property", "setter")

Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def files() -> list[Path]:
    """Return the files of the lab whose prose is checked."""
    return sorted(LAB.rglob("*.py"))


def is_data(node: Documented) -> bool:
    """Return whether a node is no function, or a property."""
    if isinstance(node, ast.Module | ast.ClassDef):
        return True
    names = {ast.unparse(one).rpartition(".")[2] for one in node.decorator_list}
    return not names.isdisjoint(DECORATORS_OF_DATA)


def wrong_start(text: str, data: bool) -> bool:
    """Return whether a docstring begins with a noun clause, or a function's with a noun."""
    word = re.split(r"\W", text, maxsplit=1)[0]
    return word in NOUN_CLAUSE or (not data and word in NOUN_PHRASE) or word[:1].islower()


def bad_docstrings(source: str) -> Iterator[tuple[int, str]]:
    """Yield line number and first line of each docstring with a wrong start."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, Documented):
            continue
        text = ast.get_docstring(node)
        if text and wrong_start(text, is_data(node)):
            line = 1 if isinstance(node, ast.Module) else node.lineno
            yield line, text.splitlines()[0]


def prose(source: str) -> Iterator[tuple[int, str]]:
    """Yield line number and text of each comment and of each string with more than one word."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT or (
            token.type in STRINGS and len(token.string.split()) > 1
        ):
            yield token.start[0], token.string


STRINGS = {tokenize.STRING, getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING)}


def name(path: Path) -> str:
    """Return a path as pytest shows it."""
    return str(path.relative_to(LAB.parent))


@pytest.mark.parametrize("path", files(), ids=name)
def test_docstrings_begin_with_a_verb_or_a_noun(path: Path) -> None:
    found = [f"{path}:{line}: {text}" for line, text in bad_docstrings(path.read_text())]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("path", files(), ids=name)
def test_no_forbidden_words(path: Path) -> None:
    found = [
        f"{path}:{line}: {match[0]}"
        for line, text in prose(path.read_text())
        for match in FORBIDDEN.finditer(" ".join(re.sub(r"\n\s*#?", " ", text).split()))
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("text", "data", "wrong"),
    [
        ("Return the answer.", False, False),
        ("The answer.", False, True),
        ("The answer.", True, False),
        ("Whether it is so.", True, True),
        ("lower case", True, True),
        ("`name` is what is built.", True, False),
    ],
)
def test_the_start_of_a_docstring_is_judged(text: str, data: bool, wrong: bool) -> None:
    assert wrong_start(text, data) is wrong


@pytest.mark.parametrize(
    "text", ["# it is told of it", '"""So many bytes."""', 'x = f"it does nothing by itself {x}"']
)
def test_forbidden_words_are_found(text: str) -> None:
    assert any(FORBIDDEN.search(one) for _, one in prose(text + "\n"))
