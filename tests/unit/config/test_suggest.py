# SPDX-License-Identifier: GPL-2.0-only
"""Test the known word that is suggested for a mistyped one."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.config.suggest import closest, did_you_mean, hint


@given(word=st.text() | st.integers() | st.none(), known=st.lists(st.text(), max_size=8))
def test_a_suggestion_is_a_known_word(word: Any, known: list[str]) -> None:
    assert closest(word, known) in (None, *known)
    assert isinstance(did_you_mean(word, known), str)


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("soft_lockup", "soft-lockup"),
        ("Soft-Lockup", "soft-lockup"),
        ("softlockup", "soft-lockup"),
        ("opps", "oops"),
        ("zebra", None),
        ("x" * 10_000, None),
    ],
)
def test_suggestions(word: str, meant: str | None) -> None:
    assert closest(word, ["oops", "soft-lockup", "panic"]) == meant


def test_words_have_to_be_as_much_alike_as_the_caller_asks() -> None:
    assert closest("opps", ["oops"], cutoff=0.7) == "oops"
    assert closest("opps", ["oops"], cutoff=0.8) is None


def test_a_hint_has_the_closest_word_or_all() -> None:
    assert hint("opps", ["oops", "panic"]) == "did you mean 'oops'?"
    assert hint("zebra", ["oops", "panic"]) == "there are: oops, panic"
    assert hint("zebra", ["oops"], label="reports") == "reports: oops"
    assert hint("zebra", []) == "there are: none"
