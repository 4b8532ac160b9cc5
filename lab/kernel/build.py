# SPDX-License-Identifier: GPL-2.0-only
"""Make the kernel of a flavor: build it, unpack it or take it from a tree, and cache it."""

from __future__ import annotations

import dataclasses
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from lab import events
from lab.cache import Cache, file_digest, key_of
from lab.errors import UserError
from lab.host import process
from lab.kernel import apt, artifact, collect, from_deb, from_source, source
from lab.kernel.artifact import Kernel
from lab.kernel.flavor import DebSource, Flavor, TreeSource
from lab.stages import Stages

KIND = "kernel"
# Part of each key. Raise it when the content of an entry changes.
_LAYOUT = 1


@dataclasses.dataclass(frozen=True)
class Plan:
    """A flavor whose source was located: its key, and the function that fills its entry."""

    flavor: Flavor
    key: str
    fill: Callable[[Path], None]


def build_kernel(
    flavor: Flavor, cache: Cache, emit: events.Emit = events.ignore, jobs: int | None = None
) -> Kernel:
    """Return the flavor's kernel from the cache, or build it with `jobs` (default: one per core).

    Raises `UserError` for what the flavor's author can fix: a patch that does not apply, a
    symbol that is not granted, code that does not compile.
    """
    cache = _heard(cache, emit)
    plan = make_plan(flavor, cache, emit, jobs)
    folder = cache.get(KIND, plan.key, plan.fill, what=f"kernel {flavor.name}")
    return _loaded(plan, folder)


def find_kernel(flavor: Flavor, cache: Cache) -> Kernel | None:
    """Return the flavor's kernel if it is in the cache, without building or downloading."""
    plan = make_plan(flavor, cache)
    folder = cache.find(KIND, plan.key)
    return _loaded(plan, folder) if folder else None


def remove_kernel(flavor: Flavor, cache: Cache) -> bool:
    """Delete the flavor's kernel and its work folder; return whether there was one."""
    return _remove(make_plan(flavor, cache).key, cache)


def remove_all(cache: Cache) -> list[str]:
    """Delete every kernel and work folder, also those of earlier versions of flavors."""
    keys = {
        path.name
        for kind in (from_source.WORK, KIND)
        for path in (cache.root / kind).glob("[0-9a-f]*")
    }
    return [key for key in sorted(keys) if _remove(key, cache)]


def _remove(key: str, cache: Cache) -> bool:
    with cache.lock(KIND, key, what="removal"):  # not while it is built
        had_work = cache.remove(from_source.WORK, key)
    return cache.remove(KIND, key) or had_work


def make_plan(
    flavor: Flavor, cache: Cache, emit: events.Emit = events.ignore, jobs: int | None = None
) -> Plan:
    """Locate the flavor's source as it is now, and compute the key from it."""
    stages = Stages(f"kernel {flavor.name}", emit)
    match flavor.source:
        case TreeSource():
            return _plan_tree(flavor)
        case DebSource():
            return _plan_package(flavor, flavor.source, cache, stages)
    origin = source.locate(flavor, cache)
    key = key_of(
        layout=_LAYOUT,
        flavor=flavor.name,
        source=origin.identity,
        patches=[file_digest(path) for path in flavor.all_patches],
        fragments=[file_digest(path) for path in flavor.fragments],
        tools=_tools(),
    )

    def fill(folder: Path) -> None:
        start = time.monotonic()
        work = from_source.Work(
            flavor, cache.path(from_source.WORK, key), cache, stages, jobs or cores()
        )
        base = None
        if flavor.base is not None:
            base_kernel = build_kernel(flavor.base, cache, emit, jobs)
            base = cache.path(from_source.WORK, base_kernel.key)
        tree = work.build(origin, base)
        with stages.stage("pack"), cache.lock(from_source.WORK, key, what=stages.job):
            collect.pack(tree, folder, source=origin.identity, seconds=time.monotonic() - start)
        from_source.drop_older(flavor.name, key, cache)

    return Plan(flavor, key, fill)


def _plan_tree(flavor: Flavor) -> Plan:
    assert isinstance(flavor.source, TreeSource)
    tree = (flavor.folder / Path(flavor.source.tree).expanduser()).resolve()
    collect.check_tree(tree)
    stamps = {
        name: (stat.st_size, stat.st_mtime_ns)
        for name in (collect.BZIMAGE, "vmlinux", ".config")
        if (stat := (tree / name).stat())
    }

    def fill(folder: Path) -> None:
        parts = collect.pack_images(tree, folder)
        shutil.copyfile(tree / ".config", folder / "config")
        parts |= {"config": "config", "vmlinux": str(tree / "vmlinux")}
        if (tree / "Module.symvers").is_file():
            parts |= {"symvers": str(tree / "Module.symvers"), "build_tree": str(tree)}
        release = collect.release_of_tree(tree)
        artifact.write_record(folder, release=release, parts=parts, source={"tree": str(tree)})

    return Plan(flavor, key_of(layout=_LAYOUT, tree=str(tree), stamps=stamps), fill)


def _plan_package(flavor: Flavor, wanted: DebSource, cache: Cache, stages: Stages) -> Plan:
    package = apt.resolve(wanted.deb, cache)
    key = key_of(layout=_LAYOUT, deb=package.sha256, modules=wanted.modules)

    def fill(folder: Path) -> None:
        from_deb.unpack_package(package, wanted.modules, folder, stages)

    return Plan(flavor, key, fill)


def _loaded(plan: Plan, folder: Path) -> Kernel:
    flavor = plan.flavor
    return artifact.load_kernel(
        folder,
        flavor=flavor.name,
        key=plan.key,
        boot_args=flavor.boot_args,
        machine=flavor.machine,
        memory=flavor.memory,
    )


def _heard(cache: Cache, emit: events.Emit) -> Cache:
    """Return the cache, with `emit` as the receiver of its events."""
    return cache if emit is events.ignore else dataclasses.replace(cache, emit=emit)


def cores() -> int:
    """Return the default number of compilers that run at once: the number of usable cores."""
    return len(os.sched_getaffinity(0))


def _tools() -> dict[str, str]:
    """Return the versions of the tools that determine the bytes of the result."""
    versions = {}
    for tool in ("gcc", "ld", "pahole"):
        if shutil.which(tool):
            versions[tool] = process.run([tool, "--version"]).stdout.partition("\n")[0]
        elif tool != "pahole":  # without it only BTF is missing, which the check reports
            raise UserError(
                f"{tool} is needed to build a kernel", hint="`lab doctor` lists what is missing"
            )
    return versions
