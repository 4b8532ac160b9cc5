# SPDX-License-Identifier: GPL-2.0-only
"""Read configuration fragments, and check that a kernel's configuration grants them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from lab.errors import UserError
from lab.kernel.kconfig.tree import Tree


@dataclass(frozen=True)
class Request:
    """One line of a fragment: `value` is `y`, `m`, `n`, a number, or a string with its quotes."""

    symbol: str
    value: str
    file: Path
    line: int

    @property
    def where(self) -> str:
        return f"{self.file}:{self.line}"

    @property
    def name(self) -> str:
        """The symbol as Kconfig names it, without CONFIG_."""
        return self.symbol.removeprefix("CONFIG_")


_ASSIGNMENT = re.compile(r'^(CONFIG_[A-Za-z0-9_]+)=("(?:[^"\\]|\\.)*"|[^\s#"]+)\s*(?:#.*)?$')
_UNSET = re.compile(r"^# (CONFIG_[A-Za-z0-9_]+) is not set\s*$")


def read_fragments(files: Iterable[Path]) -> dict[str, Request]:
    """Return the requests by symbol; a later one replaces an earlier one.

    A line is `CONFIG_X=value`, optionally followed by `# reason`, or a comment.
    Raises `UserError` that lists all other lines.
    """
    requests: dict[str, Request] = {}
    bad = []
    for file in files:
        for number, line in enumerate(file.read_text().splitlines(), 1):
            text = line.strip()
            if match := _UNSET.match(text):
                request = Request(match[1], "n", file, number)
            elif not text or text.startswith("#"):
                continue
            elif match := _ASSIGNMENT.match(text):
                request = Request(match[1], match[2], file, number)
            else:
                bad.append(f"{file}:{number}: {text}")
                continue
            requests[request.symbol] = request
    if bad:
        raise UserError(
            "a fragment has lines that are not configuration",
            details="\n".join(bad),
            hint="write CONFIG_NAME=value  # reason",
        )
    return requests


def merged(requests: Mapping[str, Request]) -> str:
    """Return the text of a file for KCONFIG_ALLCONFIG, which allows no comment after a value."""
    return "".join(f"{request.symbol}={request.value}\n" for request in requests.values())


def read_config(file: Path) -> dict[str, str]:
    """Return the symbols of a `.config` with values as written; those that are off are missing.

    Strings keep their quotes.
    """
    values = {}
    for line in file.read_text().splitlines():
        name, equals, value = line.partition("=")
        if equals and name.startswith("CONFIG_"):
            values[name] = value
    return values


def unmet(requests: Mapping[str, Request], config: Mapping[str, str]) -> list[Request]:
    """Return the requests that the configuration does not grant."""
    return [
        request
        for request in requests.values()
        if _plain(config.get(request.symbol, "n")) != _plain(request.value)
    ]


def _plain(value: str) -> str:
    """Return a normal form that compares equal for equal settings: 0x10 is 16, "" is off."""
    if value in ("", '""'):
        return "n"
    try:
        return str(int(value, 0))
    except ValueError:
        return value


def check(requests: Mapping[str, Request], config_file: Path, tree: Path) -> None:
    """Raise `UserError` with each request that was not granted, and the reasons."""
    config = read_config(config_file)
    missing = unmet(requests, config)
    if not missing:
        return
    kconfig = Tree.parse(tree, {name.removeprefix("CONFIG_"): v for name, v in config.items()})
    lines = []
    for request in missing:
        got = config.get(request.symbol, "n")
        lines.append(f"{request.where}: {request.symbol}={request.value} became {got}")
        lines += [f"    {reason}" for reason in kconfig.why_not(request.name, request.value)]
    plural = "s are" if len(missing) > 1 else " is"
    raise UserError(
        f"{len(missing)} requested symbol{plural} not in the kernel's configuration: "
        + ", ".join(request.symbol for request in missing[:5])
        + (", ..." if len(missing) > 5 else ""),
        details="\n".join(lines),
        hint="ask for the unmet dependency in a fragment too, or drop the request",
    )
