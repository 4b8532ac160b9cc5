# SPDX-License-Identifier: GPL-2.0-only
"""Test the YAML reader's types of scalars, and its places of keys and values."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from lab.config.yaml_file import MAX_DEPTH, Map, Mark, Seq, decode, locate, parse


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5", 5),
        ("-5", -5),
        ("0", 0),
        ("0x1F", 31),
        ("0o17", 15),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("true", True),
        ("False", False),
        ("~", None),
        ("yes", "yes"),
        ("off", "off"),
        ("On", "On"),
        ("n", "n"),
        ("1_000", "1_000"),
        ("12:30:45", "12:30:45"),
        ("2026-01-01", "2026-01-01"),
        ("1.2.3", "1.2.3"),
        ("'5'", "5"),
        ('"true"', "true"),
        ("! 5", "5"),
        ("=", "="),
    ],
)
def test_scalars_are_those_of_yaml_1_2(text: str, value: Any) -> None:
    data, flaws = parse(f"key: {text}\n")
    assert flaws == []
    assert data["key"] == value
    assert type(data["key"]) is type(value)


@pytest.mark.parametrize("text", ["010", "-007", "0_1", ".inf", "-.Inf", ".nan", "9" * 41, "1e999"])
def test_scalars_that_readers_disagree_about_are_refused(text: str) -> None:
    _, flaws = parse(f"key: {text}\n")
    assert [flaw.mark for flaw in flaws] == [Mark(1, 6)]


def test_words_of_other_yaml_are_keys_like_others() -> None:
    data, flaws = parse("on: 1\nno: 2\n7: 3\n")
    assert flaws == []
    assert data == {"on": 1, "no": 2, 7: 3}


def test_deep_nesting_is_an_error_not_a_crash() -> None:
    for text in ("[" * 5000, "a: " + "{b: " * 5000, "- " * 5000 + "x"):
        _, flaws = parse(text)
        assert f"nested more than {MAX_DEPTH} levels deep" in flaws[-1].message


def test_a_byte_order_mark_does_not_shift_columns() -> None:
    text, flaws = decode(b"\xef\xbb\xbfa: 1\n")
    assert flaws == []
    assert text is not None
    data, _ = parse(text)
    assert data.keys_at["a"] == Mark(1, 1)


def test_bytes_that_are_not_utf_8_have_a_place() -> None:
    _, flaws = decode(b"a: 1\nb: \xc3\xbc\xff\n")
    assert [flaw.mark for flaw in flaws] == [Mark(2, 5)]


def test_the_deepest_place_that_exists_is_found() -> None:
    data, _ = parse("a:\n  - x\n  - b: [1, 2]\n")
    assert locate(data, ("a", 1, "<tag>", "b", 1)) == Mark(3, 12)
    assert locate(data, ("a", 1, "b"), key=True) == Mark(3, 5)
    assert locate(data, ("a", 1, "missing")) == Mark(3, 5)
    assert locate(data, ()) == Mark(1, 1)


def test_the_format_words_its_own_errors() -> None:
    text = "a: &x 1\nb: *x\n<<: 2\n---\nc: 3\n"
    _, flaws = parse(text, noun="matrix", reuse="a variable")
    assert [flaw.message for flaw in flaws[1:]] == [
        "the alias '*x': write the value out, or use a variable",
        "the merge key '<<': write the keys out, or use a variable",
        "a second document: one file holds one matrix",
    ]
    _, flaws = parse(text)
    assert flaws[1].message == "the alias '*x': write the value out"


PLAIN = st.from_regex(r"[a-z]{2,8}q", fullmatch=True)  # no YAML word ends so
NESTED = st.recursive(
    PLAIN,
    lambda inner: (
        st.lists(inner, min_size=1, max_size=4)
        | st.dictionaries(PLAIN, inner, min_size=1, max_size=4)
    ),
    max_leaves=12,
)


@given(
    data=st.dictionaries(PLAIN, NESTED, min_size=1, max_size=5),
    flow=st.sampled_from([None, True, False]),
)
def test_every_key_and_value_is_where_it_says(data: Any, flow: bool | None) -> None:
    text = yaml.safe_dump(data, sort_keys=False, default_flow_style=flow, width=30)
    lines = text.splitlines()
    parsed, flaws = parse(text)
    assert flaws == []
    assert parsed == data

    def at(mark: Mark) -> str:
        return lines[mark.line - 1][mark.column - 1 :]

    def walk(node: Any) -> None:
        if isinstance(node, Map):
            for key, value in node.items():
                assert at(node.keys_at[key]).startswith(key)
                check(value, node.values_at[key])
        elif isinstance(node, Seq):
            for value, mark in zip(node, node.items_at, strict=True):
                check(value, mark)

    def check(value: Any, mark: Mark) -> None:
        if isinstance(value, str):
            assert at(mark).startswith(value)
        walk(value)

    walk(parsed)
