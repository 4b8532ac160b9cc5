# SPDX-License-Identifier: GPL-2.0-only
"""Rex images that are made without Rust."""

from __future__ import annotations

import subprocess
from pathlib import Path

from lab.extension.c import find_clang

HERE = Path(__file__).parent / "rex"
# A Rex image needs: no SSE, no red zone, frame pointers, calls by the GOT, room for a check of
# the stack in each function, and the sizes of frames, which gcc does not write.
FLAGS = [
    "-fpatchable-function-entry=22",
    "-fstack-size-section",
    "-O1",
    "-Wall",
    "-Wno-infinite-recursion",
    "-ffreestanding",
    "-fPIC",
    "-fno-plt",
    "-mgeneral-regs-only",
    "-mno-red-zone",
    "-fno-omit-frame-pointer",
    "-fno-stack-protector",
    "-fcf-protection=none",
    "-fno-optimize-sibling-calls",
    "-fno-asynchronous-unwind-tables",
]
LINK = [
    "-shared",
    "-nostdlib",
    "-Wl,-z,now,-z,relro,-z,noexecstack,-z,max-page-size=4096,--build-id=none,--hash-style=gnu",
]


def build(folder: Path, source: str = "image.c") -> tuple[Path, Path]:
    """Build a source; return its image, and the program that runs it without a loader."""

    def run(*words: str | Path) -> None:
        subprocess.run(words, cwd=folder, check=True, capture_output=True, text=True)

    run(find_clang()[0], *FLAGS, "-c", HERE / source, "-o", "image.o")
    names = subprocess.run(
        ["nm", "-u", "image.o"], cwd=folder, check=True, capture_output=True, text=True
    ).stdout.split()
    stub = "".join(
        f".globl {name}\n.type {name}, @function\n{name}: ret\n.size {name}, 1\n"
        for name in names
        if name.startswith("rex_")
    )
    (folder / "stub.s").write_text(stub)
    run("gcc", "-shared", "-nostdlib", "stub.s", "-o", "stub.so")
    run("gcc", *LINK, "image.o", "stub.so", "-o", "image.so")
    run("gcc", "-O1", "-Wall", "-static", HERE / "rexrun.c", "-o", "rexrun")
    return folder / "image.so", folder / "rexrun"
