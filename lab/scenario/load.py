# SPDX-License-Identifier: GPL-2.0-only
"""Load the scenarios of a file, or report all problems of the file."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lab.config.messages import nothings
from lab.config.problems import FileErrors, Problem
from lab.config.reader import parse_file, validate
from lab.config.yaml_file import START, Flaw, Map, Mark
from lab.errors import UserError
from lab.scenario import parameters
from lab.scenario.catalog import Catalog
from lab.scenario.checks import attach_targets, expect, loads, names, packets, steps
from lab.scenario.checks.data import extensions
from lab.scenario.expand import expand
from lab.scenario.format import FORMAT
from lab.scenario.model.base import NAME
from lab.scenario.model.scenario import Scenario

SUFFIXES = (".yaml", ".yml")


def find_files(path: Path) -> list[Path]:
    """Return the scenario files at `path`, which is a file or a folder, in order.

    Raises `UserError` if there is none.
    """
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise UserError(
            f"{path}: no such file or folder", hint="name a scenario's file or a folder"
        )
    found = _files_below(path)
    if not found:
        raise UserError(f"{path}: no scenario in this folder", hint="scenarios end in .yaml")
    return found


def find_in(roots: Sequence[Path]) -> list[Path]:
    """Return the scenario files below all roots that exist, in order.

    A file hides those with the same relative path in later roots. Raises `UserError` if
    there is no file at all.
    """
    found: dict[Path, Path] = {}
    for root in roots:
        if root.is_dir():
            for file in _files_below(root):
                found.setdefault(file.relative_to(root), file)
    if not found:
        shown = " or ".join(str(root) for root in roots)
        raise UserError(f"no scenario in {shown}", hint="scenarios end in .yaml")
    return [found[name] for name in sorted(found)]


def check_file(path: Path, catalog: Catalog | None = None) -> list[Problem]:
    """Return all problems of a file, in the order of its lines."""
    try:
        load_scenarios(path, catalog)
    except FileErrors as errors:
        return list(errors.problems)
    return []


def load_scenarios(path: Path, catalog: Catalog | None = None) -> list[Scenario]:
    """Return the scenarios of one file (today a file holds one), with its first parameters.

    With a catalog, check also that the names in the file exist, and that this
    version of the lab supports the keys. Raises `FileErrors` with all problems
    of the file.
    """
    data, flaws = parse_file(path, FORMAT)
    grid = tuple(parameters.grid(data, flaws))
    unsure = {flaw.mark for flaw in flaws}
    scenarios, found = _build_all(path, data, grid, catalog, unsure)
    flaws += found
    if flaws:
        raise FileErrors(Problem.of(str(path), flaw) for flaw in flaws)
    return scenarios[:1]


def with_parameters(scenario: Scenario, values: Mapping[str, Any]) -> Scenario:
    """Return the scenario of the same file with other values of the parameters."""
    # Compare texts, because 1 equals both 1.0 and true.
    if repr(dict(values)) == repr(scenario.parameters) or not scenario._data:
        return scenario
    built, flaws = _build(scenario.path, scenario._data, dict(values), scenario.grid)
    if built is None or flaws:
        raise FileErrors(Problem.of(str(scenario.path), flaw) for flaw in flaws)
    return built


def _build_all(
    path: Path,
    data: Map,
    grid: tuple[dict[str, Any], ...],
    catalog: Catalog | None,
    unsure: set[Mark],
) -> tuple[list[Scenario], list[Flaw]]:
    scenarios: list[Scenario] = []
    said: dict[Flaw, list[str]] = {}
    for values in grid:
        scenario, flaws = _build(path, data, values, grid, catalog, unsure)
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
    path: Path,
    data: Map,
    values: dict[str, Any],
    grid: tuple[dict[str, Any], ...],
    catalog: Catalog | None = None,
    unsure: Collection[Mark] = (),
) -> tuple[Scenario | None, list[Flaw]]:
    flaws: list[Flaw] = []
    # Places with unknown values, whose other flaws are not reported.
    open_places = set(unsure)
    filled = parameters.put_in(data, values, flaws, open_places)
    flaws += nothings(filled)
    flaws += [flaw for flaw in _checks(filled, catalog) if flaw.mark not in open_places]
    context = {"extensions": tuple(extensions(filled))}
    written, invalid = validate(filled, FORMAT, path, context, {flaw.mark for flaw in flaws})
    if written is None:
        return None, flaws + [flaw for flaw in invalid if flaw.mark not in open_places]
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


def _checks(data: Map, catalog: Catalog | None) -> Iterable[Flaw]:
    """Return the flaws that the checks find, only the first of each place: it causes the others."""
    found: list[Flaw] = []
    if catalog is not None:
        found += names.against(catalog, data)
        found += attach_targets.against(catalog, data)
    checks = (
        names.check,
        steps.check,
        loads.check,
        packets.check,
        expect.check,
    )
    for check in checks:
        found += check(data)
    return {flaw.mark: flaw for flaw in reversed(found)}.values()


def _files_below(folder: Path) -> list[Path]:
    return sorted(
        file
        for file in folder.rglob("*")
        if file.suffix in SUFFIXES and file.is_file() and not file.name.startswith(".")
    )


def _named_by_path(key: str, text: str, flaws: list[Flaw]) -> str:
    if not re.fullmatch(NAME, text):
        what = "file" if key == "name" else "folder"
        flaws.append(Flaw(START, f"the {what}'s name '{text}' can't be the {key}: give '{key}:'"))
    return text
