# SPDX-License-Identifier: GPL-2.0-only
"""Check for unknown names: of extensions in the file, and of things that the lab provides."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lab.config.suggest import did_you_mean
from lab.config.yaml_file import Flaw, Map, Mark, Seq
from lab.scenario.catalog import Catalog, Source
from lab.scenario.checks.data import (
    at_key,
    at_value,
    extensions,
    mapping,
    ref,
    sequence,
    text,
    walk,
)

# The files of the Rex kernel in debugfs (kernel/bpf/rex/debugfs.c); the folder `progs` has
# a file for each program.
_REX = "rex/"
_REX_FILES = ("stats", "ledger", "reset", "unprotected", "stacks", "progs")

_LATER = {"compare": "this version of the lab does not support comparisons"}


def check(data: Map) -> Iterator[Flaw]:
    """Find references to extensions that the file does not have, and programs not loaded."""
    known = extensions(data)
    for said, mark, what in _references(data):
        found = ref(said, known)
        if found is None:
            continue
        if found.extension not in known:
            yield Flaw(
                mark,
                f"there is no extension '{found.extension}'{did_you_mean(found.extension, known)}",
            )
        elif "module" in known[found.extension]:
            yield Flaw(mark, f"'{found.extension}' is a module: it has no {what}s")
        elif what == "program":
            limited = list(sequence(known[found.extension], "programs"))
            if limited and found.name not in limited:
                yield Flaw(mark, _limited(found.name, limited))
    for name, extension in known.items():
        limited = list(sequence(extension, "programs"))
        for program, mark in _attached(extension, data, name):
            if limited and program not in limited:
                yield Flaw(mark, _limited(program, limited))


def against(catalog: Catalog, data: Map) -> Iterator[Flaw]:
    """Find names in the file that the lab does not know, and keys that it does not support yet."""
    for key, message in _LATER.items():
        if key in data and key in catalog.later:
            yield at_key(data, key, message)
    kernels = sequence(data, "kernels")
    for name, mark in zip(kernels, kernels.items_at, strict=True):
        if isinstance(name, str) and name not in catalog.flavors:
            meant = did_you_mean(name, catalog.flavors)
            yield Flaw(mark, f"there is no kernel flavor '{name}'{meant}")
    for extension in (*extensions(data).values(), *_compared(data)):
        yield from _source(catalog, extension)
    yield from _members(catalog, data)
    yield from _syscalls(catalog, data)
    yield from _knobs(data)


def _source(catalog: Catalog, extension: Map) -> Iterator[Flaw]:
    for kind, what in (("c", "C extension"), ("module", "module"), ("rust", "Rust extension")):
        name = text(extension, kind)
        if name is None:
            continue
        if name not in (known := catalog.sources(kind)):
            plain = name.removesuffix(".c").removesuffix(".bpf")
            meant = did_you_mean(plain if plain in known else name, known)
            if plain in known:
                meant = f"; did you mean '{plain}'?"
            yield at_value(extension, kind, f"there is no {what} '{name}'{meant}")


def _members(catalog: Catalog, data: Map) -> Iterator[Flaw]:
    known = extensions(data)
    for said, mark, what in _references(data):
        found = ref(said, known)
        if found is None or (found.name.startswith(".") and what == "map"):
            continue  # .rodata, .data and .bss come from the compiler
        source = _of(catalog, known.get(found.extension, Map()))
        members = source.programs if what == "program" else source.maps
        if members is not None and found.name not in members:
            meant = did_you_mean(found.name, members)
            yield Flaw(mark, f"'{found.extension}' has no {what} '{found.name}'{meant}")
    for name, extension in known.items():
        members = _of(catalog, extension).programs
        limited = sequence(extension, "programs")
        programs = [*zip(limited, limited.items_at, strict=True)]
        for program, mark in (*programs, *_attached(extension, data, name)):
            if members is not None and isinstance(program, str) and program not in members:
                meant = did_you_mean(program, members)
                yield Flaw(mark, f"'{name}' has no program '{program}'{meant}")


def _of(catalog: Catalog, extension: Map) -> Source:
    for kind in ("c", "rust"):
        name = text(extension, kind)
        if name is not None:
            return catalog.sources(kind).get(name, Source())
    return Source()


def _knobs(data: Map) -> Iterator[Flaw]:
    """Find unknown files of Rex in debugfs; the lab does not know the files of other folders."""
    parts = (data, *walk(sequence(data, "steps")), *sequence(data, "controls"))
    for debug in (mapping(mapping(part, "set"), "debug") for part in parts):
        for path in debug:
            if not isinstance(path, str) or not path.startswith(_REX):
                continue
            name = path.removeprefix(_REX)
            if name.partition("/")[0] not in _REX_FILES:
                meant = did_you_mean(name, _REX_FILES)
                yield at_key(debug, path, f"there is no '{name}' in {_REX}{meant}")


def _syscalls(catalog: Catalog, data: Map) -> Iterator[Flaw]:
    triggers = [mapping(data, "trigger")]
    triggers += [mapping(step, "trigger") for step in walk(sequence(data, "steps"))]
    for trigger in triggers:
        name = text(trigger, "syscall")
        if name is not None and catalog.syscalls and name not in catalog.syscalls:
            meant = did_you_mean(name, catalog.syscalls, most=99)
            yield at_value(trigger, "syscall", f"the trigger can't call '{name}'{meant}")


def _limited(name: str, limited: list[Any]) -> str:
    return f"'{name}' is not among the programs that are loaded{did_you_mean(name, limited)}"


def _references(data: Map) -> Iterator[tuple[Any, Mark, str]]:
    """Yield each EXTENSION.NAME, its place, and `program` or `map`."""
    steps = list(walk(sequence(data, "steps")))
    for holder in (data, *steps):
        maps = mapping(mapping(holder, "expect"), "maps")
        for key in maps:
            yield key, maps.keys_at[key], "map"
        trigger = mapping(holder, "trigger")
        if "run" in trigger:
            yield trigger["run"], trigger.values_at["run"], "program"
    for step in steps:
        for verb in ("read", "write", "pin"):
            for key in ("map", "program"):
                part = mapping(step, verb)
                if key in part:
                    yield part[key], part.values_at[key], key


def _attached(extension: Map, data: Map, name: str) -> Iterator[tuple[str, Mark]]:
    """Yield the programs that an extension's own list and the steps attach by name."""
    listed: Seq = sequence(extension, "attach")
    for item, mark in zip(listed, listed.items_at, strict=True):
        if isinstance(item, str):
            yield item, mark
        elif text(item, "program") is not None:
            yield item["program"], item.values_at["program"]
    for step in walk(sequence(data, "steps")):
        spec = mapping(step, "attach")
        if text(spec, "extension") == name and text(spec, "program") is not None:
            yield spec["program"], spec.values_at["program"]


def _compared(data: Map) -> Iterator[Map]:
    for variant in mapping(mapping(data, "compare"), "variants").values():
        yield from extensions(variant).values() if isinstance(variant, Map) else ()
