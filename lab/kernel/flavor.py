# SPDX-License-Identifier: GPL-2.0-only
"""Flavors: which kernels there are, as `kconfigs/<flavor>/kernel.yaml` says.

`FlavorFile` is one file as written; `Flavor` is what it means once its base,
patches and fragments are found.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, ValidationError

from lab.errors import UserError
from lab.workspace import FLAVOR_FILE, Workspace


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DebianSource(_Strict):
    """Source as Debian packages it (`linux-source-6.12`), installed or downloaded."""

    debian: str = Field(pattern=r"^linux-source-[0-9.]+$")


class TarballSource(_Strict):
    """A tarball by path or URL; its SHA-256 decides what it is."""

    tarball: str
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class GitSource(_Strict):
    """A repository by URL or path, and a branch, tag or commit of it."""

    git: str
    ref: str


class TreeSource(_Strict):
    """A tree that its owner builds: the lab takes its bzImage and vmlinux as they are."""

    tree: str


class DebSource(_Strict):
    """A kernel as a distribution packages it. `deb` is a package or a pattern: the newest fits.

    `modules` are loaded by the guest, together with those that they need.
    """

    deb: str = Field(pattern=r"^linux-image-\S+$")
    modules: tuple[str, ...] = ()


_KINDS = ("debian", "tarball", "git", "tree", "deb")


def _source_kind(value: Any) -> str | None:
    keys = value if isinstance(value, dict) else getattr(value, "__dict__", {})
    return next((kind for kind in _KINDS if kind in keys), None)


Source = Annotated[
    Annotated[DebianSource, Tag("debian")]
    | Annotated[TarballSource, Tag("tarball")]
    | Annotated[GitSource, Tag("git")]
    | Annotated[TreeSource, Tag("tree")]
    | Annotated[DebSource, Tag("deb")],
    Discriminator(
        _source_kind,
        custom_error_type="source",
        custom_error_message=f"a source is one of {', '.join(_KINDS)}",
    ),
]


class FlavorFile(_Strict):
    """One `kernel.yaml`."""

    summary: str
    base: str | None = None
    source: Source | None = None
    patches: tuple[str, ...] = Field(
        ("patches/*.patch",), description="files or patterns, applied in this order"
    )
    fragments: tuple[str, ...] = Field(("*.config",), description="files or patterns")
    boot_args: tuple[str, ...] = ()
    machine: Literal["q35", "microvm"] | None = None
    memory: int | None = Field(
        None, ge=64, le=65_536, description="MiB that a guest has at least, whoever asks for less"
    )


@dataclass(frozen=True)
class Flavor:
    """A kernel that can be built and booted.

    `fragments` and `boot_args` hold those of `base` first; `patches` are the
    flavor's own (see `all_patches`).
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
        """What paths of the source are relative to: where the source is written."""
        return self.base.source_home if self.base else self.folder

    @property
    def source_text(self) -> str:
        """The source in one word or two, for lists."""
        kind = _source_kind(self.source)
        return f"{kind} {getattr(self.source, str(kind))}"

    @property
    def built(self) -> bool:
        """Whether the lab compiles this kernel itself."""
        return isinstance(self.source, DebianSource | TarballSource | GitSource)


def flavors(workspace: Workspace) -> dict[str, Flavor]:
    """All flavors of a workspace, by name."""
    return {name: load_flavor(workspace, name) for name in workspace.names("kernel")}


def load_flavor(workspace: Workspace, name: str | Path) -> Flavor:
    """The flavor of that name in a workspace, or of a `kernel.yaml` anywhere.

    Raises `UserError` with file, line and what is wrong there.
    """
    return _load(name, workspace, ())


def _load(name: str | Path, workspace: Workspace, seen: tuple[str, ...]) -> Flavor:
    file = _find(name, workspace)
    data, lines = _read(file)
    try:
        parsed = FlavorFile.model_validate(data)
    except ValidationError as error:
        raise UserError(
            f"{file}: not a valid flavor",
            details="\n".join(_explain(file, lines, problem) for problem in error.errors()),
            hint=f"keys: {', '.join(FlavorFile.model_fields)}",
        ) from None
    folder = file.parent
    label = folder.name
    if label in seen:
        raise UserError(
            f"{_at(file, lines, ('base',))}: {' -> '.join((*seen, label))} is a circle",
            hint="a base must not lead back to the flavor",
        )
    base = _load(parsed.base, workspace, (*seen, label)) if parsed.base else None
    if base and not base.built:
        raise UserError(
            f"{_at(file, lines, ('base',))}: {base.name} is not built from source",
            hint="patches and fragments need a base whose source is debian, tarball or git",
        )
    source = parsed.source or (base.source if base else None)
    if source is None:
        raise UserError(f"{file}: needs a source or a base", hint=f"source: {', '.join(_KINDS)}")
    if base and parsed.source and parsed.source != base.source:
        # Its patches and its built tree are those of another source.
        raise UserError(
            f"{_at(file, lines, ('source',))}: differs from the source of base {base.name}",
            hint="leave out the source, or the base",
        )
    patches = _expand(file, lines, "patches", parsed)
    fragments = _expand(file, lines, "fragments", parsed)
    if isinstance(source, TreeSource | DebSource) and (patches or fragments):
        raise UserError(
            f"{file}: patches and fragments need a source that the lab builds",
            hint=f"a kernel from `{_source_kind(source)}` is taken as it is",
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


def _suggest(word: str, known: Iterable[str], plural: str) -> str:
    known = list(known)
    close = difflib.get_close_matches(word, known, 1)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"{plural}: {', '.join(known) or 'none'}"


_Lines = dict[tuple[str | int, ...], tuple[int, int]]


def _read(file: Path) -> tuple[Any, _Lines]:
    """The file's data, and the line and column (from 1) of each of its parts."""
    try:
        node = yaml.compose(file.read_text(), Loader=yaml.SafeLoader)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{file}: not YAML", details=str(error)) from None
    lines: _Lines = {}
    if node is None:
        return {}, lines
    return _construct(file, node, (), lines), lines


def _construct(file: Path, node: yaml.Node, where: tuple[str | int, ...], lines: _Lines) -> Any:
    lines.setdefault(where, (node.start_mark.line + 1, node.start_mark.column + 1))
    if isinstance(node, yaml.MappingNode):
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = str(key_node.value)
            place = (*where, key)
            if key in result:
                mark = key_node.start_mark
                raise UserError(
                    f"{file}:{mark.line + 1}:{mark.column + 1}: {key!r} is given twice",
                    hint="keep one of them",
                )
            lines[place] = (key_node.start_mark.line + 1, key_node.start_mark.column + 1)
            result[key] = _construct(file, value_node, place, lines)
        return result
    if isinstance(node, yaml.SequenceNode):
        return [
            _construct(file, item, (*where, index), lines) for index, item in enumerate(node.value)
        ]
    loader = yaml.SafeLoader("")
    try:
        return loader.construct_object(node)
    finally:
        loader.dispose()


def _at(file: Path, lines: _Lines, where: tuple[str | int, ...]) -> str:
    """`file:line:column` of the innermost part of `where` that the file has."""
    while where and where not in lines:
        where = where[:-1]
    line, column = lines.get(where, (1, 1))
    return f"{file}:{line}:{column}"


def _explain(file: Path, lines: _Lines, problem: Any) -> str:
    # The tag of the union is not a key of the file.
    where = tuple(
        part
        for index, part in enumerate(problem["loc"])
        if not (index == 1 and problem["loc"][0] == "source" and part in _KINDS)
    )
    tagged = where
    if len(problem["loc"]) > 2 and problem["loc"][0] == "source":
        tagged = ("source", *problem["loc"][2:])
    message = problem["msg"]
    if problem["type"] == "extra_forbidden":
        key = str(problem["loc"][-1])
        models = (DebianSource, TarballSource, GitSource, TreeSource, DebSource)
        known: list[str] = list(FlavorFile.model_fields)
        if len(problem["loc"]) > 1:
            model = models[_KINDS.index(problem["loc"][1])]
            known = list(model.model_fields)
        message = f"unknown key {key!r}; {_suggest(key, known, 'keys')}"
    dotted = ".".join(str(part) for part in tagged)
    return f"{_at(file, lines, tagged)}: {dotted}: {message}"


def _expand(file: Path, lines: _Lines, key: str, parsed: FlavorFile) -> tuple[Path, ...]:
    """Files of the patterns, in the order of the patterns, then of the names."""
    found: list[Path] = []
    for index, pattern in enumerate(getattr(parsed, key)):
        matches = sorted(path for path in file.parent.glob(pattern) if path.is_file())
        if not matches and key in parsed.model_fields_set:
            raise UserError(
                f"{_at(file, lines, (key, index))}: no file {pattern!r} in {file.parent}",
                hint="patterns are relative to the folder of the flavor",
            )
        found += [path for path in matches if path not in found]
    return tuple(found)
