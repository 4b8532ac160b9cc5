# SPDX-License-Identifier: GPL-2.0-only
"""Common code of the benchmarks' commands: measure with progress, write JSON, show tables."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Protocol, TypeVar

import typer
from rich.console import Console

from lab import events
from lab.atomic import atomic_write, check_writable
from lab.cache import Cache
from lab.errors import UserError
from lab.report.terminal import Terminal
from lab.runner.plan import Planner
from lab.workspace import Workspace

# The width of tables, in columns, if the output is no terminal but a file or a pipe.
WIDTH = 100

JsonFile = Annotated[
    Path | None,
    typer.Option("--json", metavar="FILE", help="Write the figures to this file as JSON."),
]


class _Figures(Protocol):
    def as_data(self) -> dict[str, Any]: ...


_Found = TypeVar("_Found", bound=_Figures)


def take(
    accel: str,
    as_json: Path | None,
    measure: Callable[[Planner, events.Emit], _Found],
    show: Callable[[_Found, Console], None],
) -> None:
    """Measure, write the figures to `as_json` if it is given, and show them.

    Raises `UserError` before anything is measured if that file can't be written.
    """
    if as_json is not None:
        need_writable(as_json)
    with Terminal(Console(stderr=True, highlight=False, soft_wrap=True)) as progress:
        emit = events.Bus(progress)
        found = measure(Planner(Workspace.default(), Cache.default(emit), accel, emit), emit)
    if as_json is not None:
        atomic_write(as_json, json.dumps(found.as_data(), indent=1) + "\n")
    out = Console(highlight=False)
    if not out.is_terminal:
        out.width = WIDTH
    show(found, out)


def need_writable(path: Path) -> None:
    """Raise `UserError` if `path` can't be written, before minutes of measuring are lost."""
    try:
        check_writable(path)
    except OSError as error:
        raise UserError(
            f"--json {path}: can't be written: {error.strerror}",
            hint="name a file in a folder that exists and that you can write to",
        ) from error
