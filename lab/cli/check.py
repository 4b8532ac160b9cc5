# SPDX-License-Identifier: GPL-2.0-only
"""`lab check`: validate scenarios without running them; `lab schema`: their JSON Schema."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from lab.config.problems import FileErrors, Problem
from lab.runner.catalog import catalog_of
from lab.scenario.catalog import Catalog
from lab.scenario.items import items
from lab.scenario.load import find_files, find_in, load_scenarios
from lab.scenario.model.scenario import Scenario
from lab.scenario.schema import json_schema
from lab.workspace import Workspace

EXIT_PROBLEMS = 1


def check(
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[PATH]...", help="Scenario files or folders; default: all."),
    ] = None,
    as_list: Annotated[
        bool, typer.Option("--list", help="Print the IDs of the items that would run.")
    ] = False,
) -> None:
    """Validate scenarios without building or booting anything.

    Prints each error as FILE:LINE:COLUMN: MESSAGE. The exit status is 1 if
    there are errors, and 2 if the command line is wrong.
    """
    workspace = Workspace.default()
    named = [file for path in files or () for file in find_files(path)]
    chosen = named if files else find_in(workspace.scenarios)
    good, problems = check_all(list(dict.fromkeys(chosen)), catalog_of(workspace))
    for problem in problems:
        typer.echo(str(problem))
    if as_list:
        for scenario in good:
            for item in items(scenario):
                typer.echo(item.id)
    bad = len({problem.file for problem in problems})
    if problems:
        what = _number(len(problems), "error")
        typer.echo(f"{what} in {bad} of {_number(len(chosen), 'scenario')}", err=True)
        raise typer.Exit(EXIT_PROBLEMS)
    total = sum(len(items(scenario)) for scenario in good)
    said = f"{_number(len(good), 'scenario')}, {_number(total, 'item')}: no errors"
    typer.echo(said, err=True)


def check_all(files: list[Path], catalog: Catalog) -> tuple[list[Scenario], list[Problem]]:
    """Return the scenarios of all valid files, and all problems of the other files."""
    good: list[Scenario] = []
    problems: list[Problem] = []
    owners: dict[str, Path] = {}
    for file in files:
        try:
            scenarios = load_scenarios(file, catalog)
        except FileErrors as errors:
            problems += errors.problems
            continue
        for scenario in scenarios:
            names = (
                scenario.id,
                *(f"{scenario.id}-without-{t.without}" for t in scenario.controls),
            )
            taken = next((name for name in names if name in owners), None)
            if taken is not None:
                message = f"{owners[taken]} already has items named '{taken}': give another 'name'"
                problems.append(Problem(str(file), 1, 1, message))
                continue
            owners.update(dict.fromkeys(names, file))
            good.append(scenario)
    return good, problems


def schema(
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write the schema to this file.")
    ] = None,
) -> None:
    """Print the JSON Schema of scenarios, for editors."""
    text = json.dumps(json_schema(), indent=2) + "\n"
    if output is None:
        typer.echo(text, nl=False)
    else:
        output.write_text(text)


def _number(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
