# SPDX-License-Identifier: GPL-2.0-only
"""Build a kernel from source, so that the next run can resume one that was killed.

The work folder of a key outlives its build: a flavor with this base starts from a copy of the
built tree. The next run resumes by the step that was interrupted:

- unpacking, copying or patching: it starts over, because these steps work in a folder aside,
  which is renamed only when it is complete;
- configuring: it repeats this step, which takes seconds;
- compiling: it removes files that may be half-written, and make continues.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from lab.cache import Cache
from lab.host import process
from lab.kernel import patches
from lab.kernel.flavor import Flavor
from lab.kernel.kconfig import fragments
from lab.kernel.make import Follower, Make, drop_torn
from lab.kernel.source import Origin
from lab.stages import Stages

WORK = "kernel-work"
# This file names the flavor of a work folder.
_FLAVOR = "flavor"
_TARGETS = ("vmlinux", "bzImage", "modules")


@dataclass(frozen=True)
class Work:
    """The folder in which one flavor is built."""

    flavor: Flavor
    folder: Path
    cache: Cache
    stages: Stages
    jobs: int

    @property
    def tree(self) -> Path:
        """The folder of source and objects, built in place so that a copy has no absolute paths."""
        return self.folder / "source"

    @property
    def built(self) -> Path:
        """The stamp of a tree whose build is complete."""
        return self.folder / "built"

    def build(self, origin: Origin, base: Path | None = None) -> Path:
        """Complete the tree and return it. `base` is the base flavor's work folder."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / _FLAVOR).write_text(self.flavor.name)
        if not self.tree.is_dir():
            self._prepare(origin, base)
        if not self.built.is_file():
            drop_torn(self.tree)
            make = Make(
                self.tree,
                self.folder / "build.log",
                f"-{self.flavor.name}",
                self.jobs,
                self.cache.root / "ccache",
            )
            make.log.unlink(missing_ok=True)
            self._configure(make)
            self._compile(make)
            self.built.touch()
        return self.tree

    def _prepare(self, origin: Origin, base: Path | None) -> None:
        aside = self.folder / "source.aside"
        shutil.rmtree(aside, ignore_errors=True)
        if base is not None and (base / "built").is_file():
            with (
                self.stages.stage("unpack"),
                self.cache.lock(WORK, base.name, what=f"copy for kernel {self.flavor.name}"),
            ):
                # Keep modification times, so that make rebuilds only what patches touch.
                process.run(["cp", "-a", "--reflink=auto", base / "source", aside])
                relocate(aside, base / "source", self.tree)
            own = self.flavor.patches
        else:
            unpack = origin.fetch(self.stages)
            with self.stages.stage("unpack"):
                unpack(aside)
            own = self.flavor.all_patches
        with self.stages.stage("patch", len(own)):
            patches.apply(own, aside)
        aside.rename(self.tree)

    def _configure(self, make: Make) -> None:
        requests = fragments.read_fragments(self.flavor.fragments)
        with self.stages.stage("configure"):
            wanted = self.folder / "requested.config"
            wanted.write_text(fragments.merged(requests))
            make.run(
                "allnoconfig", what="make allnoconfig", extra={"KCONFIG_ALLCONFIG": str(wanted)}
            )
            fragments.check(requests, self.tree / ".config", self.tree)
            # `make -n` needs generated headers and host tools.
            make.run("prepare", what="make prepare")

    def _compile(self, make: Make) -> None:
        total = make.planned(*_TARGETS)
        stages = self.stages
        with contextlib.ExitStack() as current:
            current.enter_context(stages.stage("compile", total))

            def on_object(done: int, name: str) -> None:
                stages.progress("compile", done, max(total, done), name)

            def on_link() -> None:
                if follower.done != total:  # make needed fewer objects than counted
                    stages.progress("compile", follower.done, follower.done)
                current.close()
                current.enter_context(stages.stage("link"))

            follower = Follower(on_object, on_link)
            make.follow(follower, *_TARGETS, what=f"building kernel {self.flavor.name}")


def relocate(copy: Path, original: Path, home: Path) -> None:
    """Change the paths in a copied tree to `home`, so that make finds it up to date.

    Only the host's tools record absolute paths, in their `.cmd` files. With stale paths make
    would rebuild objtool, and then every object, because each depends on it.
    """
    old, new = os.fsencode(original), os.fsencode(home)
    for path in (copy / "tools").rglob(".*"):
        if not path.name.endswith((".cmd", ".d")) or not path.is_file():
            continue
        content = path.read_bytes()
        if old in content:
            times = path.stat()
            path.write_bytes(content.replace(old, new))
            os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def drop_older(flavor: str, key: str, cache: Cache) -> None:
    """Delete the flavor's finished work folders except that of `key`. Each takes 2 GB.

    Unfinished folders stay: a build may be running in them.
    """
    for stamp in (cache.root / WORK).glob("[0-9a-f]*/built"):
        folder = stamp.parent
        try:
            same = (folder / _FLAVOR).read_text() == flavor
        except OSError:
            continue
        if same and folder.name != key:
            cache.remove(WORK, folder.name)
