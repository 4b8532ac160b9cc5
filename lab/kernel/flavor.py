# SPDX-License-Identifier: GPL-2.0-only
"""Read flavors, which are the lab's kernels, from `kconfigs/<flavor>/kernel.yaml`.

`FlavorFile` is one file as written; `Flavor` has its base, patches and fragments resolved.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from lab.config.format import Family, Format
from lab.config.part import Int, OneOf, Part, Text
from lab.config.problems import FileErrors, Problem
from lab.config.reader import read
from lab.errors import UserError
from lab.workspace import FLAVOR_FILE, Workspace

_DEBIAN_SOURCE = r"^linux-source-[0-9.]+$"
_SHA256 = r"^[0-9a-f]{64}$"
_IMAGE_PACKAGE = r"^linux-image-\S+$"


class DebianSource(Part):
    """Source as Debian packages it (`linux-source-6.12`), installed or downloaded."""

    debian: str = Field(pattern=_DEBIAN_SOURCE)


class TarballSource(Part):
    """A tarball by path or URL, identified by its SHA-256."""

    tarball: Text
    sha256: str = Field(pattern=_SHA256)


class GitSource(Part):
    """A repository by URL or path, and a branch, tag or commit of it."""

    git: Text
    ref: Text


class TreeSource(Part):
    """A tree that the user builds: the lab takes its bzImage and vmlinux as they are."""

    tree: Text


class DebSource(Part):
    """A distribution's package of a kernel. `deb` is its name, or a pattern for the newest match.

    The guest loads `modules` together with their dependencies.
    """

    deb: str = Field(pattern=_IMAGE_PACKAGE)
    modules: tuple[Text, ...] = ()


_KINDS: dict[str, type[Part]] = {
    "debian": DebianSource,
    "tarball": TarballSource,
    "git": GitSource,
    "tree": TreeSource,
    "deb": DebSource,
}

Source = Annotated[
    DebianSource | TarballSource | GitSource | TreeSource | DebSource, OneOf("source", _KINDS)
]


class FlavorFile(Part):
    """One `kernel.yaml`."""

    summary: Text
    base: Text | None = None
    source: Source | None = None
    patches: tuple[Text, ...] = Field(
        ("patches/*.patch",), description="files or patterns, applied in this order"
    )
    fragments: tuple[Text, ...] = Field(("*.config",), description="files or patterns")
    boot_args: tuple[Text, ...] = ()
    machine: Literal["q35", "microvm"] | None = None
    memory: Int | None = Field(
        None,
        ge=64,
        le=65_536,
        description="Minimum memory of a guest, in MiB, even if less is requested",
    )


FORMAT = Format(
    noun="flavor",
    model=FlavorFile,
    families=(
        Family(
            "source",
            _KINDS,
            "{debian: linux-source-6.12}",
            proper={"debian": "Debian", "git": "Git"},
        ),
    ),
    patterns={
        _DEBIAN_SOURCE: "a package of the kernel's source, such as linux-source-6.12",
        _SHA256: "a SHA-256: 64 digits in hex, in lower case",
        _IMAGE_PACKAGE: "a package of a kernel, such as linux-image-6.12.*-cloud-amd64",
    },
)


@dataclass(frozen=True)
class Flavor:
    """A kernel that can be built and booted.

    `fragments` and `boot_args` begin with those of `base`; `patches` are only the flavor's own
    (see `all_patches`).
    """

    name: str
    folder: Path
    summary: str
    source: DebianSource | TarballSource | GitSource | TreeSource | DebSource
    patches: tuple[Path, ...] = ()
    fragments: tuple[Path, ...] = ()
    boot_args: tuple[str, ...] = ()
    machine: str = "q35"
    memory: int = 0
    base: Flavor | None = None

    @property
    def all_patches(self) -> tuple[Path, ...]:
        """The patches of the base, then the flavor's own."""
        return (*(self.base.all_patches if self.base else ()), *self.patches)

    @property
    def source_home(self) -> Path:
        """The folder of the file that names the source. The source's paths are relative to it."""
        return self.base.source_home if self.base else self.folder

    @property
    def source_text(self) -> str:
        """The kind and name of the source, for lists."""
        kind = _kind(self.source)
        return f"{kind} {getattr(self.source, kind)}"

    @property
    def built(self) -> bool:
        """True if the lab compiles this kernel itself."""
        return isinstance(self.source, DebianSource | TarballSource | GitSource)


def flavors(workspace: Workspace) -> dict[str, Flavor]:
    """Return all flavors of a workspace by name."""
    return {name: load_flavor(workspace, name) for name in workspace.names("kernel")}


def load_flavor(workspace: Workspace, name: str | Path) -> Flavor:
    """Return the flavor of that name in a workspace, or that of a `kernel.yaml` anywhere.

    Raises `UserError` with file, line and problem.
    """
    return _load(name, workspace, ())


def _load(name: str | Path, workspace: Workspace, seen: tuple[str, ...]) -> Flavor:
    file = _find(name, workspace)
    parsed = read(file, FORMAT)
    folder = file.parent
    label = folder.name
    if label in seen:
        circle = " -> ".join((*seen, label))
        raise FileErrors(
            [parsed.problem_at(f"{circle} is a circle", "base")],
            hint="a base must not lead back to the flavor",
        )
    base = _load_base(parsed, workspace, (*seen, label))
    source = parsed.source or (base.source if base else None)
    if source is None:
        raise FileErrors(
            [parsed.problem_at("needs a source or a base")], hint=f"source: {', '.join(_KINDS)}"
        )
    if base and parsed.source and parsed.source != base.source:
        # The base's patches and built tree belong to its own source.
        raise FileErrors(
            [parsed.problem_at(f"differs from the source of base {base.name}", "source")],
            hint="leave out the source, or the base",
        )
    problems: list[Problem] = []
    patches = _expand(folder, "patches", parsed, problems)
    fragments = _expand(folder, "fragments", parsed, problems)
    if problems:
        raise FileErrors(problems, hint="patterns are relative to the folder of the flavor")
    if isinstance(source, TreeSource | DebSource) and (patches or fragments):
        raise FileErrors(
            [
                parsed.problem_at(f"{key} need a source that the lab builds", key, key=True)
                for key, found in (("patches", patches), ("fragments", fragments))
                if found
            ],
            hint=f"a kernel from `{_kind(source)}` is taken as it is",
        )
    return Flavor(
        name=label,
        folder=folder,
        summary=parsed.summary,
        source=source,
        patches=patches,
        fragments=(*(base.fragments if base else ()), *fragments),
        boot_args=(*(base.boot_args if base else ()), *parsed.boot_args),
        machine=parsed.machine or (base.machine if base else "q35"),
        memory=parsed.memory or (base.memory if base else 0),
        base=base,
    )


def _find(name: str | Path, workspace: Workspace) -> Path:
    text = str(name)
    if isinstance(name, Path) or "/" in text or text.endswith((".yaml", ".yml")):
        path = Path(text).expanduser()
        path = path / FLAVOR_FILE if path.is_dir() else path
        if path.is_file():
            return path.resolve()
        raise UserError(f"no flavor at {path}", hint=f"give a {FLAVOR_FILE} or its folder")
    return workspace.find("kernel", text) / FLAVOR_FILE


def _load_base(parsed: FlavorFile, workspace: Workspace, seen: tuple[str, ...]) -> Flavor | None:
    if parsed.base is None:
        return None
    try:
        _find(parsed.base, workspace)
    except UserError as error:
        raise FileErrors([parsed.problem_at(error.message, "base")], hint=error.hint) from None
    base = _load(parsed.base, workspace, seen)
    if not base.built:
        raise FileErrors(
            [parsed.problem_at(f"{base.name} is not built from source", "base")],
            hint="patches and fragments need a base whose source is debian, tarball or git",
        )
    return base


def _kind(source: Part) -> str:
    return next(kind for kind, model in _KINDS.items() if isinstance(source, model))


def _expand(
    folder: Path, key: str, parsed: FlavorFile, problems: list[Problem]
) -> tuple[Path, ...]:
    """Return the files of the patterns, in the order of the patterns, then of the names.

    Patterns that are written and find no file become `problems`.
    """
    found: list[Path] = []
    for index, pattern in enumerate(getattr(parsed, key)):
        try:
            matches = sorted(path for path in folder.glob(pattern) if path.is_file())
        except (ValueError, NotImplementedError):
            message = f"'{pattern}' can't be a pattern of files in {folder}"
            problems.append(parsed.problem_at(message, key, index))
            continue
        if not matches and key in parsed.model_fields_set:
            message = f"no file '{pattern}' in {folder}"
            problems.append(parsed.problem_at(message, key, index))
        found += [path for path in matches if path not in found]
    return tuple(found)
