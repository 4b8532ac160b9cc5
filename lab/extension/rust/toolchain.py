# SPDX-License-Identifier: GPL-2.0-only
"""Find the Rust compiler, and build `core`, the part of its library that extensions link.

A stock compiler with its library's source is enough: Debian's `rustc-web` with `rust-web-src`,
or rustup's with the component `rust-src`. The lab builds `core` from this source once. A
prebuilt `core`, such as that of rustup's target `x86_64-unknown-none`, has no room in its
functions for the kernel's check of the stack. Cargo is not needed: an extension depends only on
the lab's own crate.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache as once
from pathlib import Path

from lab import events, inputs
from lab.cache import Cache, key_of
from lab.errors import LabError, UserError
from lab.host import process
from lab.inputs import Inputs
from lab.stages import Stages

TARGET = "x86_64-unknown-none"
# The oldest version with all features that the crate uses (`str::floor_char_boundary`).
OLDEST = (1, 91)
# Two ways to get a compiler with its library's source.
_APT = "apt install rustc-web rust-web-src"
_RUSTUP = "rustup component add rust-src"
HINT = f"{_APT}, or: {_RUSTUP}"

# Bytes before each prologue. The kernel writes its check of the stack there, and takes the sizes
# of frames from the section .stack_sizes (kernel/bpf/rex/stack.c).
ROOM = 22

# Code for the kernel: calls go through the GOT, frames can be walked.
CODE_FLAGS = (
    "--target", TARGET,
    "-Cpanic=abort", "-Copt-level=3", "-Ccodegen-units=1",
    "-Crelocation-model=pic", "-Crelro-level=full", "-Cforce-frame-pointers=yes",
    "-Csymbol-mangling-version=v0", "-Cembed-bitcode=yes",
    # With this the linker may use direct calls within the image.
    "-Zrelax-elf-relocations=yes",
    f"-Zpatchable-function-entry={ROOM}", "-Zemit-stack-sizes",
)  # fmt: skip

# A variable that `env!` read, with its value if it has one.
_VARIABLE = re.compile(r"^# env-dep:([^=]+)(?:=(.*))?$")

_SECONDS = 300.0
# Limit of address space, in bytes; `core` needs a quarter of it.
_MEMORY = 8 << 30


@dataclass(frozen=True)
class Toolchain:
    """A compiler that can build extensions, and the folder of its library's source."""

    rustc: Path
    version: str
    source: Path

    @property
    def environment(self) -> dict[str, str]:
        """The variables that `env!` can read."""
        return process.bare_environment(RUSTC_BOOTSTRAP="1")

    def command(self) -> list[str | Path]:
        """Return the first words of a compilation, which bound its memory and its variables."""
        bounded = ["prlimit", f"--as={_MEMORY}"]
        return [*bounded, *process.in_environment(self.environment), self.rustc]


def find_toolchain() -> Toolchain:
    """Return the compiler in `$LAB_RUSTC`, or else Debian's or the one in PATH.

    Unsuitable compilers are skipped. If all are unsuitable, raises `UserError` with the reason
    for each, and a hint how to fix the first one that can be fixed.
    """
    chosen = os.environ.get("LAB_RUSTC")
    candidates = tuple(_candidates(chosen))
    return _find(candidates)


@once
def _find(candidates: tuple[str, ...]) -> Toolchain:
    reasons, hints = [], []
    for path in candidates:
        try:
            return _look_at(Path(path))
        except LabError as error:
            reasons.append("\n".join(filter(None, [f"{path}: {error.message}", error.details])))
            hints += [error.hint] if isinstance(error, UserError) and error.hint else []
    raise UserError(
        "no Rust compiler that can build extensions is installed",
        details="\n".join(reasons),
        hint=hints[0] if hints else HINT,
    )


def _candidates(chosen: str | None) -> Iterator[str]:
    if chosen:
        yield chosen
        return
    found = ("/usr/bin/rustc", shutil.which("rustc"), str(Path.home() / ".cargo/bin/rustc"))
    yield from dict.fromkeys(path for path in found if path and Path(path).exists())


def _look_at(rustc: Path) -> Toolchain:
    said = process.run([rustc, "-vV"], timeout=60).stdout
    version = re.search(r"^release: ((\d+)\.(\d+)\S*)$", said, re.M)
    commit = re.search(r"^commit-hash: (\S+)$", said, re.M)
    if version is None:
        raise UserError("it does not say its version")
    if (int(version[2]), int(version[3])) < OLDEST:
        raise UserError(f"version {version[1]} is older than {OLDEST[0]}.{OLDEST[1]}")
    name = f"rustc {version[1]} {commit[1][:9] if commit else ''}".strip()
    sysroot = Path(process.run([rustc, "--print", "sysroot"], timeout=60).stdout.strip())
    source = sysroot / "lib/rustlib/src/rust/library"
    if not (source / "core/src/lib.rs").is_file():
        raise UserError(
            f"version {version[1]} lacks its library's source, from which core is built",
            hint=_source_hint(sysroot),
        )
    # Sources of another version fail to compile, with meaningless errors.
    built_for = re.search(r"rustc-(\d+\.\d+\.\d+)", str(source.resolve()))
    if built_for and built_for[1] != version[1]:
        raise UserError(f"its library's source is of version {built_for[1]}")
    # rustup's command chooses one of several compilers, by variables and the current folder.
    # Compiler and source must always be of the same toolchain.
    own = sysroot / "bin/rustc"
    return Toolchain(own if own.is_file() else rustc, name, source)


def _source_hint(sysroot: Path) -> str:
    if sysroot.parent.name == "toolchains":  # rustup's, each with its own source
        return f"{_RUSTUP} --toolchain {sysroot.name}, or: {_APT}"
    return HINT


def sysroot_flags(
    toolchain: Toolchain, cache: Cache, emit: events.Emit = events.ignore
) -> tuple[str, ...]:
    """Return flags to link `core`, which is built if it is not in the cache."""
    source = toolchain.source
    flags = (
        *CODE_FLAGS, "--edition", "2024", "--crate-type", "rlib", "--cap-lints", "allow",
        "-Zforce-unstable-if-unmarked", "-Cdebuginfo=1", f"--remap-path-prefix={source}=rust",
    )  # fmt: skip
    # The compiler calls memcpy and similar functions by these names. None may be in C or
    # assembly, so that all have frames. No version knows all of these features: 1.97 introduced
    # `unmangled-names`, and no longer needs `no-asm`.
    features = tuple(
        f'--cfg=feature="{name}"'
        for name in ("compiler-builtins", "mem", "no-asm", "unmangled-names")
    )
    key = key_of(what="core", rustc=toolchain.version, flags=flags, features=features)
    job = f"core of {toolchain.version}"

    def build(aside: Path) -> Inputs:
        with Stages(job, emit).stage("compile"):
            libraries = aside / "lib/rustlib" / TARGET / "lib"
            libraries.mkdir(parents=True)
            common = (*flags, "--out-dir", str(libraries))
            read = compile_rust(
                toolchain, ["--crate-name", "core", source / "core/src/lib.rs", *common], aside
            )
            read |= compile_rust(
                toolchain,
                [
                    "--crate-name", "compiler_builtins",
                    source / "compiler-builtins/compiler-builtins/src/lib.rs",
                    "--sysroot", aside, *features, *common,
                ],
                aside,
            )  # fmt: skip
            return read

    entry = inputs.get(
        cache, "rust", key, build, base=source, what=job, environment=toolchain.environment
    )
    return ("--sysroot", str(entry))


def compile_rust(
    toolchain: Toolchain, words: Sequence[str | Path], folder: Path, output: Path | None = None
) -> Inputs:
    """Compile a part of the lab itself, in a folder whose path must not appear in the output.

    Returns the inputs that were read. `output` is the file to write, if the words name no
    folder. Raises `ToolFailed` if the compilation fails.
    """
    nowhere = f"--remap-path-prefix={folder}="  # first, because later options take precedence
    depends = folder / "files.d"
    link = f"link={output}" if output else "link"
    emit = f"--emit={link},dep-info={depends}"
    process.run([*toolchain.command(), nowhere, emit, *words], cwd=folder, timeout=_SECONDS)
    read = depends.read_text()
    depends.unlink()
    return inputs_in(read)


def inputs_in(depends: str) -> Inputs:
    """Return the inputs of a compilation from its dep-info, which has the form of make's rules."""
    files = set()
    variables: dict[str, str | None] = {}
    for line in depends.splitlines():
        if variable := _VARIABLE.match(line):
            variables[variable[1]] = variable[2]
        # Each file that was read is also a target without inputs.
        elif line.endswith(":"):
            files.add(line[:-1].replace("\\ ", " "))
    return Inputs(frozenset(files), variables=variables)
