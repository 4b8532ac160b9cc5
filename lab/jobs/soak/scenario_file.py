# SPDX-License-Identifier: GPL-2.0-only
"""Write a round of a soak as a scenario's file, for the user to reduce."""

from __future__ import annotations

import contextlib
import shlex
import textwrap
from pathlib import Path
from typing import Any

import yaml

from lab.jobs.soak.plan import NUMBERS, Round, as_scenario
from lab.report.rerun import command

NAME = "round.yaml"
PROPERTY = "soak"
# Width of a line. Shell commands are longer, and are folded.
_WIDTH = 99


def write(folder: Path, drawn: Round, flavor: str, unprotected: int, repeat: str) -> Path | None:
    """Write the round's file into a dossier; return None if it can't be written.

    `unprotected` are the bits for the kernel's file of that name. `repeat` is the command that
    runs the round as the soak did.
    """
    path = folder / NAME
    head = (
        f"# Round {drawn.number} of: {repeat}\n"
        f"# Reduce it for as long as it fails. Run it with: {line(path)}\n"
        "# Only a soak compares the run counts; this file checks everything else.\n"
        "# A schedule is the stride and the length, four bytes each, and one byte per behaviour:\n"
        f"{_legend()}"
    )
    with contextlib.suppress(OSError):
        path.write_text(head + as_yaml(drawn, flavor, unprotected), encoding="utf-8")
        return path
    return None


def line(path: Path) -> str:
    """Return the command that runs such a file."""
    return shlex.join([command(), "run", str(path)])


def as_yaml(drawn: Round, flavor: str, unprotected: int = 0) -> str:
    """Return the text of the round's file, which `lab check` accepts in any folder."""
    data = as_scenario(drawn)
    settings = dict(data["set"])
    if unprotected:
        settings["debug"] = {"rex/unprotected": unprotected}
    # Without this the file would pass even if nothing ran.
    expect = {**data["expect"], "rex": {"runs": {"at_least": 1}}}
    whole = {
        "name": f"round-{drawn.number}",
        "property": PROPERTY,
        "kernels": [flavor],
        **data,
        "set": settings,
        "expect": expect,
    }
    return yaml.safe_dump(_escaped(whole), sort_keys=False, default_flow_style=None, width=_WIDTH)


def _legend() -> str:
    names = ", ".join(f"{number:02x} {name}" for name, number in NUMBERS.items())
    return textwrap.fill(names, _WIDTH, initial_indent="#   ", subsequent_indent="#   ") + "\n"


def _escaped(data: Any) -> Any:
    """Return the data with `${` escaped, which a file would take for a parameter."""
    if isinstance(data, dict):
        return {key: _escaped(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_escaped(value) for value in data]
    return data.replace("${", "$${") if isinstance(data, str) else data
