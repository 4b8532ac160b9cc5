# SPDX-License-Identifier: GPL-2.0-only
"""From a file to its model, for a format that is none of the lab's."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import AfterValidator, Field, ValidationInfo

from lab.config.format import Family, Format
from lab.config.part import Int, OneOf, Part, Text, flaw
from lab.config.problems import FileErrors, Problem
from lab.config.reader import read
from lab.errors import UserError


class Square(Part):
    square: Int


class Options(Part):
    colour: Text = "black"


class Edge(Part):
    width: Int = 1


class Dot(Part):
    dot: Options
    edge: Edge | None = None


SHAPES: dict[str, type[Part]] = {"square": Square, "dot": Dot}
Shape = Annotated[Square | Dot, OneOf("shape", SHAPES)]


def _known(name: str, info: ValidationInfo) -> str:
    if info.context and name not in info.context.get("names", (name,)):
        raise flaw(f"'{name}' is not among the {{names}}")
    return name


class Drawing(Part):
    title: Text
    name: Annotated[str, Field(pattern=r"^[a-z]+$"), AfterValidator(_known)] = "x"
    shapes: tuple[Shape, ...] = ()


DRAWING = Format(
    noun="drawing",
    model=Drawing,
    families=(
        Family("shape", SHAPES, "{square: 3}", proper={"dot": "small"}, instead=": add one"),
    ),
    patterns={r"^[a-z]+$": "a word in lower case"},
)


def write(folder: Path, text: str) -> Path:
    path = folder / "x.yaml"
    path.write_text(text)
    return path


def problems(folder: Path, text: str, **context: Any) -> list[str]:
    with pytest.raises(FileErrors) as caught:
        read(write(folder, text), DRAWING, context)
    return [f"{each.line}:{each.column}: {each.message}" for each in caught.value.problems]


def test_a_good_file_becomes_its_model(tmp_path: Path) -> None:
    path = write(tmp_path, "title: t\nshapes: [{square: 3}, {dot: {colour: red}}]\n")
    found = read(path, DRAWING)
    assert found == Drawing(title="t", shapes=(Square(square=3), Dot(dot=Options(colour="red"))))
    assert str(found.shapes[1].where) == f"{path}:2:23"


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("titel: t", "2:1", "unknown key 'titel'; did you mean 'title'?"),
        ("shapes: []", "2:1", "'title' is missing"),
        ("title: t\nname: X1", "3:7", "'X1' is not a word in lower case"),
        ("title: t\nname: b", "3:7", "'b' is not among the {names}"),
        ("shapes: [{squar: 3}]", "2:11", "'squar' is no kind of shape; did you mean 'square'?"),
        ("shapes: [3]", "2:10", "expected a shape, a mapping such as '{square: 3}', not 3"),
        (
            "shapes: [{square: 3, dot: {}}]",
            "2:22",
            "'dot' next to 'square': a shape is of one kind: add",
        ),
        ("shapes: [{square: 3, size: 1}]", "2:22", "unknown key 'size' in a square shape (known"),
        (
            "shapes: [{dot: {}, colour: red}]",
            "2:20",
            "unknown key 'colour' in a small shape: it belongs inside 'dot'",
        ),
        (
            "shapes: [{dot: {}, width: 2}]",
            "2:20",
            "unknown key 'width' in a small shape: it belongs",
        ),
        ("title: 010", "2:8", "'010' is octal to some readers"),
        ("title:", "2:1", "'title:' has no value"),
    ],
)
def test_each_mistake_has_its_place_and_its_words(
    tmp_path: Path, text: str, place: str, message: str
) -> None:
    found = problems(tmp_path, f"# A comment.\n{text}\n", names=("a", "x"))
    assert any(each.startswith(f"{place}: {message}") for each in found), found


def test_a_list_is_no_mapping(tmp_path: Path) -> None:
    assert problems(tmp_path, "[a]\n") == ["1:1: expected a mapping: keys such as 'title:'"]


def test_all_mistakes_are_reported_at_once(tmp_path: Path) -> None:
    text = "title: t\ntitle: u\nname: A\nshapes: [{dot: {color: red}}]\n"
    assert [line.split(":")[0] for line in problems(tmp_path, text)] == ["2", "3", "4"]


def test_a_file_that_is_not_there_is_a_users_mistake(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="No such file") as caught:
        read(tmp_path / "none.yaml", DRAWING)
    assert caught.value.hint == "name a drawing's file"


WORDS = st.sampled_from(["title", "name", "shapes", "square", "dot", "colour", "ab", "1", "true"])
DATA = st.recursive(
    WORDS | st.integers(0, 9) | st.none() | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=15,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.dictionaries(WORDS, DATA, max_size=4))
def test_any_structure_is_read_or_has_errors_with_places(tmp_path: Path, data: Any) -> None:
    path = write(tmp_path, yaml.safe_dump(data, sort_keys=False))
    lines = len(path.read_text().splitlines())
    for problem in _problems(path):
        assert 1 <= problem.line <= lines
        assert "\n" not in problem.message


def _problems(path: Path) -> tuple[Problem, ...]:
    try:
        read(path, DRAWING)
    except FileErrors as errors:
        return errors.problems
    return ()
