# SPDX-License-Identifier: GPL-2.0-only
"""What a built, unpacked or borrowed kernel is to the rest of the lab."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path


@dataclass(frozen=True)
class Kernel:
    """A kernel that can be booted, and what belongs to it.

    `boot` is what QEMU is given: a stripped `vmlinux` with a PVH entry, or a
    bzImage. `modules` are files that the image must hold, in the order in
    which the guest loads them. `build_tree` is where modules can be built
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
    vmlinux: Path | None = None
    btf: Path | None = None
    symvers: Path | None = None
    build_tree: Path | None = None
    modules: tuple[Path, ...] = ()

    @cached_property
    def symbols(self) -> dict[str, str]:
        """The configuration: symbol with its CONFIG_ prefix -> `y`, `m`, a number, a string."""
        values = {}
        for line in self.config.read_text().splitlines():
            name, equals, value = line.partition("=")
            if equals and name.startswith("CONFIG_"):
                values[name] = value.strip('"')
        return values

    def has(self, symbol: str) -> bool:
        """Whether a symbol (`CONFIG_BPF`) is built in or a module."""
        return self.symbols.get(symbol) in ("y", "m")
