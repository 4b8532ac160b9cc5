# SPDX-License-Identifier: GPL-2.0-only
"""Check for programs with a target that they can't be attached to, or with no target at all."""

from __future__ import annotations

from collections.abc import Iterator

from lab.config.yaml_file import Flaw, Map, Mark
from lab.scenario.catalog import Catalog, Source
from lab.scenario.checks.data import (
    at_value,
    extensions,
    failed_load,
    mapping,
    sequence,
    text,
    walk,
)

# The kinds of target that a program can be attached to, by the first word of its section.
# These are libbpf's words for sections, and the words after `rex_` in Rust's attributes. The
# loader checks programs with other words.
_KINDS = {
    "kprobe": ("kprobe", "kretprobe"),
    "kretprobe": ("kprobe", "kretprobe"),
    "tracepoint": ("tracepoint",),
    "tp": ("tracepoint",),
    "raw_tracepoint": ("raw_tracepoint",),
    "raw_tp": ("raw_tracepoint",),
    "fentry": ("fentry",),
    "fexit": ("fexit",),
    "perf_event": ("perf",),
    "xdp": ("xdp",),
    "tc": ("tc",),
    "classifier": ("tc",),
    "cgroup_skb": ("cgroup",),
}
# Sections that never name a target, whatever follows the first word.
_NEVER_PLACED = ("xdp", "tc", "classifier", "cgroup_skb")
# Programs that the loader can attach without a target.
_ALWAYS_PLACED = ("perf_event",)


def against(catalog: Catalog, data: Map) -> Iterator[Flaw]:
    """Find attachments that the loader would refuse, as far as the sources show."""
    known = extensions(data)
    sources = {name: _source(catalog, extension) for name, extension in known.items()}
    for name, extension in known.items():
        for item in sequence(extension, "attach"):
            if isinstance(item, Map):
                yield from _one(sources[name], item)
    for name, mark in _attached_whole(data, known):
        extension, source = known[name], sources[name]
        if "attach" not in extension:
            limited = list(sequence(extension, "programs"))
            for program in source.sections:
                if not limited or program in limited:
                    yield from _unplaced(source, program, mark)
            continue
        listed = sequence(extension, "attach")
        for item, place in zip(listed, listed.items_at, strict=True):
            named = item if isinstance(item, str) else text(item, "program")
            if named is not None and (isinstance(item, str) or "to" not in item):
                yield from _unplaced(source, named, place)
    for step in walk(sequence(data, "steps")):
        spec = mapping(step, "attach")
        source = sources.get(text(spec, "extension") or "", Source())
        yield from _one(source, spec)
        named = text(spec, "program")
        if named is not None and "to" not in spec:
            yield from _unplaced(source, named, spec.values_at["program"])


def _source(catalog: Catalog, extension: Map) -> Source:
    for kind in ("c", "rust"):
        name = text(extension, kind)
        if name is not None:
            return catalog.sources(kind).get(name, Source())
    return Source()


def _attached_whole(data: Map, known: dict[str, Map]) -> Iterator[tuple[str, Mark]]:
    """Yield the extensions that are attached by their own list, and the place that requires it."""
    for step in walk(sequence(data, "steps")):
        spec = step.get("attach")
        name = spec if isinstance(spec, str) else text(spec, "extension")
        whole = isinstance(spec, str) or (isinstance(spec, Map) and "program" not in spec)
        if whole and name in known:
            yield name, step.values_at["attach"]
    if "steps" in data or "trigger" not in data or failed_load(data):
        return
    for name, extension in known.items():
        if "attach" in extension or "run" not in mapping(data, "trigger"):
            yield name, extension.mark


def _one(source: Source, spec: Map) -> Iterator[Flaw]:
    section = source.sections.get(text(spec, "program") or "")
    target = text(spec, "to")
    if section is None or target is None:
        return
    kinds = _KINDS.get(_word(section))
    if kinds is not None and target.partition(":")[0] not in kinds:
        yield at_value(
            spec,
            "to",
            f"'{spec['program']}' {_where(source, section)}: "
            f"it can only be attached to {' or '.join(f'{kind}:…' for kind in kinds)}",
        )


def _unplaced(source: Source, program: str, mark: Mark) -> Iterator[Flaw]:
    section = source.sections.get(program)
    if section is None:
        return
    word = _word(section)
    # libbpf takes no device from a section; an attribute names a target of any kind.
    never = source.marks == "section" and word in _NEVER_PLACED
    placed = "/" in section and not never
    if word in _KINDS and not placed and word not in _ALWAYS_PLACED:
        kind = _KINDS[word][0]
        yield Flaw(
            mark,
            f"'{program}' needs a target, and its {source.marks} "
            f"'{_shown(source, section)}' names none: "
            f'attach: [{{program: {program}, to: "{kind}:…"}}]',
        )


def _where(source: Source, section: str) -> str:
    if source.marks == "attribute":
        return f"has the attribute '{_shown(source, section)}'"
    return f"is in the section '{section}'"


def _shown(source: Source, section: str) -> str:
    """Return a section as the source writes it: an attribute is `rex_kprobe` for `kprobe/f`."""
    return f"rex_{_word(section)}" if source.marks == "attribute" else section


def _word(section: str) -> str:
    """Return `xdp` for `xdp.frags`, `kprobe` for `kprobe/f`, without libbpf's optional `?`."""
    return section.lstrip("?").partition("/")[0].partition(".")[0]
