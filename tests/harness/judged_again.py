# SPDX-License-Identifier: GPL-2.0-only
"""A pytest plugin that judges each item again: stored and read back, and with all its mutants.

Load it with `-p harness.judged_again` and `tests/` on PYTHONPATH. The guest has run already, so
this costs milliseconds. The results go below the folder in LAB_MUTANTS.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import lab.jobs.session
from harness import mutants
from lab.judge import Judgement, judge, stored
from lab.judge.observation import Observation
from lab.scenario.items import Item
from lab.scenario.model.scenario import Control, Scenario


def judge_again(scenario: Scenario, seen: Observation, control: Control | None = None) -> Judgement:
    """Judge as the lab does; record which mutants pass, and what the stored observation gets."""
    found = judge(scenario, seen, control)
    item = Item(f"{scenario.id}@any", scenario, "any", control=control)
    restored = stored.from_json(stored.to_json(seen, item), item)
    if found.verdict == "passed":
        number, survivors = mutants.survivors(scenario, seen, control)
        _write({
            "item": f"{scenario.property}/{scenario.name}",
            "control": control.without if control else None,
            "parameters": scenario.parameters,
            "mutants": number,
            "survivors": survivors,
            "stored_alike": judge(scenario, restored, control) == found and restored == seen,
        })  # fmt: skip
    return found


def read(folder: Path) -> list[dict[str, Any]]:
    """Return the recorded results of each item, in no particular order."""
    return [json.loads(line) for path in folder.iterdir() for line in path.open()]


def _write(entry: dict[str, Any]) -> None:
    folder = Path(os.environ["LAB_MUTANTS"])
    folder.mkdir(parents=True, exist_ok=True)
    # Each worker has a file of its own.
    with (folder / f"{os.getpid()}.jsonl").open("a") as file:
        file.write(json.dumps(entry) + "\n")


if "LAB_MUTANTS" in os.environ:
    vars(lab.jobs.session)["judge"] = judge_again
