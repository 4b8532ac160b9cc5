# SPDX-License-Identifier: GPL-2.0-only
"""The loader and the triggers: static C programs that run in every guest."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from lab import events
from lab.cache import Cache, file_digest, key_of
from lab.errors import UserError
from lab.host import process
from lab.paths import EXTENSIONS

LOADER = EXTENSIONS / "loader"

# Used by both programs.
_SHARED = ("answer.c", "command.c", "cpus.c", "frame.c", "json.c")

# Reproducible: no build id, no paths, no symbols.
FLAGS = (
    "-std=gnu11", "-D_GNU_SOURCE", "-O2", "-Wall", "-Wextra",
    "-static", "-Wl,--build-id=none", "-s",
)  # fmt: skip


@dataclass(frozen=True)
class _Tool:
    name: str
    sources: tuple[Path, ...]
    libraries: tuple[str, ...]


def build_loader(cache: Cache, emit: events.Emit = events.ignore) -> Path:
    """The static program `kextload`, built if the cache lacks it.

    Raises `UserError` if a compiler or library is missing.
    """
    own = [path.name for path in LOADER.glob("*.c") if "trigger" not in path.name]
    sources = tuple(LOADER / name for name in sorted({*own, *_SHARED}))
    # libelf of Debian 13 decompresses with zstd, that of Debian 12 does not;
    # where nothing needs it, nothing of it is linked.
    zstd = ("zstd",) if _archive("zstd") else ()
    return _build(_Tool("kextload", sources, ("bpf", "elf", "z", *zstd)), cache, emit)


def build_trigger(cache: Cache, emit: events.Emit = events.ignore) -> Path:
    """The static program `kexttrigger`, built if the cache lacks it.

    Raises `UserError` if a compiler is missing.
    """
    own = [path.name for path in LOADER.glob("*trigger*.c")]
    sources = tuple(LOADER / name for name in sorted({*own, *_SHARED}))
    return _build(_Tool("kexttrigger", sources, ()), cache, emit)


def _build(tool: _Tool, cache: Cache, emit: events.Emit) -> Path:
    archives = {name: _archive(name) for name in ("c", *tool.libraries)}
    missing = [name for name, path in archives.items() if path is None]
    if missing:
        raise UserError(
            f"{tool.name} can't be linked: no static {', '.join(f'lib{m}.a' for m in missing)}",
            hint="apt install libc6-dev libbpf-dev libelf-dev zlib1g-dev",
        )
    files = [*tool.sources, *sorted(LOADER.glob("*.h"))]
    key = key_of(
        what=tool.name,
        sources={path.name: file_digest(path) for path in files},
        flags=FLAGS,
        compiler=process.run(["gcc", "--version"]).stdout.partition("\n")[0],
        libraries={name: file_digest(path) for name, path in archives.items() if path},
    )

    def build(aside: Path) -> None:
        started = time.monotonic()
        emit(events.StageStarted(tool.name, "compile"))
        _compile(tool, aside / tool.name)
        emit(events.StageFinished(tool.name, "compile", time.monotonic() - started))

    return cache.get("tools", key, build, what=tool.name) / tool.name


def _compile(tool: _Tool, target: Path) -> None:
    result = process.run(
        [
            "gcc", *FLAGS, f"-ffile-prefix-map={LOADER}=.",
            *(path.name for path in tool.sources),
            "-o", target, *(f"-l{name}" for name in tool.libraries),
        ],
        cwd=LOADER,
        env={"LC_ALL": "C", "SOURCE_DATE_EPOCH": "0"},
        check=False,
    )  # fmt: skip
    if result.ok:
        return
    hint = ""
    if "ZSTD_" in result.stderr:
        hint = "apt install libzstd-dev (this system's libelf.a needs it)"
    raise process.ToolFailed(result, hint=hint)


def _archive(name: str) -> Path | None:
    """Where the compiler finds a static library; None if it does not."""
    answer = process.run(
        ["gcc", f"-print-file-name=lib{name}.a"], hint="apt install gcc libc6-dev"
    ).stdout.strip()
    return Path(answer) if answer.startswith("/") else None
