# SPDX-License-Identifier: GPL-2.0-only
"""Build the loader, a static C program that runs in every guest and also has the triggers."""

from __future__ import annotations

from pathlib import Path

from lab import events, inputs
from lab.cache import Cache, file_digest, key_of
from lab.errors import UserError
from lab.extension import includes
from lab.host import process
from lab.inputs import Inputs
from lab.stages import Stages
from lab.workspace import Workspace

# The program is reproducible: it has no build ID, no paths and no symbols.
FLAGS = (
    "-std=gnu11", "-D_GNU_SOURCE", "-O2", "-Wall", "-Wextra",
    "-static", "-Wl,--build-id=none", "-s",
    # calls.c intercepts the system calls of libbpf.
    "-Wl,--wrap=syscall",
)  # fmt: skip
_LIBRARIES = ("bpf", "elf", "z")


def build_loader(workspace: Workspace, cache: Cache, emit: events.Emit = events.ignore) -> Path:
    """Return the static program `kextload`, alias `kexttrigger`, built if it is not in the cache.

    Raises `UserError` if a compiler or library is missing.
    """
    archives = {name: _archive(name) for name in ("c", *_LIBRARIES)}
    missing = [name for name, path in archives.items() if path is None]
    if missing:
        raise UserError(
            f"kextload can't be linked: no static {', '.join(f'lib{m}.a' for m in missing)}",
            hint="apt install libc6-dev libbpf-dev libelf-dev zlib1g-dev",
        )
    source = workspace.loader
    key = key_of(
        what="kextload",
        sources={path.name: file_digest(path) for path in sorted(source.glob("*.[ch]"))},
        flags=FLAGS,
        compiler=process.run(["gcc", "--version"]).stdout.partition("\n")[0],
        libraries={name: file_digest(path) for name, path in archives.items() if path},
    )

    def build(aside: Path) -> Inputs:
        with Stages("kextload", emit).stage("compile"):
            return _compile(source, aside / "kextload")

    return inputs.get(cache, "tools", key, build, base=source, what="kextload") / "kextload"


def _compile(source: Path, target: Path) -> Inputs:
    gcc = [*process.in_environment(process.bare_environment(SOURCE_DATE_EPOCH="0")), "gcc"]
    result = process.run(
        [
            *gcc, *FLAGS, "-MD", f"-ffile-prefix-map={source}=.",
            *sorted(path.name for path in source.glob("*.c")),
            "-o", target, *(f"-l{name}" for name in _LIBRARIES),
        ],
        cwd=source,
        check=False,
    )  # fmt: skip
    if not result.ok:
        raise process.ToolFailed(result)
    read: set[str] = set()
    for rule in target.parent.glob("*.d"):
        read.update(includes.names_in_rule(rule.read_text()))
        rule.unlink()
    said = process.run([*gcc, "-E", "-v", "-x", "c", "/dev/null", "-o", "/dev/null"]).stderr
    return includes.inputs_of(read, includes.search_list(said), source)


def _archive(name: str) -> Path | None:
    """Return the path of the compiler's static library; None if it has none."""
    answer = process.run(
        ["gcc", f"-print-file-name=lib{name}.a"], hint="apt install gcc libc6-dev"
    ).stdout.strip()
    return Path(answer) if answer.startswith("/") else None
