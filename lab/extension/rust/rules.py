# SPDX-License-Identifier: GPL-2.0-only
"""Restrictions on Rust extensions beyond what rustc enforces.

The compiler refuses `unsafe` and unstable features. This module checks the rest: words that
would circumvent the compiler, manifests that add third-party code, and files that are not part
of the extension.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lab.errors import UserError
from lab.extension.rust import source

MANIFEST = "Cargo.toml"
# Features of the crate that an extension may ask for in its manifest.
FEATURES = frozenset({"faults"})

# Words that rustc's lint does not cover, or not fully, and why extensions must not use them.
# They are searched in the whole text, because text that a simpler parser takes for a comment or
# a literal may be code to rustc.
_WORDS = {
    "naked": "it makes a function of assembly",
    "naked_asm": "it is assembly",
    "global_asm": "it is assembly",
    # `extern crate self as rex` would replace the crate's code with other code.
    "extern": "an extension has no crates but core and rex, and calls the kernel through rex",
}
_WORD = re.compile(rf"\b(?:r#)?({'|'.join(_WORDS)})\b")

_ALLOWED_KEYS: dict[str, frozenset[str]] = {
    "package": frozenset({"name", "version", "edition", "license", "publish", "description"}),
    "dependencies": frozenset({"rex"}),
    "lib": frozenset({"path"}),
}


def check_sources(folder: Path) -> None:
    """Raise `UserError` with file and line for text that an extension's files must not have."""
    for path in source.sources_of(folder):
        name = path.relative_to(folder)
        if path.resolve() != folder.resolve() / name:
            raise UserError(
                f"{folder.name}/{name}: a link to something else",
                hint="an extension consists of the files below its src folder",
            )
        text = _read(path, name)
        found = _WORD.search(text)
        if found:
            line = text.count("\n", 0, found.start()) + 1
            raise UserError(
                f"{folder.name}/{name}:{line}: `{found[1]}` is not for extensions: "
                f"{_WORDS[found[1]]}",
                hint="not in a comment or a text either; all that is not safe Rust is in "
                "extensions/rex",
            )


def features_of(folder: Path) -> tuple[str, ...]:
    """Return the features of the crate `rex` that an extension requests.

    The lab does not call cargo: a manifest is for editors, and for these features. Raises
    `UserError` for anything else that cargo would act on, so that no extension relies on it.
    """
    for name in ("build.rs", ".cargo", "rust-toolchain", "rust-toolchain.toml"):
        if (folder / name).exists():
            raise UserError(
                f"{folder.name}/{name}: extensions have none",
                hint="the lab compiles src/lib.rs and what it names as modules, nothing else",
            )
    path = folder / MANIFEST
    if not path.is_file():
        return ()
    try:
        manifest = tomllib.loads(_read(path, path.name))
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{folder.name}/{MANIFEST}: {error}") from None
    for table, content in manifest.items():
        if table not in _ALLOWED_KEYS:
            raise _refused(folder, table)
        if not isinstance(content, dict):
            raise _refused(folder, f"{table} = ...")
        for key in content:
            if key not in _ALLOWED_KEYS[table]:
                raise _refused(folder, f"{table}.{key}")
    if manifest.get("lib", {}).get("path", "src/lib.rs") != "src/lib.rs":
        raise _refused(folder, "lib.path")
    return _features(folder, manifest.get("dependencies", {}).get("rex", {}))


def _features(folder: Path, rex: Any) -> tuple[str, ...]:
    if not isinstance(rex, dict) or rex.keys() - {"path", "features"}:
        raise _refused(folder, "dependencies.rex")
    wanted = rex.get("features", [])
    if not isinstance(wanted, list) or not all(isinstance(one, str) for one in wanted):
        raise _refused(folder, "dependencies.rex.features = ...")
    unknown = sorted(set(wanted) - FEATURES)
    if unknown:
        raise UserError(
            f"{folder.name}/{MANIFEST}: rex has no feature {unknown[0]}",
            hint=f"there are: {', '.join(sorted(FEATURES))}",
        )
    return tuple(sorted(wanted))


def _refused(folder: Path, what: str) -> UserError:
    return UserError(
        f"{folder.name}/{MANIFEST}: {what} is not for extensions",
        hint='only the package\'s name and `rex = { path = "../../rex" }` are: '
        "no other crates, no build scripts, no procedural macros, no profiles",
    )


def check_files(folder: Path, read: Iterable[Path]) -> None:
    """Raise `UserError` if the compiler read files that are not the extension's own."""
    own = {path.resolve() for path in source.sources_of(folder)}
    for path in read:
        if path.resolve() not in own:
            raise UserError(
                f"{folder.name}: it includes {path}, which is no source file of its own",
                hint="an extension consists of the .rs files below its src folder",
            )


def _read(path: Path, name: Path | str) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{name} can't be read as text: {error}") from None
