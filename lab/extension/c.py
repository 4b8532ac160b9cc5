# SPDX-License-Identifier: GPL-2.0-only
"""Build C (eBPF) extensions with clang, against the types of the kernel that will run them."""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass, replace
from functools import cache as once
from pathlib import Path

from lab import events, inputs
from lab.cache import Cache, file_digest, key_of
from lab.errors import NotCompiled, UserError
from lab.extension import includes
from lab.extension.c_source import clang_options
from lab.host import process
from lab.inputs import Inputs
from lab.kernel.artifact import Kernel
from lab.stages import Stages
from lab.workspace import C_SUFFIX, Roots, Workspace

# The scenarios expect the verifier's messages for code of this version; other versions generate
# other code. 16 is the first version that needs no workarounds for BTF and -mcpu=v3.
PREFERRED_CLANG = 19
OLDEST_CLANG = 16
_NEWEST_CLANG = 30

# -g: generate BTF. v3: 32-bit jumps, on every kernel since 5.1. BTF has no macros of the kernel,
# so the architecture must be given. A default configuration file of the host would not be part
# of any key.
FLAGS = (
    "--no-default-config", "-target", "bpf", "-O2", "-g", "-mcpu=v3", "-D__TARGET_ARCH_x86",
    "-Wall", "-fno-color-diagnostics",
)  # fmt: skip

_HEADERS = Path("/usr/include/bpf")
_ERROR = re.compile(r"^(?P<file>[^\s:]+):(?P<line>\d+):(?P<column>\d+): (fatal )?error: ")

# Options for files that clang reads but does not list.
_UNLISTED_OPTION = re.compile(
    r"@|--config|-ivfsoverlay|-fplugin|-fpass-plugin|-load|-include-pch|-fmodule|-fprofile"
)
# Errors that the code does not cause: a missing header or file, an option that
# this clang does not know, a crash of clang.
_MISSING = re.compile(
    r"fatal error: '[^']*' file not found|^clang[\w-]*: error: |^fatal error: error in backend"
    r"|No such file or directory|PLEASE submit a bug report",
    re.M,
)


@dataclass(frozen=True)
class CObject:
    """A built extension: its object file, and the compiler's warnings."""

    name: str
    path: Path
    log: str


class CompileRejected(NotCompiled):
    """Raised for an extension that clang does not accept."""


def build_c(
    workspace: Workspace,
    name: str,
    kernel: Kernel,
    cache: Cache,
    emit: events.Emit = events.ignore,
) -> CObject:
    """Return the extension `name` for a kernel, compiled if it is not in the cache.

    Raises `CompileRejected` for code that clang does not accept, and
    `UserError` if there is no such extension, no usable clang, or if the
    kernel has no BTF to take its types from.
    """
    path = workspace.find("c", name)
    clang, version = find_clang()
    types = kernel_types(kernel, cache, emit)
    _need_helper_headers()
    headers = workspace.headers_of(path)
    key = key_of(
        what="c",
        name=name,
        source=file_digest(path),
        flags=(*FLAGS, *map(str, headers)),
        clang=version,
        types=types.parent.name,
    )
    job = f"extension {name}"
    shown = workspace.shown(path.parent)

    def build(aside: Path) -> Inputs:
        with Stages(job, emit).stage("compile"):
            log, read = _compile(clang, path, types.parent, headers, aside / f"{name}.bpf.o", shown)
            (aside / "log").write_text(log)
            return read

    entry = inputs.get(cache, "extension", key, build, base=path.parent, what=job)
    return CObject(name, entry / f"{name}.bpf.o", (entry / "log").read_text())


def kernel_types(kernel: Kernel, cache: Cache, emit: events.Emit = events.ignore) -> Path:
    """Return a `vmlinux.h` with the types in a kernel's BTF. Raises `UserError` without BTF."""
    if kernel.btf is None:
        raise UserError(
            f"kernel {kernel.flavor} has no BTF, which C extensions are compiled against",
            hint="build it with CONFIG_DEBUG_INFO_BTF=y (pahole must be installed)",
        )
    bpftool = find_bpftool()
    btf = kernel.btf
    version = process.run([bpftool, "version"]).stdout.splitlines()[0]
    key = key_of(what="types", kernel=kernel.key, bpftool=version)
    job = f"types of {kernel.flavor}"

    def build(aside: Path) -> None:
        with Stages(job, emit).stage("dump"):
            # These are some MB of text, so write them directly into the file.
            with (aside / "vmlinux.h").open("wb") as out:
                child = process.spawn(
                    [bpftool, "btf", "dump", "file", str(btf), "format", "c"], stdout=out
                )
                status = child.wait()
            if status != 0 or (aside / "vmlinux.h").stat().st_size == 0:
                raise UserError(
                    f"bpftool finds no BTF in {btf} (status {status})",
                    hint=f"is it the BTF of kernel {kernel.flavor}?",
                )

    return cache.get("extension", key, build, what=job) / "vmlinux.h"


def find_bpftool() -> str:
    """Return bpftool's path. Debian installs it in a folder that only root has in PATH."""
    found = shutil.which("bpftool", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if found is None:
        raise UserError("bpftool is missing", hint="apt install bpftool")
    return found


def find_clang() -> tuple[str, str]:
    """Return the path of the clang to use, and the first line of its version.

    It is clang-19 if installed, otherwise the newest of at least 16. Raises `UserError` if there
    is none.
    """
    numbers = [PREFERRED_CLANG, *range(_NEWEST_CLANG, OLDEST_CLANG - 1, -1)]
    for name in [*(f"clang-{number}" for number in numbers), "clang"]:
        path = shutil.which(name)
        if path is None:
            continue
        version = _version(path)
        found = re.search(r"version (\d+)", version)
        if found and int(found[1]) >= OLDEST_CLANG:
            return path, version
    raise UserError(
        f"no clang of version {OLDEST_CLANG} or newer is installed",
        hint=f"apt install clang-{PREFERRED_CLANG}",
    )


@once
def _version(path: str) -> str:
    return process.run([path, "--version"]).stdout.partition("\n")[0]


def _need_helper_headers() -> None:
    if not any(_HEADERS.glob("bpf_*.h")):
        raise UserError("libbpf's headers are missing", hint="apt install libbpf-dev")


def _compile(
    clang: str, path: Path, types: Path, headers: Roots, target: Path, shown: str
) -> tuple[str, Inputs]:
    """Compile, and return clang's messages and its inputs as seen from the source's folder.

    Quoted includes are searched in `headers`, too. `shown` is the source's folder as errors
    name it.
    """
    options = clang_options(path)
    command: list[str | Path] = [
        *process.in_environment(process.bare_environment(PWD=str(path.parent))),
        clang, *FLAGS, *options, *(f"-iquote{folder}" for folder in headers), "-I", types,
    ]  # fmt: skip
    rule = target.with_suffix(".d")
    result = process.run(
        [
            *command,
            # The verifier's log has source lines. Their paths must not depend on the checkout.
            *(f"-ffile-prefix-map={folder}=." for folder in (path.parent, types, *headers)),
            "-MD", "-MF", rule, "-MT", "object", "-c", path.name, "-o", target,
        ],
        cwd=path.parent,
        check=False,
    )  # fmt: skip
    if result.ok:
        # Missing headers of the source's own -include are in the same list.
        said = process.run(
            [*command, "-E", "-v", "-x", "c", "/dev/null", "-o", "/dev/null"],
            cwd=path.parent,
            check=False,
        ).stderr
        read = includes.names_in_rule(rule.read_text())
        rule.unlink()
        found = includes.inputs_of(read, includes.search_list(said), path.parent)
        unseen = path.name not in read or any(map(_UNLISTED_OPTION.match, options))
        return result.stderr, replace(found, complete=found.complete and not unseen)
    name = path.name.removesuffix(C_SUFFIX)
    lines = compile_errors(result.stderr, shown)
    rejected = CompileRejected(
        f"extension {name} does not compile: {lines[0] if lines else 'clang failed'}",
        details="\n".join(lines[1:]) if lines else result.stderr,
    )
    rejected.log = result.stderr
    rejected.missing = _MISSING.search(result.stderr) is not None or not lines
    raise rejected


def compile_errors(output: str, shown: str) -> list[str]:
    """Return only the errors in clang's output, as `FILE:LINE:COLUMN: error: MESSAGE`.

    Files have the names that clang got, in the folder `shown`.
    """
    errors = []
    for line in output.splitlines():
        if _ERROR.match(line):
            errors.append(line if line.startswith("/") else f"{shown}/{line.removeprefix('./')}")
        elif re.match(r"^(clang[\w-]*|fatal error|error|LLVM ERROR)[:\s]", line):
            errors.append(line)
    return errors
