# SPDX-License-Identifier: GPL-2.0-only
"""Describe a kernel that was built, unpacked or taken from its owner's tree."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

RECORD = "kernel.json"
RECORD_VERSION = 1


@dataclass(frozen=True)
class Kernel:
    """A kernel that can be booted, and what belongs to it.

    `boot` is the file for QEMU: a stripped `vmlinux` with a PVH entry, or a bzImage.
    `modules` are files that the image must have, in the order in which the guest loads them.
    `memory` is the minimum memory of a guest, in MiB. Modules are built against `build_tree`
    (after `modules_prepare`); `vmlinux` has symbols and DWARF. Both are None if the kernel's
    source does not provide them.
    """

    flavor: str
    key: str
    release: str
    boot: Path
    bzimage: Path
    config: Path
    boot_args: tuple[str, ...]
    machine: str = "q35"
    memory: int = 0
    vmlinux: Path | None = None
    btf: Path | None = None
    symvers: Path | None = None
    build_tree: Path | None = None
    modules: tuple[Path, ...] = ()

    @cached_property
    def config_options(self) -> dict[str, str]:
        """The values of the configuration by symbol, `CONFIG_BPF`: `y`, `m`, a number, a string."""
        values = {}
        for line in self.config.read_text().splitlines():
            name, equals, value = line.partition("=")
            if equals and name.startswith("CONFIG_"):
                values[name] = value.strip('"')
        return values

    def has(self, symbol: str) -> bool:
        """Return whether a symbol (`CONFIG_BPF`) is `y` or `m`."""
        return self.config_options.get(symbol) in ("y", "m")


# Parts of an entry of the cache, by the name of their field in `Kernel`.
_PARTS = ("boot", "bzimage", "config", "vmlinux", "btf", "symvers", "build_tree")


def write_record(
    folder: Path,
    *,
    release: str,
    parts: Mapping[str, str],
    modules: tuple[str, ...] = (),
    source: Mapping[str, Any] | None = None,
    seconds: float = 0.0,
) -> None:
    """Describe the entry `folder` in its `kernel.json`.

    `parts` are paths by field of `Kernel`, relative to the entry, or absolute if the file
    belongs to the user's own tree. `source` describes the kernel's source; `seconds` is the
    duration of the build.
    """
    unknown = set(parts) - set(_PARTS)
    if unknown:
        raise ValueError(f"not parts of a kernel: {sorted(unknown)}")
    record = {
        "version": RECORD_VERSION,
        "release": release,
        "parts": dict(parts),
        "modules": list(modules),
        "source": dict(source or {}),
        "seconds": round(seconds, 1),
    }
    (folder / RECORD).write_text(json.dumps(record, indent=2) + "\n")


def read_record(folder: Path) -> dict[str, Any]:
    """Return the data that `write_record` wrote."""
    record: dict[str, Any] = json.loads((folder / RECORD).read_text())
    return record


def load_kernel(
    folder: Path,
    *,
    flavor: str,
    key: str,
    boot_args: tuple[str, ...],
    machine: str,
    memory: int = 0,
) -> Kernel:
    """Return the kernel of an entry of the cache."""
    record = read_record(folder)
    parts = {name: folder / path for name, path in record["parts"].items()}
    return Kernel(
        flavor=flavor,
        key=key,
        release=record["release"],
        boot=parts["boot"],
        bzimage=parts["bzimage"],
        config=parts["config"],
        boot_args=boot_args,
        machine=machine,
        memory=memory,
        vmlinux=parts.get("vmlinux"),
        btf=parts.get("btf"),
        symvers=parts.get("symvers"),
        build_tree=parts.get("build_tree"),
        modules=tuple(folder / path for path in record["modules"]),
    )
