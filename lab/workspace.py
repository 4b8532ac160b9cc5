# SPDX-License-Identifier: GPL-2.0-only
"""A workspace: the folders of kernels, images, extensions and scenarios, and lookups by name.

Each kind of thing has an ordered list of root folders. A name is looked up in the first
root, then in the next, so an overlay is just one more root in front.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from lab.config.suggest import closest
from lab.errors import UserError

# The checkout whose code is running (an editable install).
CHECKOUT = Path(__file__).resolve().parent.parent

FLAVOR_FILE = "kernel.yaml"
IMAGE_FILE = "image.yaml"
C_SUFFIX = ".bpf.c"
RUST_ROOT = Path("src") / "lib.rs"

Kind = Literal["kernel", "image", "c", "rust", "module"]
EXTENSION_KINDS: tuple[Kind, ...] = ("rust", "c", "module")
Roots = tuple[Path, ...]

# The word for one thing of a kind, and the files in a root that show that one is there.
# The name stands for the star.
_KINDS: dict[Kind, tuple[str, tuple[str, ...]]] = {
    "kernel": ("flavor", (f"*/{FLAVOR_FILE}",)),
    "image": ("image", (f"*/{IMAGE_FILE}",)),
    "c": ("C extension", (f"*{C_SUFFIX}",)),
    "rust": ("Rust extension", (f"*/{RUST_ROOT}",)),
    "module": ("module", ("*/Kbuild", "*/Makefile")),
}


@dataclass(frozen=True)
class Workspace:
    """Root folders by kind. A root need not exist.

    `home` holds the parts of the lab that no overlay replaces: the loader, and the crate
    `rex` that Rust extensions use.
    """

    home: Path = CHECKOUT
    kernels: Roots = ()
    images: Roots = ()
    c: Roots = ()
    rust: Roots = ()
    modules: Roots = ()
    scenarios: Roots = ()

    @classmethod
    def at(cls, root: Path) -> Workspace:
        """Return the workspace in a folder: `kconfigs/`, `images/` and so on are below it."""
        home = Path(os.path.abspath(root))
        extensions = home / "extensions"
        return cls(
            home=home,
            kernels=(home / "kconfigs",),
            images=(home / "images",),
            c=(extensions / "c",),
            rust=(extensions / "rust",),
            modules=(extensions / "modules",),
            scenarios=(home / "scenarios",),
        )

    @classmethod
    def default(cls) -> Workspace:
        """Return the workspace in the folder $LAB_REPO, or else in the lab's own checkout."""
        return cls.at(Path(os.environ.get("LAB_REPO", CHECKOUT)))

    def overlay(self, folder: Path) -> Workspace:
        """Return this workspace with a folder on top; its subfolders are those of `at`.

        What is in the folder comes first, and the rest stays visible. Nothing is copied.
        Raises `UserError` if there is no such folder.
        """
        if not folder.is_dir():
            raise UserError(f"there is no folder {folder}", hint="give the folder of a workspace")
        top = Workspace.at(folder)
        return replace(
            self,
            kernels=(*top.kernels, *self.kernels),
            images=(*top.images, *self.images),
            c=(*top.c, *self.c),
            rust=(*top.rust, *self.rust),
            modules=(*top.modules, *self.modules),
            scenarios=(*top.scenarios, *self.scenarios),
        )

    @property
    def loader(self) -> Path:
        """The folder of the loader's source."""
        return self.home / "extensions" / "loader"

    @property
    def crate(self) -> Path:
        """The folder of the crate `rex`."""
        return self.home / "extensions" / "rex"

    def names(self, kind: Kind) -> list[str]:
        """Return the sorted names of all things of a kind, each once."""
        return sorted({name for name, _ in self._all(kind)})

    def find(self, kind: Kind, name: str) -> Path:
        """Return where a thing is: the file of a C extension, the folder of any other kind.

        Raises `UserError` if there is none of that name; it suggests a name or lists all.
        """
        place = next((place for known, place in self._all(kind) if known == name), None)
        if place is not None:
            return place
        known = self.names(kind)
        close, listed = closest(name, known), ", ".join(known) or "none"
        places = ", ".join(self.shown(root) for root in self._roots(kind)) or "the workspace"
        raise UserError(
            f"there is no {_KINDS[kind][0]} {name!r} in {places}",
            hint=f"did you mean {close!r}?" if close else f"there are: {listed}",
        )

    def headers_of(self, source: Path) -> Roots:
        """Return the folders whose headers a C extension can include, its own folder aside.

        They are the roots below that of the source. So what an extension includes does not
        depend on what is put on top of it.
        """
        return self.c[self.c.index(source.parent) + 1 :]

    def shown(self, path: Path) -> str:
        """Return a path for a person: relative to the workspace's home, if it is below that."""
        return str(path.relative_to(self.home)) if path.is_relative_to(self.home) else str(path)

    def _roots(self, kind: Kind) -> Roots:
        match kind:
            case "kernel":
                return self.kernels
            case "image":
                return self.images
            case "c":
                return self.c
            case "rust":
                return self.rust
            case "module":
                return self.modules

    def _all(self, kind: Kind) -> Iterator[tuple[str, Path]]:
        """Yield the name and the place of each thing of a kind, those of the first root first."""
        for root in self._roots(kind):
            for pattern in _KINDS[kind][1]:
                suffix = pattern.partition("/")[0].removeprefix("*")
                for file in root.glob(pattern):
                    if file.is_file():
                        entry = file.relative_to(root).parts[0]
                        yield entry.removesuffix(suffix), root / entry
