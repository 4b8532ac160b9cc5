# SPDX-License-Identifier: GPL-2.0-only
"""Find and download packages of Debian's archive with apt, without installing them."""

from __future__ import annotations

import fnmatch
import functools
import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

from lab.atomic import atomic_write
from lab.cache import Cache, key_of
from lab.errors import UserError
from lab.host import process

LISTS = Path("/var/lib/apt/lists")
DOWNLOADS = "download"
# Suffixes of Debian's packages that do not hold another bootable kernel.
_NOT_BOOTABLE = ("-dbg", "-unsigned")


@dataclass(frozen=True)
class Package:
    """One version of one package; `sha256` is that of its .deb file."""

    name: str
    version: str
    sha256: str


def resolve(pattern: str, cache: Cache) -> Package:
    """Return the newest package that matches the pattern.

    Asking apt takes most of a second. So its answer is cached until its lists change; if the
    lists disappear, the last answer stays valid. Raises `UserError` if apt knows no package.
    """
    memo = cache.root / "apt" / f"{key_of(pattern=pattern)}.json"
    stamp = _lists_stamp()
    known = _read_memo(memo)
    if known is not None and stamp is not None and known[0] == stamp:
        return known[1]
    package = _ask(pattern)
    if package is None:
        if known is not None:
            return known[1]
        raise UserError(
            f"apt knows no package {pattern}",
            hint="`apt-get update` (as root) reads the lists; on another distribution use a "
            "flavor with a tarball or a tree",
        )
    _write_memo(memo, stamp, package)
    return package


def download(package: Package, folder: Path) -> Path:
    """Fetch the package's .deb into `folder`; apt checks its signature chain."""
    process.run(
        [
            "apt-get", "-q", "-o", "APT::Sandbox::User=root",
            "download", f"{package.name}={package.version}",
        ],
        cwd=folder,
        hint="`apt-get update` (as root) refreshes the lists if the version is gone",
    )  # fmt: skip
    found = sorted(folder.glob(f"{package.name}_*.deb"))
    if not found:
        raise UserError(f"apt-get downloaded no file of {package.name}")
    return found[0]


def installed_version(name: str) -> str | None:
    """Return the version of an installed package; None if it is not installed, or without dpkg."""
    if shutil.which("dpkg-query") is None:
        return None
    result = process.run(
        ["dpkg-query", "--show", "--showformat=${db:Status-Status} ${Version}", name], check=False
    )
    status, _, version = result.stdout.partition(" ")
    return version.strip() if result.ok and status == "installed" else None


def _lists_stamp() -> int | None:
    try:
        return LISTS.stat().st_mtime_ns
    except OSError:
        return None


def _read_memo(path: Path) -> tuple[int | None, Package] | None:
    try:
        data = json.loads(path.read_text())
        return data["stamp"], Package(**data["package"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write_memo(path: Path, stamp: int | None, package: Package) -> None:
    atomic_write(path, json.dumps({"stamp": stamp, "package": asdict(package)}))


def _ask(pattern: str) -> Package | None:
    if shutil.which("apt-cache") is None:
        return None
    prefix = pattern.split("*")[0].split("?")[0].split("[")[0]
    listed = process.run(["apt-cache", "pkgnames", prefix], check=False).stdout.split()
    names = sorted(
        name
        for name in listed
        if fnmatch.fnmatchcase(name, pattern) and not name.endswith(_NOT_BOOTABLE)
    )
    if not names:
        return None
    # apt's index keeps the names of removed packages, but has no record of them.
    shown = process.run(["apt-cache", "show", "--no-all-versions", *names], check=False).stdout
    packages = [package for stanza in shown.split("\n\n") if (package := _parse(stanza))]
    return max(packages, key=functools.cmp_to_key(_compare), default=None)


def _parse(stanza: str) -> Package | None:
    fields = dict(line.split(": ", 1) for line in stanza.splitlines() if ": " in line[:40])
    try:
        return Package(fields["Package"], fields["Version"], fields["SHA256"])
    except KeyError:
        return None


def _compare(one: Package, other: Package) -> int:
    """Order by version as dpkg defines it, then by name."""
    if one.version != other.version:
        newer = process.run(
            ["dpkg", "--compare-versions", one.version, "gt", other.version], check=False
        )
        return 1 if newer.ok else -1
    return (one.name > other.name) - (one.name < other.name)
