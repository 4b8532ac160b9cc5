# SPDX-License-Identifier: GPL-2.0-only
"""Unpack Debian packages without installing them, and without root."""

from __future__ import annotations

from pathlib import Path

from lab import events
from lab.cache import Cache, key_of
from lab.errors import InfraError, UserError
from lab.host import process

_DOWNLOAD_SECONDS = 300.0
_HINT = "refresh apt's lists (apt-get update), or install the package"


# The packages that a package needs to run, without those that are only recommended.
_DEPENDS = (
    *("apt-cache", "depends", "--recurse", "--no-recommends", "--no-suggests"),
    *("--no-conflicts", "--no-breaks", "--no-replaces", "--no-enhances"),
)
# Without it apt warns that its own user can't write into the cache's folders.
_DOWNLOAD = ("apt-get", "-q", "-o", "APT::Sandbox::User=root", "download")


def unpacked(package: str, cache: Cache, emit: events.Emit = events.ignore) -> Path:
    """Return a folder that holds a package and all its dependencies as a root file system.

    The packages are downloaded the first time; the entry's key holds the versions
    that apt would fetch. Raises `UserError` if apt does not know a package or cannot
    fetch it.
    """
    try:
        depends = process.run([*_DEPENDS, package], timeout=_DOWNLOAD_SECONDS).stdout
        packages = parse_depends(depends)
        uris = process.run([*_DOWNLOAD, "--print-uris", *packages], timeout=_DOWNLOAD_SECONDS)
    except InfraError as error:
        raise UserError(
            f"apt has no package {package}", hint=_HINT, details=error.details
        ) from error
    # Each line names the address, the file (with its version), size and digest.
    versions = sorted(line.split()[1:] for line in uris.stdout.splitlines() if line.startswith("'"))

    def build(folder: Path) -> None:
        emit(events.Notice(f"downloading package {package} and {len(packages) - 1} that it needs"))
        debs = folder / ".debs"
        debs.mkdir()
        try:
            process.run([*_DOWNLOAD, *packages], cwd=debs, timeout=_DOWNLOAD_SECONDS)
        except InfraError as error:
            raise UserError(
                f"cannot download package {package}", hint=_HINT, details=error.details
            ) from error
        for deb in sorted(debs.glob("*.deb")):
            process.run(["dpkg-deb", "-x", deb, folder])
            deb.unlink()
        debs.rmdir()

    key = key_of(package=package, versions=versions)
    return cache.get("deb", key, build, what=f"package {package}")


def parse_depends(text: str) -> list[str]:
    """Return the real packages that `apt-cache depends --recurse` lists.

    Dependencies are indented below their packages, and virtual packages are
    in angle brackets.
    """
    return [line for line in text.splitlines() if line and line[0] not in " |<"]
