# SPDX-License-Identifier: GPL-2.0-only
"""The oracle of BPF objects that did not exist at the baseline. Trust: COUNTER.

Objects have ids that the kernel never uses twice, so that a program that is loaded
again is not mistaken for the old one. Frees are deferred (grace periods,
workqueues): the runner asks again until nothing is left, with a deadline.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lab.errors import InfraError
from lab.oracle.evidence import Evidence
from lab.words import BPF_OBJECT_KINDS, BpfObjectKind

_SINGULAR: dict[BpfObjectKind, str] = {
    "programs": "program",
    "maps": "map",
    "links": "link",
    "btfs": "BTF object",
    "net": "network attachment",
    "pins": "pin",
}


@dataclass(frozen=True, order=True)
class Item:
    """An object. `key` identifies it (an id, a path, a place), `name` is for people."""

    kind: BpfObjectKind
    key: str
    name: str = field(default="", compare=False)

    def __str__(self) -> str:
        return f"{_SINGULAR[self.kind]} {self.name}" if self.name else f"{self.kind} {self.key}"


@dataclass(frozen=True)
class BpfObjects:
    """All BPF objects at one moment."""

    items: frozenset[Item]

    def of(self, kind: BpfObjectKind) -> list[Item]:
        return sorted(item for item in self.items if item.kind == kind)


def parse(report: Mapping[str, Any]) -> BpfObjects:
    """Return the BPF objects from the answer of `kextload bpf-objects`.

    Raises `InfraError` if a list is missing or malformed: an answer that can't be
    read in full proves nothing.
    """
    items: set[Item] = set()
    for kind in BPF_OBJECT_KINDS:
        entries = report.get(kind)
        if not isinstance(entries, list):
            raise InfraError(f"the guest's list of BPF objects lacks {kind}")
        for entry in entries:
            try:
                item = _item(kind, entry)
            except (KeyError, TypeError, ValueError) as error:
                raise InfraError(
                    f"the guest's list of BPF objects has a malformed entry in {kind}: "
                    f"{str(entry)[:100]}"
                ) from error
            if item is not None:
                items.add(item)
    return BpfObjects(frozenset(items))


def _item(kind: BpfObjectKind, entry: Any) -> Item | None:
    if kind == "pins":
        if not isinstance(entry, str):
            raise TypeError("a pin is a path")
        return Item(kind, entry, entry)
    if kind == "net":
        place = f"{entry['ifname']} {entry['kind']}"
        key = f"{int(entry['ifindex'])} {entry['kind']} {int(entry['prog_id'])}"
        return Item(kind, key, f"{place}, program {entry['prog_id']}")
    number = int(entry["id"])
    if kind == "btfs":
        # The types of the kernel and of its modules are not leaks.
        return None if entry["kernel"] else Item(kind, str(number), _named(number, entry))
    if kind == "links":
        name = f"{number} ({entry.get('type', '?')}, program {entry.get('prog_id')})"
        return Item(kind, str(number), name)
    return Item(kind, str(number), _named(number, entry))


def _named(number: int, entry: Mapping[str, Any]) -> str:
    details = ", ".join(str(entry[name]) for name in ("name", "type") if entry.get(name))
    return f"{number} ({details})" if details else str(number)


def leaked(baseline: BpfObjects, now: BpfObjects) -> list[Item]:
    """Return the objects that did not exist at the baseline, in a fixed order."""
    return sorted(now.items - baseline.items)


def settled(baseline: BpfObjects, now: BpfObjects) -> bool:
    """Return whether nothing is left over."""
    return not leaked(baseline, now)


def sizes(objects: BpfObjects) -> dict[BpfObjectKind, int]:
    """Return the number of objects of each kind."""
    return {kind: len(objects.of(kind)) for kind in BPF_OBJECT_KINDS}


def increase(baseline: BpfObjects, now: BpfObjects) -> dict[str, int]:
    """Return the number of objects of each kind that did not exist at the baseline."""
    left = leaked(baseline, now)
    return {kind: sum(item.kind == kind for item in left) for kind in BPF_OBJECT_KINDS}


def evidence(baseline: BpfObjects, now: BpfObjects) -> Evidence:
    """Return the leftover objects as evidence."""
    left = [str(item) for item in leaked(baseline, now)]
    summary = f"left over: {', '.join(left)}" if left else "every BPF object was released"
    return Evidence("bpf-objects", summary, {"leaked": left, **increase(baseline, now)})
