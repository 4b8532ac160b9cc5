# SPDX-License-Identifier: GPL-2.0-only
"""Collect a built tree's files for an artifact: to boot, for symbols, and to build modules."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from lab.errors import UserError
from lab.host import process
from lab.kernel import artifact, bootimage

BZIMAGE = "arch/x86/boot/bzImage"
# Headers that no module of the lab includes: device trees of other machines.
_NO_HEADERS = ("include/dt-bindings",)


def pack(tree: Path, folder: Path, *, source: dict[str, Any], seconds: float) -> None:
    """Fill the entry `folder` from a tree that the lab built.

    Its folder `tree` is for `make -C tree M=... modules`. It has no absolute paths, so the
    cache can be moved.
    """
    parts = pack_images(tree, folder)
    shutil.copyfile(tree / "vmlinux", folder / "vmlinux")
    shutil.copyfile(tree / ".config", folder / "config")
    parts |= {"vmlinux": "vmlinux", "config": "config"}
    if (tree / "Module.symvers").is_file():
        shutil.copyfile(tree / "Module.symvers", folder / "Module.symvers")
        parts["symvers"] = "Module.symvers"
        module_tree(tree, folder / "tree")
        parts["build_tree"] = "tree"
    artifact.write_record(
        folder, release=release_of_tree(tree), parts=parts, source=source, seconds=seconds
    )


def pack_images(tree: Path, folder: Path) -> dict[str, str]:
    """Copy the bzImage, a stripped vmlinux to boot and the BTF of a built tree.

    Returns the names of the files by field of `Kernel`.
    """
    shutil.copyfile(tree / BZIMAGE, folder / "bzImage")
    parts = {"bzimage": "bzImage", "boot": "bzImage"}
    btf = bootimage.section(tree / "vmlinux", ".BTF")
    if btf:
        (folder / "btf").write_bytes(btf)
        parts["btf"] = "btf"
    if "CONFIG_PVH=y\n" in (tree / ".config").read_text():
        # QEMU starts it at its PVH entry, without decompression. It is small without debug
        # information.
        process.run(["strip", "-g", "-o", folder / "vmlinux.boot", tree / "vmlinux"])
        parts["boot"] = "vmlinux.boot"
    return parts


def release_of_tree(tree: Path) -> str:
    """Return the release (`uname -r`) of a built tree."""
    written = tree / "include" / "config" / "kernel.release"
    if written.is_file():
        return written.read_text().strip()
    return bootimage.release_of(tree / BZIMAGE)


def module_tree(tree: Path, folder: Path) -> None:
    """Copy what building external modules needs from a built tree; modification times are kept."""
    for path in _wanted(tree):
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(tree / path, target, follow_symlinks=False)
    # Kbuild's modfinal step generates the BTF of modules from it.
    (folder / "vmlinux").symlink_to("../vmlinux")


def _wanted(tree: Path) -> Iterator[Path]:
    """Yield the paths of the files, relative to the tree."""
    for name in (
        "Makefile", "Kbuild", "Kconfig", ".config", "Module.symvers",
        "tools/objtool/objtool", "tools/bpf/resolve_btfids/resolve_btfids",
        "arch/x86/Kbuild", "arch/x86/tools/relocs",
    ):  # fmt: skip
        if (tree / name).is_file():
            yield Path(name)
    for path in sorted((tree / "arch" / "x86").glob("Makefile*")):
        yield path.relative_to(tree)
    yield from _files(tree, ("arch/x86/include", "include", "scripts"))


def _files(tree: Path, folders: Iterable[str]) -> Iterator[Path]:
    for top in folders:
        for place, names, files in os.walk(tree / top):
            relative = Path(place).relative_to(tree)
            names[:] = [name for name in names if str(relative / name) not in _NO_HEADERS]
            for name in files:
                if not name.endswith((".o", ".cmd")):
                    yield relative / name


def check_tree(path: Path) -> None:
    """Raise `UserError` unless `path` is a tree with a built kernel for x86-64."""
    if not path.is_dir():
        raise UserError(f"no kernel tree at {path}", hint="paths are relative to the flavor")
    missing = [name for name in (BZIMAGE, "vmlinux", ".config") if not (path / name).is_file()]
    if missing:
        raise UserError(
            f"{path} is not a built kernel tree: no {', no '.join(missing)}",
            hint=f"`make -C {path} bzImage` builds it",
        )
    with (path / "vmlinux").open("rb") as stream:
        if stream.read(4) != b"\x7fELF":
            raise UserError(f"{path}/vmlinux is not an ELF file", hint="build the tree again")
