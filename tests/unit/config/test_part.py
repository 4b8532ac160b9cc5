# SPDX-License-Identifier: GPL-2.0-only
"""The base of models: equality, places, strictness."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from lab.config.part import Int, Part, Where
from lab.config.problems import Problem
from lab.config.yaml_file import parse


class Inner(Part):
    number: Int = 0


class Outer(Part):
    inner: Inner
    numbers: tuple[Int, ...] = ()


class Other(Part):
    number: Int = 0


def outer(text: str) -> Outer:
    data, flaws = parse(text)
    assert not flaws
    return Outer.model_validate(data, context={"file": "f.yaml"})


def test_parts_are_equal_wherever_they_stand() -> None:
    one, two = outer("inner: {number: 1}\n"), outer("\n\ninner:\n  number: 1\n")
    assert one == two
    assert hash(one) == hash(two)
    assert one.inner == Inner(number=1)
    assert one.inner != Inner(number=2)
    assert one.inner != Other(number=1)


def test_a_part_and_what_is_in_it_have_a_place() -> None:
    part = outer("inner: {number: 1}\nnumbers: [2, 3]\n")
    assert part.where == Where("f.yaml", 1, 1)
    assert part.inner.where == Where("f.yaml", 1, 8)
    assert part.problem_at("x", "numbers", 1) == Problem("f.yaml", 2, 14, "x")
    assert part.problem_at("x", "numbers", key=True) == Problem("f.yaml", 2, 1, "x")
    assert part.inner.problem_at("x", "number") == Problem("f.yaml", 1, 17, "x")
    assert part.problem_at("x", "missing") == Problem("f.yaml", 1, 1, "x")


def test_a_part_without_a_file_says_so() -> None:
    assert str(Inner().where) == "(no file)"


def test_a_part_is_frozen_and_knows_its_keys() -> None:
    with pytest.raises(ValidationError):
        Inner().number = 2
    with pytest.raises(ValidationError):
        Inner.model_validate({"numbre": 1})
