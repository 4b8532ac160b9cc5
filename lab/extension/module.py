# SPDX-License-Identifier: GPL-2.0-only
"""Build kernel modules as extensions, on the host, against the kernel that will run them."""

from __future__ import annotations

import re
import shutil
from functools import cache as once
from pathlib import Path

from lab import events, inputs
from lab.cache import Cache, file_digest, key_of
from lab.errors import NotCompiled, UserError
from lab.extension import module_inputs
from lab.host import process
from lab.inputs import Inputs
from lab.kernel.artifact import Kernel
from lab.stages import Stages
from lab.workspace import Workspace

# Products of a build in the source folder, in case the user built the module there.
_PRODUCTS = ("*.o", "*.ko", "*.mod", "*.mod.c", "*.cmd", ".*", "Module.symvers", "modules.order")

_ERROR_LINE = re.compile(r"^(?P<file>[^\s:]+):(?P<line>\d+)(:\d+)?: (fatal )?error: ")
_OTHER_ERROR = re.compile(r"^ERROR: (modpost: )?|^ld(\.lld)?: error: |: undefined reference to ")
_MAX_ERRORS = 20
# Errors that the code does not cause: a missing header.
_MISSING = re.compile(r"fatal error: ('[^']*' file not found|.*: No such file or directory)")


def build_module(
    workspace: Workspace,
    name: str,
    kernel: Kernel,
    cache: Cache,
    emit: events.Emit = events.ignore,
) -> Path:
    """Return the module `name` as a .ko for this kernel, built if it is not in the cache.

    The .ko has no debug information; `NAME.ko.debug` in the same folder has it. Raises
    `UserError` if there is no such module, if it does not compile, or if the kernel has no build
    tree for modules.
    """
    source = workspace.find("module", name)
    shown = workspace.shown(source)
    if kernel.build_tree is None:
        raise UserError(
            f"module {name}: kernel {kernel.flavor} has no build tree to build modules against",
            hint="use a flavor that the lab builds from source, such as stock",
        )
    compiler = _compiler(kernel)
    sources = _digests(source)
    key = key_of(
        what="module",
        name=name,
        sources=sources,
        kernel=kernel.key,
        compiler=compiler,
        installed=_installed(compiler),
    )
    job = f"module {name}"

    def build(aside: Path) -> Inputs:
        with Stages(job, emit).stage("compile"):
            work = _copy(source, name, sources, aside)
            return _build(source, shown, name, kernel, compiler, work)

    return inputs.get(cache, "extension", key, build, base=source, what=job) / f"{name}.ko"


def _sources(source: Path) -> list[Path]:
    """Return all files of a module, also those in subfolders, without a build's products."""
    return sorted(
        path
        for path in source.rglob("*")
        if path.is_file()
        and not any(
            Path(part).match(pattern)
            for part in path.relative_to(source).parts
            for pattern in _PRODUCTS
        )
    )


def _digests(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): file_digest(path) for path in _sources(folder)}


def _compiler(kernel: Kernel) -> str:
    """Return the version of the kernel's compiler, from its configuration."""
    return kernel.config_options.get("CONFIG_CC_VERSION_TEXT", "gcc")


def toolchain_args(version_text: str) -> list[str]:
    """Return the arguments of make that select the kernel's compiler.

    `version_text` is CONFIG_CC_VERSION_TEXT: `Debian clang version 19.1.7 (3)`.
    """
    found = re.search(r"clang version (\d+)", version_text)
    if not found:
        return []
    suffix = f"-{found[1]}"
    return [f"LLVM={suffix}" if shutil.which(f"clang{suffix}") else "LLVM=1"]


@once
def _installed(compiler: str) -> str:
    """Return the version of the compiler that make will use. The kernel's may be older."""
    words = toolchain_args(compiler)
    found = re.search(r"-\d+$", words[0]) if words else None
    name = f"clang{found[0] if found else ''}" if words else "gcc"
    return process.run([name, "--version"], check=False).stdout.partition("\n")[0]


def _copy(source: Path, name: str, digests: dict[str, str], aside: Path) -> Path:
    """Copy a module's files into a separate folder, and return it.

    Raises `UserError` if the files changed since the key was computed from these `digests`.
    """
    work = aside / "work"
    work.mkdir()
    for path in _sources(source):
        copy = work / path.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, copy)
    if _digests(work) != digests:
        raise UserError(f"module {name} was changed while it was built", hint="run it again")
    return work


def _build(
    source: Path, shown: str, name: str, kernel: Kernel, compiler: str, work: Path
) -> Inputs:
    result = process.run(
        [
            *process.in_environment(process.bare_environment()),
            "make", "-C", str(kernel.build_tree), f"M={work}", *toolchain_args(compiler),
            # Reports name source files. Their paths must not depend on the folder of the build.
            f"KCFLAGS=-ffile-prefix-map={work}={name}",
            "modules",
        ],
        check=False,
    )  # fmt: skip
    if not result.ok:
        lines = compile_errors(result.stdout + result.stderr, work, shown)
        if not lines:
            raise process.ToolFailed(result, hint=f"the build tree is {kernel.build_tree}")
        refused = NotCompiled(
            f"module {name} does not build: {lines[0]}", details="\n".join(lines[1:])
        )
        refused.log = "".join(f"{line}\n" for line in lines)
        refused.missing = _MISSING.search(refused.log) is not None
        raise refused
    made = work / f"{name}.ko"
    if not made.is_file():
        raise UserError(
            f"module {name} was built, but {name}.ko is not among the results",
            hint=f"its {'Kbuild' if (source / 'Kbuild').is_file() else 'Makefile'} should say"
            f" `obj-m := {name}.o`",
        )
    assert kernel.build_tree is not None
    read = module_inputs.read(work, kernel.build_tree)
    debug = work.with_name(f"{name}.ko.debug")
    made.rename(debug)
    process.run(["strip", "--strip-debug", "-o", work.with_name(f"{name}.ko"), debug])
    shutil.rmtree(work)
    return read


def compile_errors(output: str, work: Path, shown: str) -> list[str]:
    """Return only the errors in a build's output, as `FILE:LINE:COLUMN: error: MESSAGE`.

    `shown`, the folder of the user's sources, replaces the compiler's folder `work`.
    """
    errors: list[str] = []
    for line in output.splitlines():
        if _ERROR_LINE.match(line) or _OTHER_ERROR.search(line):
            line = line.replace(str(work), shown)
            if line not in errors:
                errors.append(line)
    return errors[:_MAX_ERRORS]
