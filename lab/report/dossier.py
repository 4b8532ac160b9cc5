# SPDX-License-Identifier: GPL-2.0-only
"""Dossiers: folders that hold everything a person needs to understand one failure."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import platform
import re
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab import __version__, events
from lab.plain import bounded, plain
from lab.report.result import Result, explain, forgery_line

# The number of runs kept in the results folder; the oldest are removed.
KEPT_RUNS = 20
# The maximum number of characters of one file. A guest can print more than fits on a disk.
MAX_TEXT = 8 << 20
# Larger observations are not stored: their consoles alone are as large as the other files.
MAX_OBSERVATION = 4 * MAX_TEXT
OBSERVATION = "observation.json"
RUN_VARIABLE = "LAB_RUN"
_RUN = re.compile(r"^\d{8}-\d{6}-\d+$")


def results_root() -> Path:
    """Return `$LAB_RESULTS`, or `.lab/results` below the current folder."""
    chosen = os.environ.get("LAB_RESULTS")
    return Path(chosen) if chosen else Path.cwd() / ".lab" / "results"


def new_run(root: Path | None = None) -> Path:
    """Return the folder of this run, and remove old runs.

    The first write creates the folder. Processes that share a run find its name in `$LAB_RUN`.
    """
    root = root or results_root()
    own = root / (os.environ.get(RUN_VARIABLE) or run_name())
    if root.is_dir():
        runs = sorted(path for path in root.iterdir() if path.is_dir() and _RUN.match(path.name))
        others = [path for path in runs if path != own]
        for old in others[: max(0, len(others) - KEPT_RUNS + 1)]:
            shutil.rmtree(old, ignore_errors=True)
    return own


def run_name() -> str:
    """Return a name for a run that starts now; names sort by time."""
    return f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"


@dataclass
class Dossier:
    """The contents of a dossier. Empty texts get no file."""

    result: Result
    console: str = ""
    verifier_log: str = ""
    compiler_log: str = ""
    extension_reports: str = ""
    steps: Sequence[dict[str, Any]] = ()
    facts: dict[str, Any] = field(default_factory=dict)
    events: Sequence[events.Event] = ()
    # One line of JSON, or "": see `lab.judge.stored`.
    observation: str = ""

    def write(self, folder: Path) -> Path:
        """Write the dossier to a subfolder of `folder` named after the item; return its path."""
        target = _own_folder(folder, re.sub(r"[^A-Za-z0-9._@=,+-]+", "_", self.result.item))
        texts = {
            "README.txt": explain(self.result) + "\n",
            "result.json": json.dumps(json.loads(self.result.to_json()), indent=2) + "\n",
            "console.log": self.console,
            "verifier.log": self.verifier_log,
            "compiler.log": self.compiler_log,
            "extension-reports.txt": self.extension_reports,
            "forgeries.txt": "".join(f"{forgery_line(one)}\n" for one in self.result.forgeries),
            "steps.json": json.dumps(list(self.steps), indent=2, default=str) + "\n",
            "host.json": json.dumps({**host_facts(), **self.facts}, indent=2, default=str) + "\n",
            "events.jsonl": "".join(events.as_json(event) + "\n" for event in self.events),
        }
        for name, text in texts.items():
            if text:
                safe = bounded(plain(bounded(text, MAX_TEXT)), MAX_TEXT)
                (target / name).write_text(safe, encoding="utf-8")
        # It is ASCII already, and useless if a part of it is missing, so it is never cut.
        if 0 < len(self.observation) <= MAX_OBSERVATION:
            (target / OBSERVATION).write_text(self.observation + "\n", encoding="ascii")
        return target


def _own_folder(folder: Path, name: str) -> Path:
    # A repeated item can fail more than once, and each failure gets a dossier of its own.
    folder.mkdir(parents=True, exist_ok=True)
    for number in itertools.count(1):
        target = folder / (name if number == 1 else f"{name}#{number}")
        with contextlib.suppress(FileExistsError):
            target.mkdir()
            return target
    raise AssertionError("unreachable")


def host_facts() -> dict[str, Any]:
    """Return the versions of the lab, Python and the host's system, and the number of CPUs."""
    return {
        "lab": __version__,
        "python": platform.python_version(),
        "host": platform.platform(),
        "cpus": len(os.sched_getaffinity(0)),
    }
