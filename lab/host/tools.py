# SPDX-License-Identifier: GPL-2.0-only
"""Find the programs that the lab runs on the host, and check their versions."""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from lab.errors import LabError, UserError
from lab.host import process

Version = tuple[int, ...]

# Debian's folders for administrators' programs; not in every user's PATH.
_MORE_FOLDERS = ("/usr/local/sbin", "/usr/sbin", "/sbin")
_VERSION_SECONDS = 20.0


@dataclass(frozen=True)
class Tool:
    """A program, its Debian package, and its purpose.

    `minimum` is the oldest version that works, empty if all versions do.
    `ask` holds the arguments that make it print its version.
    """

    name: str
    package: str
    why: str
    minimum: Version = ()
    ask: tuple[str, ...] = ("--version",)
    required: bool = True
    minimum_why: str = ""


@dataclass(frozen=True)
class Found:
    """A tool that is installed. `version` is empty if it did not print one."""

    tool: Tool
    path: Path
    version: Version

    @property
    def new_enough(self) -> bool:
        return not self.tool.minimum or self.version >= self.tool.minimum


TOOLS = (
    Tool(
        "qemu-system-x86_64",
        "qemu-system-x86",
        "runs the guests",
        (7, 2),
        minimum_why="the events and the snapshots that the lab relies on",
    ),
    Tool("gcc", "gcc", "builds kernels, loader and triggers", (8,), ("-dumpfullversion",)),
    Tool("make", "make", "builds kernels", (4,)),
    Tool("flex", "flex", "builds kernels"),
    Tool("bison", "bison", "builds kernels"),
    Tool("bc", "bc", "builds kernels", ask=()),
    Tool("ld", "binutils", "links kernels", (2, 25)),
    Tool("strip", "binutils", "makes the kernel that is booted from the one with symbols"),
    Tool("patch", "patch", "applies the flavors' patches"),
    Tool("perl", "perl", "builds kernels", ask=("-e", "print substr($^V, 1)")),
    Tool("xz", "xz-utils", "unpacks kernel sources"),
    Tool("tar", "tar", "unpacks kernel sources"),
    Tool("depmod", "kmod", "builds kernels"),
    Tool("cpio", "cpio", "builds kernels"),
    Tool(
        "pahole",
        "pahole",
        "makes a kernel's BTF",
        (1, 22),
        minimum_why="what the kernel's own build asks for",
    ),
    Tool(
        "clang",
        "clang-19",
        "compiles extensions in C",
        (16,),
        minimum_why="BTF of what extensions declare, and -mcpu=v3",
    ),
    Tool("llvm-strip", "llvm", "strips extensions in C", required=False),
    Tool("bpftool", "bpftool", "writes CO-RE headers", ask=("version",)),
    Tool("busybox", "busybox-static", "goes into the image", ask=()),
    Tool("dropbear", "dropbear-bin", "goes into the image", ask=("-V",)),
    Tool("setpriv", "util-linux", "ties guests' lives to the lab's"),
    Tool("git", "git", "fetches kernels, and reports the version of the lab"),
    Tool("gdb", "gdb", "`lab shell --gdb`", required=False),
    Tool("ssh", "openssh-client", "`lab shell` over SSH", ask=("-V",), required=False),
    Tool("shellcheck", "shellcheck", "`./lab.sh test`", required=False),
)

BY_NAME = {tool.name: tool for tool in TOOLS}


def search_path() -> str:
    """Return PATH with the folders of administrators' programs appended."""
    return os.pathsep.join([os.environ.get("PATH", os.defpath), *_MORE_FOLDERS])


def locate(name: str) -> Path | None:
    """Return the path of a program, or None; the newest one for `clang` and `llvm-…` tools."""
    if name == "clang" or name.startswith("llvm-"):
        return _newest(name)
    found = shutil.which(name, path=search_path())
    return Path(found) if found else None


def find(tool: Tool) -> Found | None:
    """Return a tool and its version, or None if it isn't installed."""
    path = locate(tool.name)
    return Found(tool, path, version_of(path, tool.ask)) if path else None


def require(name: str) -> Path:
    """Return the path of a program. Raises `UserError` that names the package to install."""
    path = locate(name)
    if path is None:
        tool = BY_NAME.get(name)
        why = f" ({tool.why})" if tool else ""
        package = tool.package if tool else name
        raise UserError(f"{name} is not installed{why}", hint=f"apt-get install {package}")
    return path


def version_of(path: Path, ask: tuple[str, ...] = ("--version",)) -> Version:
    """Return the first version number that a program prints; empty if it prints none."""
    if not ask:
        return ()
    try:
        result = process.run([path, *ask], check=False, timeout=_VERSION_SECONDS)
    except LabError:
        return ()
    return parse_version(f"{result.stdout}\n{result.stderr}")


def parse_version(text: str) -> Version:
    """Return the first dotted number in a text, or else the first after a space or a `v`."""
    match = re.search(r"\d+(?:\.\d+)+", text) or re.search(r"(?:^|[\sv])(\d+)\b", text)
    if not match:
        return ()
    digits = match.group(match.lastindex or 0)
    return tuple(int(part) for part in digits.split("."))


def dotted(version: Version) -> str:
    """Return a version as text: `1.2.3`."""
    return ".".join(map(str, version))


def _newest(name: str) -> Path | None:
    """Return the newest of `clang`, `clang-14`, `clang-19`; one without a number is run."""
    pattern = re.compile(rf"{re.escape(name)}-(\d+)$")
    best: tuple[int, Path] | None = None
    for folder in dict.fromkeys(search_path().split(os.pathsep)):
        base = Path(folder)
        for path in sorted(base.glob(f"{name}-*")) if base.is_dir() else []:
            match = pattern.match(path.name)
            if match and os.access(path, os.X_OK):
                number = int(match.group(1))
                if best is None or number > best[0]:
                    best = (number, path)
    plain = shutil.which(name, path=search_path())
    if plain:
        version = version_of(Path(plain))
        if best is None or (version and version[0] > best[0]):
            return Path(plain)
    return best[1] if best else None
