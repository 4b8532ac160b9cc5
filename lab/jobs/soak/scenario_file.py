# SPDX-License-Identifier: GPL-2.0-only
"""A round of a soak as a scenario's file, for whoever wants to cut it down."""

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
# Of a line. Shell commands are longer, and folded.
_WIDTH = 99


def write(folder: Path, drawn: Round, flavor: str, unprotected: int, order: str) -> Path | None:
    """Put the round's file into a dossier; None if it can't be written, which harms nobody.

    `unprotected` are the bits of the kernel's file of that name, and `order` is the
    line that runs the round as the soak did.
    """
    path = folder / NAME
    head = (
        f"# Round {drawn.number} of: {order}\n"
        f"# To be cut down until it fails no more. It runs by: {line(path)}\n"
        "# Only a soak looks at whether the books fit; the rest is looked at here as well.\n"
        "# A schedule is the stride and the length, four bytes each, and what the runs do:\n"
        f"{_legend()}"
    )
    with contextlib.suppress(OSError):
        path.write_text(head + as_yaml(drawn, flavor, unprotected), encoding="utf-8")
        return path
    return None


def line(path: Path) -> str:
    """The line that runs such a file."""
    return shlex.join([command(), "run", str(path)])


def as_yaml(drawn: Round, flavor: str, unprotected: int = 0) -> str:
    """The round as a file that `lab check` accepts wherever it lies."""
    data = as_scenario(drawn)
    settings = dict(data["set"])
    if unprotected:
        settings["debug"] = {"rex/unprotected": unprotected}
    # A file has to show that something ran at all.
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
    """The data with what a file would take for a parameter marked as the text that it is."""
    if isinstance(data, dict):
        return {key: _escaped(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_escaped(value) for value in data]
    return data.replace("${", "$${") if isinstance(data, str) else data
