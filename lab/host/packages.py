# SPDX-License-Identifier: GPL-2.0-only
"""The Debian packages that the lab uses, from `packages.txt`, and a check for missing ones.

A package counts as installed if its files exist; dpkg is not asked. So programs that
were installed in another way, or come from another version's package, count too.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast, get_args

from lab.host import tools

LIST = Path(__file__).with_name("packages.txt")
OS_RELEASE = Path("/etc/os-release")

Need = Literal["yes", "tests", "no"]

# Distributions on which the whole list exists under these names.
SUPPORTED = {("debian", "12"), ("debian", "13")}


@dataclass(frozen=True)
class Package:
    """A package, the signs that it is installed, and the reason for it.

    Each element of `shown_by` is a tuple of alternatives: programs, or patterns of files,
    which may be below the home folder (`~/`).
    """

    name: str
    need: Need
    shown_by: tuple[tuple[str, ...], ...]
    why: str


def parse(text: str) -> list[Package]:
    """Parse a list of packages. Raises `ValueError` that names a malformed line."""
    packages = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        fields = [field.strip() for field in line.split("|")]
        if len(fields) != 4 or not all(fields) or fields[1] not in get_args(Need):
            raise ValueError(f"line {number}: not `package | needed | shown by | why`: {line}")
        shown_by = tuple(tuple(token.split(",")) for token in fields[2].split())
        packages.append(Package(fields[0], cast(Need, fields[1]), shown_by, fields[3]))
    return packages


def listed() -> list[Package]:
    """Return the lab's own list of packages."""
    return parse(LIST.read_text())


def absent(package: Package, root: Path = Path("/")) -> list[str]:
    """Return the signs of an installed package that are missing."""
    return [
        " or ".join(alternatives)
        for alternatives in package.shown_by
        if not any(_there(shown, root) for shown in alternatives)
    ]


def distribution(path: Path = OS_RELEASE) -> tuple[str, str, str]:
    """Return ID, version and full name of the host's distribution; "" for unknown ones."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return ("", "", "")
    fields = {key: value.strip("\"'") for key, _, value in (line.partition("=") for line in lines)}
    return fields.get("ID", ""), fields.get("VERSION_ID", ""), fields.get("PRETTY_NAME", "")


def _there(shown: str, root: Path) -> bool:
    if shown.startswith("~/"):
        return any(Path.home().glob(shown[2:]))
    if shown.startswith("/"):
        return any(root.glob(shown.lstrip("/")))
    return tools.locate(shown) is not None
