# SPDX-License-Identifier: GPL-2.0-only
"""Judge the observation in a dossier again, without a virtual machine."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from lab.errors import UserError
from lab.judge import Judgement, judge, stored
from lab.report.dossier import OBSERVATION
from lab.report.result import Result
from lab.scenario.catalog import Catalog
from lab.scenario.items import Item, items
from lab.scenario.load import load_scenarios


@dataclass(frozen=True)
class Rejudged:
    """The result when the item ran, and the judgement by the scenario as it is now."""

    before: Result
    now: Judgement


def rejudge(dossier: Path, catalog: Catalog, scenario: Path | None = None) -> Rejudged:
    """Judge a dossier's observation by its scenario's file, or by another.

    Raises `UserError` if the folder is no dossier with an observation, or if the item or its
    steps are not in the file any more.
    """
    before = _result(dossier)
    item = _item(before, scenario or Path(before.scenario), catalog)
    try:
        text = (dossier / OBSERVATION).read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"{dossier}: there is no {OBSERVATION} that can be read: {error}",
            hint="run the item again; a very large observation is not stored",
        ) from error
    seen = stored.from_json(text, item)
    return Rejudged(before, judge(item.scenario, seen, item.control))


def _result(dossier: Path) -> Result:
    path = dossier / "result.json"
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        return Result.from_json(json.dumps(data))
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise UserError(
            f"{path} can't be read as a result: {error}", hint="name the folder of a dossier"
        ) from error


def _item(before: Result, file: Path, catalog: Catalog) -> Item:
    if not file.is_file():
        raise UserError(
            f"{file}: the scenario of {before.item} is not there",
            hint="name its file with --scenario",
        )
    for one in load_scenarios(file, catalog):
        for item in items(one, [before.flavor]):
            if item.id == before.item:
                return item
    raise UserError(
        f"{file} has no item {before.item}", hint="name the scenario's file with --scenario"
    )
