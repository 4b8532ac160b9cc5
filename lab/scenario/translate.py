# SPDX-License-Identifier: GPL-2.0-only
"""What validation says, in words for whoever wrote the file."""

from __future__ import annotations

from pydantic import ValidationError

from lab.scenario.yamlpos import Flaw, Map, locate


def flaws_of(error: ValidationError, data: Map) -> list[Flaw]:
    """One flaw for each error, at the place of the key or value that it is about."""
    return [
        Flaw(locate(data, each["loc"]), each["msg"]) for each in error.errors(include_url=False)
    ]
