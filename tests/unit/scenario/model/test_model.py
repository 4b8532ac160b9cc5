# SPDX-License-Identifier: GPL-2.0-only
"""Bounds, texts and references."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

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
    with pytest.raises(ValueError, match=r"expected|name its extension"):
        Ref.parse(text, extensions)


def test_resources_are_to_be_released_if_the_kernel_lives() -> None:
    assert Expect().resolved().resources == "released"
    assert Expect(resources="kept").resolved().resources == "kept"
    assert Expect(kernel="stalled").resolved().resources is None
    assert Expect(kernel="crashed").resolved().resources is None


def test_a_model_is_frozen() -> None:
    with pytest.raises(ValidationError):
        Bound(equals=1).equals = 2
