# SPDX-License-Identifier: GPL-2.0-only
"""Unpack a distribution's packages of kernels, without installing or building anything."""

from __future__ import annotations

import gzip
import lzma
import re
import shutil
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

from lab.config.suggest import closest
from lab.errors import UserError
from lab.host import process
from lab.kernel import apt, artifact, bootimage
from lab.stages import Stages


def unpack_package(
    package: apt.Package, modules: Iterable[str], folder: Path, stages: Stages, seconds: float = 0.0
) -> None:
    """Fill the entry `folder` from the package: image, configuration, BTF, modules in order."""
    with TemporaryDirectory(dir=folder, prefix=".unpack-") as aside:
        root = Path(aside) / "root"
        with stages.stage("fetch"):
            file = apt.download(package, Path(aside))
        with stages.stage("unpack"):
            process.run(["dpkg-deb", "-x", file, root])
            fill(root, modules, folder, source={"deb": package.name, "version": package.version})


def fill(root: Path, modules: Iterable[str], folder: Path, *, source: dict[str, str]) -> None:
    """Fill the entry `folder` from an unpacked package at `root`."""
    images = sorted((root / "boot").glob("vmlinuz-*"))
    if not images:
        raise UserError(
            f"{source.get('deb', root)} holds no kernel image",
            hint="name the package of the image itself (linux-image-6.12.*-cloud-amd64), "
            "not the one that depends on it",
        )
    release = images[0].name.removeprefix("vmlinuz-")
    shutil.copyfile(images[0], folder / "bzImage")
    shutil.copyfile(root / "boot" / f"config-{release}", folder / "config")
    parts = {"boot": "bzImage", "bzimage": "bzImage", "config": "config"}
    elf = bootimage.extract_vmlinux(images[0])
    btf = bootimage.section(elf, ".BTF")
    if btf:
        (folder / "btf").write_bytes(btf)
        parts["btf"] = "btf"
    if re.search(r"^CONFIG_PVH=y$", (folder / "config").read_text(), re.MULTILINE):
        # Booting it directly spares the guest the decompression.
        (folder / "vmlinux.boot").write_bytes(elf)
        parts["boot"] = "vmlinux.boot"
    libraries = root / "lib" / "modules" / release
    if not libraries.is_dir():
        libraries = root / "usr" / "lib" / "modules" / release
    ordered = Modules(libraries).ordered(modules)
    (folder / "modules").mkdir()
    files = []
    for number, path in enumerate(ordered):
        name = f"modules/{number:02d}-{_module_name(path)}.ko"
        (folder / name).write_bytes(read_module(path))
        files.append(name)
    artifact.write_record(folder, release=release, parts=parts, modules=tuple(files), source=source)


def read_module(path: Path) -> bytes:
    """Return a module's ELF file, decompressed."""
    data = path.read_bytes()
    match path.suffix:
        case ".xz":
            return lzma.decompress(data)
        case ".gz":
            return gzip.decompress(data)
        case ".zst":
            return bootimage.unzstd(data)
    return data


class Modules:
    """The modules of an unpacked package (`lib/modules/<release>`)."""

    def __init__(self, folder: Path) -> None:
        self._files = {_module_name(path): path for path in folder.rglob("*.ko*") if path.is_file()}
        builtin = folder / "modules.builtin"
        self._builtin = (
            {_module_name(Path(line)) for line in builtin.read_text().split()}
            if builtin.is_file()
            else set()
        )

    def ordered(self, wanted: Iterable[str]) -> list[Path]:
        """Return the files of the modules and of all their dependencies, dependencies first."""
        result: dict[str, Path] = {}
        for name in wanted:
            self._add(_module_name(Path(name)), (), result)
        return list(result.values())

    def _add(self, name: str, chain: tuple[str, ...], result: dict[str, Path]) -> None:
        if name in result or name in self._builtin:
            return
        path = self._files.get(name)
        if path is None:
            close = closest(name, {*self._files, *self._builtin})
            needed = f", which {chain[-1]} needs" if chain else ""
            raise UserError(
                f"the kernel has no module {name!r}{needed}",
                hint=f"did you mean '{close}'?" if close else "it may have another name there",
            )
        if name in chain:
            raise UserError(f"modules depend on each other: {' -> '.join((*chain, name))}")
        for dependency in dependencies(read_module(path)):
            self._add(dependency, (*chain, name), result)
        result[name] = path


def dependencies(module: bytes) -> list[str]:
    """Return the names of a module's dependencies, from its `.modinfo`."""
    info = bootimage.section(module, ".modinfo") or b""
    for field in info.split(b"\0"):
        key, _, value = field.decode(errors="replace").partition("=")
        if key == "depends":
            return [_module_name(Path(name)) for name in value.split(",") if name]
    return []


def _module_name(path: Path) -> str:
    """Return the module's name as the kernel writes it: without suffix, with underscores."""
    return path.name.split(".ko")[0].replace("-", "_")
