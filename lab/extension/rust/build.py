# SPDX-License-Identifier: GPL-2.0-only
"""Build Rust extensions: compile safe code, and link it into an image that the kernel loads.

The lab calls the compiler directly. It builds `core` and the crate `rex` once per compiler. An
extension takes a second or two, and is cached by its sources.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from lab import events, inputs
from lab.cache import Cache, file_digest, key_of
from lab.errors import NotCompiled, UserError
from lab.extension.rust import rules
from lab.extension.rust.frames import check_frames
from lab.extension.rust.image import allowed_symbols, check_code, check_image
from lab.extension.rust.source import sources_of
from lab.extension.rust.toolchain import (
    CODE_FLAGS,
    Toolchain,
    compile_rust,
    find_toolchain,
    inputs_in,
    sysroot_flags,
)
from lab.host import process
from lab.inputs import Inputs
from lab.stages import Stages
from lab.workspace import RUST_ROOT, Workspace

# Allow only safe, stable Rust, and check arithmetic.
SAFE_FLAGS = ("--edition", "2024", "-Funsafe_code", "-Zallow-features=", "-Coverflow-checks=yes")
_OWN_FLAGS = ("--edition", "2024", "-Coverflow-checks=yes", "-Dwarnings")
_DEBUG = "-Cdebuginfo=2"

# Link a shared object whose text can be sealed: in separate segments, all symbols bound at load.
LINK = (
    "-shared", "-Bsymbolic", "--gc-sections", "-z", "now", "-z", "relro", "-z", "noexecstack",
    "-z", "separate-code", "-z", "max-page-size=4096", "--build-id=none", "--hash-style=gnu",
)  # fmt: skip
# Exported: the entries of the tables. The linker keeps them and what they refer to.
_EXPORTS = "{ global: rex_prog.*; rex_map.*; local: *; };\n"
# Discarded: the list of patchable entries. The sizes of frames name the same functions, and
# are not loaded.
_LAYOUT = "SECTIONS { /DISCARD/ : { *(__patchable_function_entries) } } INSERT AFTER .text;\n"

_RULES = sorted(Path(__file__).parent.glob("*.py"))

# Seconds. The compiler evaluates constants, which might not terminate.
_SECONDS = 120.0
_ERROR = re.compile(r"^error(?:\[E\d+\])?: (.*)$")
# Errors that the code does not cause: a missing file, a crash of the compiler.
_MISSING = re.compile(
    r"^error(\[E0583\]|\[E0463\])|couldn't read|No such file or directory"
    r"|the compiler unexpectedly panicked|memory allocation of",
    re.M,
)
_ARROW = re.compile(r"^ *--> (\S+)$")


@dataclass(frozen=True)
class RustImage:
    """A built extension: the image, the image with debug information, and the warnings.

    `debug` serves to look up addresses of the image.
    """

    name: str
    path: Path
    debug: Path
    log: str


class RustRejected(NotCompiled):
    """Raised for an extension that rustc or a rule of the lab does not accept."""


def build_rust(
    workspace: Workspace, name: str, cache: Cache, emit: events.Emit = events.ignore
) -> RustImage:
    """Return the extension `name`, compiled if it is not in the cache.

    Raises `RustRejected` for code that is not a safe extension, and `UserError` if there is no
    such extension or no compiler.
    """
    place = workspace.find("rust", name)
    toolchain = find_toolchain()
    try:
        features = rules.features_of(place)
        rules.check_sources(place)
    except UserError as error:
        raise _rejected(error) from None
    crate = _crate(workspace.crate, toolchain, features, cache, emit)
    key = key_of(
        what="rust",
        name=name,
        sources={str(path.relative_to(place)): file_digest(path) for path in sources_of(place)},
        crate=crate.parent.name,
        flags=(*SAFE_FLAGS, *CODE_FLAGS, *LINK, _EXPORTS, _LAYOUT),
        # Changed rules check an extension again.
        rules={path.name: file_digest(path) for path in _RULES},
        linker=process.run(["ld", "--version"]).stdout.partition("\n")[0],
    )
    job = f"extension {name}"

    def build(aside: Path) -> Inputs:
        with Stages(job, emit).stage("compile"):
            sysroot = sysroot_flags(toolchain, cache, emit)
            allowed = allowed_symbols(workspace.crate)
            log, read = _compile(toolchain, name, place, crate, allowed, sysroot, aside)
            (aside / "log").write_text(log)
            return read

    variables = toolchain.environment
    entry = inputs.get(cache, "extension", key, build, base=place, what=job, environment=variables)
    return RustImage(
        name, entry / f"{name}.so", entry / f"{name}.debug", (entry / "log").read_text()
    )


def _crate(
    source: Path,
    toolchain: Toolchain,
    features: tuple[str, ...],
    cache: Cache,
    emit: events.Emit,
) -> Path:
    """Return the crate `rex`, built from the folder `source`; its macros are in the same folder."""
    sources = sorted(path for path in source.rglob("*.rs"))
    key = key_of(
        what="rex",
        sources={str(path.relative_to(source)): file_digest(path) for path in sources},
        rustc=toolchain.version,
        core=[Path(word).name for word in sysroot_flags(toolchain, cache, emit)],
        flags=(*_OWN_FLAGS, *CODE_FLAGS),
        features=features,
    )
    job = "crate rex"

    def build(aside: Path) -> Inputs:
        with Stages(job, emit).stage("compile"):
            macros = aside / "librex_macros.so"
            remap = f"--remap-path-prefix={source}=rex"
            read = compile_rust(
                toolchain,
                [
                    "--crate-name", "rex_macros", "--crate-type", "proc-macro",
                    source / "macros/src/lib.rs", *_OWN_FLAGS, remap,
                ],
                aside,
                macros,
            )  # fmt: skip
            read |= compile_rust(
                toolchain,
                [
                    "--crate-name", "rex", "--crate-type", "rlib", source / "src/lib.rs",
                    "--extern", f"rex_macros={macros}",
                    *(f'--cfg=feature="{feature}"' for feature in features),
                    *_OWN_FLAGS, *CODE_FLAGS, _DEBUG, remap, *sysroot_flags(toolchain, cache, emit),
                ],
                aside,
                aside / "librex.rlib",
            )  # fmt: skip
            return read

    variables = toolchain.environment
    entry = inputs.get(cache, "rust", key, build, base=source, what=job, environment=variables)
    return entry / "librex.rlib"


def _compile(
    toolchain: Toolchain,
    name: str,
    place: Path,
    crate: Path,
    allowed: frozenset[str],
    sysroot: tuple[str, ...],
    aside: Path,
) -> tuple[str, Inputs]:
    archive, depends = aside / "all.a", aside / "files.d"
    exports, layout = aside / "exports", aside / "layout"
    result = process.run(
        [
            *toolchain.command(), "--crate-name", re.sub(r"\W", "_", name),
            "--crate-type", "staticlib", f"--emit=link={archive},dep-info={depends}", RUST_ROOT,
            *SAFE_FLAGS, *CODE_FLAGS, _DEBUG, "-Clto=fat", *sysroot,
            "--extern", f"rex={crate}", "-L", crate.parent,
            f"--remap-path-prefix={place}=", "--color=never",
        ],
        cwd=place,
        timeout=_SECONDS,
        check=False,
        hint="does it compute a constant without end?",
    )  # fmt: skip
    if not result.ok:
        raise _compile_error(name, result.stderr)
    try:
        rule = depends.read_text()
        rules.check_files(place, read_files(rule, place))
        exports.write_text(_EXPORTS)
        layout.write_text(_LAYOUT)
        debug, image = aside / f"{name}.debug", aside / f"{name}.so"
        process.run(
            [
                "ld", *LINK, f"--version-script={exports}", "-T", layout,
                "-o", debug, "--whole-archive", archive,
            ]
        )  # fmt: skip
        check_code(name, debug)
        process.run(["strip", "--strip-debug", "-o", image, debug])
        check_image(name, image, allowed)
        warnings = check_frames(name, debug)
    except UserError as error:
        raise _rejected(error) from None
    for path in (archive, depends, exports, layout):
        path.unlink()
    return result.stderr + warnings, inputs_in(rule)


def read_files(depends: str, place: Path) -> list[Path]:
    """Return the files that a compilation read, from its dep-info, which has make's format."""
    files = []
    for line in depends.splitlines():
        # Each file that was read is also a target without inputs.
        if line.endswith(":"):
            files.append(place / line[:-1].replace("\\ ", " "))
        elif line and not line.startswith("#") and ": " not in line:
            # The name has a newline, so a part of it may be the name of another file.
            raise UserError(f"{place.name}: it includes a file of the name ...{line}")
    return files


def _compile_error(name: str, stderr: str) -> RustRejected:
    """Return an error with the compiler's first error as the message, and all as details."""
    lines = stderr.splitlines()
    first = next((index for index, line in enumerate(lines) if _ERROR.match(line)), None)
    said, where = "the compiler failed", ""
    if first is not None:
        found = _ERROR.match(lines[first])
        said = found[1] if found else said
        arrows = [match[1] for line in lines[first + 1 :] if (match := _ARROW.match(line))]
        where = f"{arrows[0]}: " if arrows else ""
    hint = next((text for mark, text in _HINTS.items() if mark in stderr), "")
    rejected = RustRejected(
        f"extension {name} does not compile: {where}{said}", details=stderr.strip(), hint=hint
    )
    rejected.log = stderr
    rejected.missing = first is None or _MISSING.search(stderr) is not None
    return rejected


_HINTS = {
    "unsafe-code": "extensions are safe Rust; all `unsafe` is in extensions/rex",
    "can't find crate for `std`": "the first line of an extension is #![no_std]",
    "E0725": "extensions use the stable language: no #![feature(...)]",
}


def _rejected(error: UserError) -> RustRejected:
    rejected = RustRejected(error.message, hint=error.hint, details=error.details)
    rejected.log = str(error)
    return rejected
