# SPDX-License-Identifier: GPL-2.0-only
"""Apply a flavor's patches one by one: `git am` must accept each, and the tree must build."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lab import events
from lab.cache import Cache
from lab.errors import UserError
from lab.host import process
from lab.kernel import build, from_source, source
from lab.kernel.flavor import Flavor
from lab.kernel.kconfig import fragments
from lab.kernel.make import Follower, Make
from lab.stages import Stages

_TARGETS = ("vmlinux", "bzImage", "modules")
_IDENTITY = ("-c", "user.name=lab", "-c", "user.email=lab@localhost", "-c", "commit.gpgsign=false")


@dataclass(frozen=True)
class Step:
    """One patch that was applied and built; `granted` are the flavor's own symbols that are on."""

    patch: Path
    granted: tuple[str, ...]
    objects: int
    seconds: float


def build_each(
    flavor: Flavor, cache: Cache, emit: events.Emit = events.ignore, jobs: int | None = None
) -> Iterator[Step]:
    """Apply the flavor's own patches one after the other and build after each, in one tree.

    The tree starts as a copy of the base's built one, and ends with the
    flavor's whole configuration. Raises `UserError` for the first patch that
    does not apply or build.
    """
    if not flavor.patches or flavor.base is None:
        raise UserError(
            f"flavor {flavor.name} has no patches on a base",
            hint="only a flavor with a base and patches is a series",
        )
    base = build.build_kernel(flavor.base, cache, emit, jobs)
    folder = cache.path(from_source.WORK, f"series-{flavor.name}")
    with cache.lock(from_source.WORK, folder.name, what=f"series of {flavor.name}"):
        shutil.rmtree(folder, ignore_errors=True)
        try:
            yield from _build_each(flavor, cache, emit, jobs, folder, base.key)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _build_each(
    flavor: Flavor,
    cache: Cache,
    emit: events.Emit,
    jobs: int | None,
    folder: Path,
    base_key: str,
) -> Iterator[Step]:
    stages = Stages(f"series {flavor.name}", emit)
    tree = folder / "source"
    origin = cache.path(from_source.WORK, base_key)
    folder.mkdir(parents=True)
    with stages.stage("unpack"):
        if (origin / "built").is_file():
            with cache.lock(
                from_source.WORK, base_key, what=f"copy for the series of {flavor.name}"
            ):
                process.run(["cp", "-a", "--reflink=auto", origin / "source", tree])
            from_source.relocate(tree, origin / "source", tree)
        else:
            assert flavor.base is not None
            source.locate(flavor, cache).fetch(stages)(tree)
    _start_repository(tree, flavor.patches)
    make = Make(
        tree,
        folder / "build.log",
        f"-{flavor.name}",
        jobs or build.cores(),
        cache.root / "ccache",
    )
    requests = fragments.read_fragments(flavor.fragments)
    assert flavor.base is not None
    own = [name for name in requests if name not in fragments.read_fragments(flavor.base.fragments)]
    wanted = folder / "requested.config"
    wanted.write_text(fragments.merged(requests))
    for number, patch in enumerate(flavor.patches, 1):
        start = time.monotonic()
        with stages.stage(f"patch {number} of {len(flavor.patches)}"):
            _apply(patch, tree)
            what = f"building after {patch.name}"
            make.run("allnoconfig", what=what, extra={"KCONFIG_ALLCONFIG": str(wanted)})
            if patch == flavor.patches[-1]:
                fragments.check(requests, tree / ".config", tree)
            follower = Follower(lambda done, name: None, lambda: None)
            make.follow(follower, *_TARGETS, what=what)
        granted = fragments.read_config(tree / ".config")
        yield Step(
            patch,
            tuple(name for name in own if granted.get(name, "n") != "n"),
            follower.done,
            time.monotonic() - start,
        )


def _start_repository(tree: Path, patches: tuple[Path, ...]) -> None:
    """Create a repository for `git am` that tracks only the files that the patches change."""
    process.run(["git", "init", "--quiet", tree])
    files = set()
    for patch in patches:
        names = process.run(["git", "apply", "--numstat", patch.resolve()], cwd=tree).stdout
        files |= {line.split("\t")[2] for line in names.splitlines()}
    there = sorted(name for name in files if (tree / name).is_file())
    process.run(["git", "add", "--force", "--", *there], cwd=tree)
    process.run(["git", *_IDENTITY, "commit", "--quiet", "-m", "base"], cwd=tree)


def _apply(patch: Path, tree: Path) -> None:
    done = process.run(["git", *_IDENTITY, "am", "--quiet", patch.resolve()], cwd=tree, check=False)
    if not done.ok:
        raise UserError(
            f"patch {patch.name} does not apply with git am",
            details=done.stdout + done.stderr,
            hint="the patches before it apply",
        )
