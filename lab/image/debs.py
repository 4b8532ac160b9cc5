# SPDX-License-Identifier: GPL-2.0-only
"""Debian packages unpacked without being installed, and without root."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lab import events
from lab.cache import Cache, key_of
from lab.errors import InfraError, UserError
from lab.host import process

_DOWNLOAD_SECONDS = 300.0
_HINT = "refresh apt's lists (apt-get update), or install the package"


def unpacked(packages: Sequence[str], cache: Cache, emit: events.Emit = events.ignore) -> Path:
    """A folder with the packages' files, as if it were the root; downloaded at the first time.

    The entry's key holds the versions that apt would fetch. Raises
    `UserError` where apt does not know or cannot fetch a package.
    """
    try:
        uris = process.run(
            ["apt-get", "download", "--print-uris", *packages], timeout=_DOWNLOAD_SECONDS
        )
    except InfraError as error:
        raise UserError(
            f"apt has no package {' '.join(packages)}", hint=_HINT, details=error.details
        ) from error
    # Each line names the address, the file (with its version), size and digest.
    versions = sorted(line.split()[1:] for line in uris.stdout.splitlines() if line.startswith("'"))

    def build(folder: Path) -> None:
        emit(events.Notice(f"downloading {', '.join(packages)}"))
        debs = folder / ".debs"
        debs.mkdir()
        try:
            process.run(["apt-get", "download", *packages], cwd=debs, timeout=_DOWNLOAD_SECONDS)
        except InfraError as error:
            raise UserError(
                f"cannot download {' '.join(packages)}", hint=_HINT, details=error.details
            ) from error
        for deb in sorted(debs.glob("*.deb")):
            process.run(["dpkg-deb", "-x", deb, folder])
            deb.unlink()
        debs.rmdir()

    key = key_of(packages=sorted(packages), versions=versions)
    return cache.get("deb", key, build, what=f"packages {' '.join(packages)}")
