# SPDX-License-Identifier: GPL-2.0-only
"""Bounds, texts, references, and what the YAML reader takes a scalar for."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from lab.config.problems import Problem, ScenarioErrors
from lab.config.yaml_file import MAX_DEPTH, Mark, decode, locate, parse
from lab.scenario.model.base import Bound, Ref, at_least, equals
from lab.scenario.model.expect import Expect, TextExpect


@pytest.mark.parametrize(
    ("written", "holds", "fails", "says"),
    [
        (100, [100, 100.0], [99, 101], "100"),
        ({"at_least": 2}, [2, 3], [1], "at least 2"),
        ({"at_most": 2.5}, [2.5, -1], [3], "at most 2.5"),
        ({"at_least": 2, "at_most": 5}, [2, 5], [1, 6], "2 to 5"),
        ({"equals": 0}, [0], [1], "0"),
    ],
)
def test_bounds(written: Any, holds: list[float], fails: list[float], says: str) -> None:
    bound = Bound.model_validate(written)
    assert all(bound.holds(value) for value in holds)
    assert not any(bound.holds(value) for value in fails)
    assert bound.describe() == says


@given(low=st.integers(), high=st.integers(), value=st.integers())
def test_a_bound_holds_between_its_ends(low: int, high: int, value: int) -> None:
    if low > high:
        with pytest.raises(ValidationError):
            Bound(at_least=low, at_most=high)
    else:
        assert Bound(at_least=low, at_most=high).holds(value) == (low <= value <= high)


@pytest.mark.parametrize("bad", [True, "5", None, [], {}, {"equals": True}, {"at_least": None}])
def test_what_is_no_bound(bad: Any) -> None:
    with pytest.raises(ValidationError):
        Bound.model_validate(bad)


def test_a_bound_is_positive_if_nothing_is_not_enough() -> None:
    assert at_least(1).positive
    assert not at_least(0).positive
    assert not equals(0).positive
    assert not Bound(at_most=3).positive


def test_texts_say_what_is_wrong_with_them() -> None:
    expect = TextExpect(contains=("one", "two"), excludes=("bad",), matches=r"^[0-9]+ insns$")
    assert expect.failures("one two\n12 insns\n") == []
    assert expect.failures("one bad") == [
        "does not contain 'two'",
        "contains 'bad'",
        "does not match /^[0-9]+ insns$/",
    ]


@pytest.mark.parametrize(
    ("text", "extensions", "ref"),
    [
        ("a.counts", ("a", "b"), Ref("a", "counts")),
        ("counts", ("main",), Ref("main", "counts")),
        (".bss", ("main",), Ref("main", ".bss")),
        ("a..bss", ("a", "b"), Ref("a", ".bss")),
    ],
)
def test_references(text: str, extensions: tuple[str, ...], ref: Ref) -> None:
    assert Ref.parse(text, extensions) == ref


@pytest.mark.parametrize(
    ("text", "extensions"), [("", ("a",)), ("a.", ("a",)), ("x", ("a", "b")), ("x", ())]
)
def test_references_that_refer_to_nothing(text: str, extensions: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match=r"expected|which extension"):
        Ref.parse(text, extensions)


def test_resources_are_to_be_released_if_the_kernel_lives() -> None:
    assert Expect().resolved().resources == "released"
    assert Expect(resources="kept").resolved().resources == "kept"
    assert Expect(kernel="stalled").resolved().resources is None
    assert Expect(kernel="crashed").resolved().resources is None


def test_a_model_is_frozen() -> None:
    with pytest.raises(ValidationError):
        Bound(equals=1).equals = 2


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


def test_errors_travel_between_processes() -> None:
    error = ScenarioErrors([Problem("f.yaml", 2, 1, "b"), Problem("f.yaml", 1, 3, "a")])
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == "f.yaml:1:3: a\nf.yaml:2:1: b"
    assert again.problems == error.problems
