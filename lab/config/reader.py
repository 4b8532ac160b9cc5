# SPDX-License-Identifier: GPL-2.0-only
"""From a file to its model, or to all that is wrong with the file."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from lab.config.format import Format, M
from lab.config.messages import flaws_of, nothings
from lab.config.problems import FileErrors, Problem
from lab.config.yaml_file import START, Flaw, Map, Mark, decode, parse
from lab.errors import UserError


def read(path: Path, form: Format[M], context: Mapping[str, Any] | None = None) -> M:
    """Return the model of a file. `context` is for the model's validators.

    Raises `FileErrors` with all that is wrong with the file, each problem with its place,
    and `UserError` if it can't be read.
    """
    data, flaws = parse_file(path, form)
    unsure = {flaw.mark for flaw in flaws}
    flaws += nothings(data)
    part, invalid = validate(data, form, path, context, {flaw.mark for flaw in flaws})
    # Of a place that is not YAML as meant, nothing more is known.
    flaws += [flaw for flaw in invalid if flaw.mark not in unsure]
    if part is None or flaws:
        raise FileErrors(Problem.of(str(path), flaw) for flaw in flaws)
    return part


def parse_file(path: Path, form: Format[Any]) -> tuple[Map, list[Flaw]]:
    """Return the mapping in a file, and what is wrong with its YAML.

    Raises `FileErrors` if there is no mapping in it, and `UserError` if it can't be read.
    """
    try:
        text, flaws = decode(path.read_bytes())
    except OSError as error:
        hint = f"name {form.one}'s file"
        raise UserError(f"{path}: {error.strerror}", hint=hint) from error
    data = None
    if text is not None:
        data, flaws = parse(text, noun=form.noun, reuse=form.reuse)
        if data is not None and not isinstance(data, Map):
            flaws.append(Flaw(START, f"expected a mapping: keys such as {form.sample}"))
    if not isinstance(data, Map):
        raise FileErrors(Problem.of(str(path), flaw) for flaw in flaws)
    return data, flaws


def validate(
    data: Map,
    form: Format[M],
    path: Path,
    context: Mapping[str, Any] | None = None,
    known_places: Collection[Mark] = (),
) -> tuple[M | None, list[Flaw]]:
    """Return the model of a mapping, or None and what is wrong with it.

    `path` is the file that parts name as their place. `known_places` are those of flaws
    that were found before: an unknown key there is not reported again.
    """
    try:
        return form.model.model_validate(data, context={**(context or {}), "file": str(path)}), []
    except ValidationError as error:
        return None, flaws_of(error, data, form, known_places)
