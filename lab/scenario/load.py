# SPDX-License-Identifier: GPL-2.0-only
"""From a file to its scenarios, or to all that is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from lab.errors import UserError
from lab.scenario import parameters
from lab.scenario.base import NAME
from lab.scenario.expand import MAIN, expand
from lab.scenario.model import Scenario, Written
from lab.scenario.problems import Problem, ScenarioErrors
from lab.scenario.translate import flaws_of
from lab.scenario.yamlpos import START, Flaw, Map, decode, parse

SUFFIXES = (".yaml", ".yml")


def find_files(path: Path) -> list[Path]:
    """The scenario files at `path`: itself, or all below it, in order; a `UserError` if none."""
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise UserError(
            f"{path}: no such file or folder", hint="name a scenario's file or a folder"
        )
    return sorted(
        file
        for file in path.rglob("*")
        if file.suffix in SUFFIXES and file.is_file() and not file.name.startswith(".")
    )


def load_scenarios(path: Path) -> list[Scenario]:
    """The scenarios of one file (today a file holds one), its first parameters put in.

    Raises `ScenarioErrors` with all that is wrong with the file.
    """
    file = str(path)
    try:
        text, flaws = decode(path.read_bytes())
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}", hint="name a scenario's file") from error
    data = None
    if text is not None:
        data, flaws = parse(text)
        if data is not None and not isinstance(data, Map):
            flaws.append(Flaw(START, "expected a mapping: keys such as 'summary:' and 'expect:'"))
    if not isinstance(data, Map):
        raise ScenarioErrors(Problem.of(file, flaw) for flaw in flaws)
    grid = tuple(parameters.grid(data, flaws))
    scenarios, found = _build_all(path, data, grid)
    flaws += found
    if flaws:
        raise ScenarioErrors(Problem.of(file, flaw) for flaw in flaws)
    return scenarios[:1]


def with_parameters(scenario: Scenario, values: Mapping[str, Any]) -> Scenario:
    """The scenario of the same file with other values put in."""
    if dict(values) == scenario.parameters or not scenario._data:
        return scenario
    built, flaws = _build(scenario.path, scenario._data, dict(values), scenario.grid)
    if built is None or flaws:
        raise ScenarioErrors(Problem.of(str(scenario.path), flaw) for flaw in flaws)
    return built


def _build_all(
    path: Path, data: Map, grid: tuple[dict[str, Any], ...]
) -> tuple[list[Scenario], list[Flaw]]:
    scenarios: list[Scenario] = []
    said: dict[Flaw, list[str]] = {}
    for values in grid:
        scenario, flaws = _build(path, data, values, grid)
        if scenario is not None:
            scenarios.append(scenario)
        set_says = ", ".join(f"{key}={parameters.as_text(value)}" for key, value in values.items())
        for flaw in dict.fromkeys(flaws):
            said.setdefault(flaw, []).append(set_says)
    everywhere = len(grid)
    return scenarios, [
        flaw if len(sets) == everywhere else Flaw(flaw.mark, f"{flaw.message} (with {sets[0]})")
        for flaw, sets in said.items()
    ]


def _build(
    path: Path, data: Map, values: dict[str, Any], grid: tuple[dict[str, Any], ...]
) -> tuple[Scenario | None, list[Flaw]]:
    flaws: list[Flaw] = []
    filled = parameters.put_in(data, values, flaws)
    context = {"file": str(path), "extensions": extension_names(filled)}
    try:
        written = Written.model_validate(filled, context=context)
    except ValidationError as error:
        return None, flaws + flaws_of(error, filled)
    name = written.name or _named_by_path("name", path.stem, flaws)
    folder = written.property or _named_by_path("property", path.resolve().parent.name, flaws)
    if flaws:
        return None, flaws
    scenario = expand(
        written,
        path=path,
        name=name,
        property=folder,
        parameters=values,
        grid=grid,
        data=data,
    )
    return scenario, flaws


def extension_names(data: Map) -> tuple[str, ...]:
    """The names of the extensions in a file's data, as far as they can be told."""
    named = data.get("extensions")
    names = [key for key in named if isinstance(key, str)] if isinstance(named, Map) else []
    return (MAIN, *names) if "extension" in data else tuple(names)


def _named_by_path(key: str, text: str, flaws: list[Flaw]) -> str:
    if not re.fullmatch(NAME, text):
        what = "file" if key == "name" else "folder"
        flaws.append(Flaw(START, f"the {what}'s name '{text}' can't be the {key}: give '{key}:'"))
    return text
