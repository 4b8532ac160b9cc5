# SPDX-License-Identifier: GPL-2.0-only
"""Build a guest's root file system from Debian packages and data, without root."""

from __future__ import annotations

import glob
import gzip
import lzma
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab import events
from lab.cache import Cache, file_digest, key_of
from lab.errors import UserError
from lab.host import process
from lab.image import cpio, debs, describe, elf
from lab.workspace import Workspace

FILE_NAME = "image.cpio"
# The image of every guest so far.
DEFAULT_IMAGE = "minimal"
MODULES_FOLDER = "lib/modules-lab"
LOADER_PATH = "/usr/bin/kextload"
_LOADER_LINKS = ("/usr/bin/kexttrigger", "/usr/bin/kextwitness")

# Part of every key: increase it when the same inputs have to give other bytes.
_FORMAT = 1
_BUSYBOX = "/bin/busybox"


@dataclass(frozen=True)
class Image:
    """A built image: the archive, its key in the cache, and its size in bytes."""

    path: Path
    key: str
    size: int


@dataclass(frozen=True)
class _Content:
    """A file for the image, with its source on the host."""

    to: str
    source: Path
    mode: int


def build_image(
    workspace: Workspace,
    name: str,
    cache: Cache,
    *,
    kernel_modules: Sequence[Path] = (),
    loader: Path | None = None,
    extra: Mapping[str, Path] | None = None,
    emit: events.Emit = events.ignore,
) -> Image:
    """Return the image `name` from the cache; build it if necessary.

    The guest's init loads `kernel_modules` in their order. `extra` maps paths
    in the guest to files on the host, whose execute bits are kept. The same inputs
    give the same bytes. Raises `UserError` for an image or a file that is
    missing, or a result above the image's limit.
    """
    description, base = describe.load(workspace, name)
    contents = [
        _Content(item.to, base / item.source, item.mode) for item in description.files
    ] + _programs(description, cache, emit)
    for to, source in (
        *({LOADER_PATH: loader} if loader else {}).items(),
        *(extra or {}).items(),
    ):
        contents.append(_Content(to, source, 0o755 if _executable(source) else 0o644))
    missing = [str(item.source) for item in contents if not item.source.is_file()]
    missing += [str(module) for module in kernel_modules if not module.is_file()]
    if missing:
        raise UserError(f"image {name}: no file {', '.join(missing)}")

    key = key_of(
        format=_FORMAT,
        description=description.model_dump(),
        contents=sorted((item.to, item.mode, file_digest(item.source)) for item in contents),
        modules=[(module.name, file_digest(module)) for module in kernel_modules],
    )

    def build(into: Path) -> None:
        entries = _entries(description, contents)
        size = len(cpio.archive(entries))
        if size > description.max_bytes:
            raise UserError(
                f"image {name} would be {size} bytes, its limit is {description.max_bytes}",
                hint="leave something out, or raise max_bytes in its description",
                details=_largest(contents),
            )
        (into / FILE_NAME).write_bytes(cpio.archive(entries + _module_entries(kernel_modules)))

    path = cache.get("image", key, build, what=f"image {name}") / FILE_NAME
    return Image(path, key, path.stat().st_size)


def _programs(description: describe.Description, cache: Cache, emit: events.Emit) -> list[_Content]:
    """Return the programs and all their libraries, each once."""
    found: dict[str, _Content] = {}
    for program in description.programs:
        roots: list[Path] = []
        path = _installed(program, Path("/"))
        if path is None:
            roots = [debs.unpacked(program.package, cache, emit)]
            path = _installed(program, roots[0])
        if path is None:
            raise UserError(
                f"package {program.package} has none of {', '.join(program.source)}",
                hint="name the program's place in the image's description",
            )
        found[program.to] = _Content(program.to, path, 0o755)
        for to, library in elf.closure(path, elf.library_folders(roots)).items():
            found.setdefault(to, _Content(to, library, 0o755))
    return list(found.values())


def _installed(program: describe.Program, root: Path) -> Path | None:
    """Return the newest program below a root, or None.

    Shell wrappers do not count, nor do dynamic programs if a static one is required.
    """
    for pattern in program.source:
        for candidate in sorted(glob.glob(str(root / pattern.lstrip("/"))), reverse=True):
            path = Path(candidate).resolve()
            if elf.is_elf(path) and not (program.static and elf.needs(path).libraries):
                return path
    return None


def _executable(path: Path) -> bool:
    return path.is_file() and bool(path.stat().st_mode & 0o100)


def _entries(description: describe.Description, contents: list[_Content]) -> list[cpio.Entry]:
    entries = [cpio.directory(item.path, item.mode) for item in description.directories]
    entries += [
        cpio.character_device(item.path, item.major, item.minor, item.mode)
        for item in description.devices
    ]
    entries += [cpio.regular(item.to, item.source.read_bytes(), item.mode) for item in contents]
    taken = {entry.path for entry in entries}
    for item in contents:
        if item.to == _BUSYBOX:
            entries += _applets(item.source, taken)
        if item.to == LOADER_PATH:
            entries += [cpio.symlink(link, Path(LOADER_PATH).name) for link in _LOADER_LINKS]
    return entries


def _applets(busybox: Path, taken: set[str]) -> list[cpio.Entry]:
    """Return a link for each command of busybox; this runs the host's own busybox."""
    listed = process.run([busybox, "--list"], timeout=10).stdout.split()
    wanted = (f"bin/{applet}" for applet in sorted(set(listed)))
    return [cpio.symlink(path, "busybox") for path in wanted if path not in taken]


def _module_entries(modules: Sequence[Path]) -> list[cpio.Entry]:
    entries, order = [], []
    for module in modules:
        data = module.read_bytes()
        name = module.name
        # insmod accepts only uncompressed modules; distributions compress them.
        if name.endswith(".xz"):
            data, name = lzma.decompress(data), name.removesuffix(".xz")
        elif name.endswith(".gz"):
            data, name = gzip.decompress(data), name.removesuffix(".gz")
        entries.append(cpio.regular(f"{MODULES_FOLDER}/{name}", data))
        order.append(name)
    if order:
        lines = "".join(f"{name}\n" for name in order)
        entries.append(cpio.regular(f"{MODULES_FOLDER}/order", lines.encode()))
    return entries


def _largest(contents: list[_Content]) -> str:
    sized = sorted(((item.source.stat().st_size, item.to) for item in contents), reverse=True)
    return "\n".join(f"{size:>10}  {to}" for size, to in sized[:8])
