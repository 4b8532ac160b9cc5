# SPDX-License-Identifier: GPL-2.0-only
"""Check what the lab needs of its host: tools, headers, sources, memory, disk.

Each check reports what it found and, if that is not enough, what to do. The
accelerators are checked in lab/vm/accel.py, because that needs a guest.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import psutil

from lab.errors import LabError
from lab.host import packages, process, tools

Status = Literal["ok", "warning", "missing"]

JSON_VERSION = 1
MIN_PYTHON = (3, 11)
DEFAULT_SOURCE = "linux-source-6.12"

_GIB = 1 << 30
# Measured for one flavor from source: 1.7 GiB unpacked, 1.2 GiB built, 0.4 GiB
# of artifacts; a second flavor shares the source.
_DISK_LEAST, _DISK_GOOD = 4 * _GIB, 8 * _GIB
# The link of a kernel with BTF takes 1.5 GiB, two guests at once 0.6 GiB.
_MEMORY_LEAST, _MEMORY_GOOD = 2 * _GIB, 4 * _GIB
_APT_SECONDS = 60.0

_TREE_HINT = (
    "use a flavor whose source is a tarball or a built tree (`tarball:` or `tree:` in kernel.yaml)"
)


@dataclass(frozen=True)
class Check:
    """The result of one check. `missing` means that the lab can't work."""

    name: str
    status: Status
    detail: str
    remedy: str = ""


def usable(checks: Iterable[Check]) -> bool:
    """Return whether the lab can work on this host."""
    return all(check.status != "missing" for check in checks)


def as_json(checks: Sequence[Check]) -> dict[str, Any]:
    """Return the checks as plain data with a version."""
    return {
        "version": JSON_VERSION,
        "usable": usable(checks),
        "checks": [
            {
                "name": check.name,
                "status": check.status,
                "detail": check.detail,
                "remedy": check.remedy,
            }
            for check in checks
        ],
    }


def host_checks(cache_root: Path) -> Iterator[Check]:
    """Yield the results of all checks that need no guest, each as soon as it is known."""
    yield python_check(tuple(sys.version_info[:3]))
    yield distribution_check(*packages.distribution())
    for tool in tools.TOOLS:
        yield tool_check(tool, tools.find(tool))
    yield from package_checks()
    yield source_check(DEFAULT_SOURCE)
    yield processors_check(len(os.sched_getaffinity(0)))
    memory = psutil.virtual_memory()
    yield memory_check(memory.total, memory.available)
    yield disk_check(cache_root, _free(cache_root))


def python_check(version: tuple[int, ...]) -> Check:
    """Check the version of the Python that runs the lab."""
    text = tools.dotted(version)
    if version[:2] >= MIN_PYTHON:
        return Check("python", "ok", text)
    wanted = tools.dotted(MIN_PYTHON)
    return Check(
        "python", "missing", f"{text}, at least {wanted} is needed", "apt-get install python3"
    )


def distribution_check(name: str, version: str, pretty: str) -> Check:
    """Check that the packages exist under the names that the lab knows."""
    if (name, version) in packages.SUPPORTED:
        return Check("distribution", "ok", pretty)
    detail = f"{pretty or 'unknown'}: the lab is tested on Debian 12 and 13"
    if name == "ubuntu":
        detail += f"; Ubuntu has no package {DEFAULT_SOURCE}, rustc-web or bpftool"
        remedy = f"{_TREE_HINT}; bpftool is in linux-tools-generic"
    else:
        remedy = f"install by hand what the lines below call missing; for kernels, {_TREE_HINT}"
    return Check("distribution", "warning", detail, remedy)


def tool_check(tool: tools.Tool, found: tools.Found | None) -> Check:
    """Check a tool and its version."""
    bad: Status = "missing" if tool.required else "warning"
    install = f"apt-get install {tool.package}"
    if found is None:
        return Check(tool.name, bad, f"not installed; {tool.why}", install)
    version = tools.dotted(found.version)
    where = f"{version} ({found.path})" if version else str(found.path)
    if not found.new_enough:
        reason = f" for {tool.minimum_why}" if tool.minimum_why else ""
        detail = f"{where}, at least {tools.dotted(tool.minimum)} is needed{reason}"
        return Check(tool.name, bad, detail, install)
    return Check(tool.name, "ok", where)


def package_checks(root: Path = Path("/")) -> Iterator[Check]:
    """Check the packages that are not tools: headers and static libraries."""
    for package in packages.listed():
        if all(shown.startswith("/") for either in package.shown_by for shown in either):
            absent = packages.absent(package, root)
            install = f"apt-get install {package.name}"
            if absent:
                detail = f"no {', '.join(absent)}; {package.why}"
                yield Check(package.name, "missing", detail, install)
            else:
                yield Check(package.name, "ok", "its files are there")


def source_check(package: str) -> Check:
    """Check that apt can provide the kernel source from which most flavors are built."""
    name = f"package {package}"
    try:
        shown = process.run(
            ["apt-cache", "policy", package], check=False, timeout=_APT_SECONDS
        ).stdout
    except LabError:
        return Check(name, "warning", "there is no apt on this host", _TREE_HINT)
    fields = dict(line.strip().partition(": ")[::2] for line in shown.splitlines())
    installed, candidate = fields.get("Installed", "(none)"), fields.get("Candidate", "(none)")
    if installed != "(none)":
        return Check(name, "ok", f"{installed} is installed")
    if candidate != "(none)":
        return Check(name, "ok", f"{candidate} can be downloaded")
    detail = "apt knows no such package, so the flavors made from it can't be built"
    return Check(name, "warning", detail, f"apt-get update; or {_TREE_HINT}")


def processors_check(count: int) -> Check:
    """Check the number of processors that the lab may use."""
    if count >= 2:
        return Check("processors", "ok", str(count))
    return Check(
        "processors",
        "warning",
        "1: guests have 2 CPUs, and share this one",
        "give the host a second",
    )


def memory_check(total: int, available: int) -> Check:
    """Check the host's memory, in bytes."""
    detail = f"{available / _GIB:.1f} GiB of {total / _GIB:.1f} GiB are free"
    if available < _MEMORY_LEAST:
        least = f"{_MEMORY_LEAST // _GIB} GiB"
        return Check("memory", "missing", f"{detail}, {least} are needed", "free some memory")
    if available < _MEMORY_GOOD:
        return Check(
            "memory", "warning", f"{detail}: a kernel's link may be slow", "free some memory"
        )
    return Check("memory", "ok", detail)


def disk_check(root: Path, free: int) -> Check:
    """Check the free space for the cache, in bytes."""
    detail = f"{free / _GIB:.1f} GiB are free for {root}"
    remedy = "free some space, or let LAB_CACHE name a folder on a larger disk"
    if free < _DISK_LEAST:
        least = f"{_DISK_LEAST // _GIB} GiB"
        return Check("disk", "missing", f"{detail}, one kernel needs {least}", remedy)
    if free < _DISK_GOOD:
        return Check("disk", "warning", f"{detail}: room for one kernel", remedy)
    return Check("disk", "ok", detail)


def _free(path: Path) -> int:
    while not path.exists():
        path = path.parent
    return shutil.disk_usage(path).free
