# SPDX-License-Identifier: GPL-2.0-only
"""What a built, unpacked or borrowed kernel is to the rest of the lab."""

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

    `boot` is what QEMU is given: a stripped `vmlinux` with a PVH entry, or a
    bzImage. `modules` are files that the image must hold, in the order in
    which the guest loads them. `memory` is what a guest has at least, in MiB.
    `build_tree` is where modules can be built
    against the kernel (after `modules_prepare`), `vmlinux` has symbols and
    DWARF; both are None where the source of the kernel does not give them.
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


# What an entry of the cache may hold, by the name of its field in `Kernel`.
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

    `parts` are paths by field of `Kernel`, relative to the entry (or absolute
    where the file is its owner's); `source` says where the kernel came from,
    `seconds` how long the building took.
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
    """What `write_record` wrote."""
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
    """The kernel that an entry of the cache holds."""
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
