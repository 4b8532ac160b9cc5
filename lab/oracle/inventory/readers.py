# SPDX-License-Identifier: GPL-2.0-only
"""Readers: turn a source's answer into items. A malformed answer raises any exception."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from lab.oracle.inventory.items import Item, ItemKind
from lab.oracle.inventory.memory import MemoryList

Reader = Callable[[Mapping[str, Any]], Iterator[Item]]

# Devices whose references are compared, as long as they carry no packets. The device of the
# host's connection always carries some, and cached routes refer to it.
QUIET_DEVICES = ("lo", "dummy0")
# No guest has more references to a device; a torn count must not fill the memory.
MAX_REFERENCES = 10_000

# Addresses on x86-64 where the kernel's own text and data are, and where modules begin.
KERNEL, MODULES = 0xFFFFFFFF80000000, 0xFFFFFFFFA0000000

# Entries that the kernel itself adds and removes, by path.
_RESTLESS = re.compile(
    r"/sys/devices/system/cpu/cpu\d+/"  # a CPU that went offline and came back
    r"|/sys/devices/virtual/(workqueue|bdi|vc)/"
    r"|/sys/kernel/iommu_groups/"
    r"|/sys/kernel/debug/(bdi|kvm|sched)/"
)
# Threads that the kernel starts and ends as work comes and goes. A rescuer, `kworker/R-NAME`,
# belongs to one queue and stays.
_POOL_THREAD = re.compile(r"kworker/(?!R-)|migration/|cpuhp/|ksoftirqd/|rcu[a-z]*/|idle_inject/")


def _lines(answer: Mapping[str, Any]) -> list[str]:
    return [line for line in answer["text"].splitlines() if line.strip()]


def _paths(answer: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield folder and entry of a tree."""
    for folder, names in answer["folders"].items():
        for name in names:
            yield folder, str(name)


def tree(kind: ItemKind, *, inodes: bool) -> Callable[[Mapping[str, Any]], Iterator[Item]]:
    def read(answer: Mapping[str, Any]) -> Iterator[Item]:
        for folder, entry in _paths(answer):
            inode, _, name = entry.partition(" ") if inodes else ("", "", entry)
            path = f"{folder}/{name}"
            if not _RESTLESS.match(path):
                yield Item(kind, f"{path} {inode}".rstrip(), path)

    return read


def proc(answer: Mapping[str, Any]) -> Iterator[Item]:
    """Read /proc; a folder below the number of an interrupt is that of a handler."""
    for item in tree("proc", inodes=True)(answer):
        parts = item.name.split("/")  # "", "proc", "irq", NUMBER, NAME
        number = parts[3] if len(parts) == 5 and parts[2] == "irq" else ""
        is_folder = item.name in answer["folders"]
        if number.isdigit() and is_folder:
            yield Item("interrupt", item.key, f"{parts[4]} of interrupt {number}")
        else:
            yield item


def slab(answer: Mapping[str, Any]) -> Iterator[Item]:
    """Read the slab caches.

    Caches of the same size share one: when one of them is destroyed, its entry stays
    as a link, but the shared cache counts how many there are.
    """
    for _, entry in _paths(answer):
        if " -> " in entry:
            continue
        name, _, count = entry.partition(" = ")
        yield Item("slab-cache", name, name)
        for number in range(int(count or 0)):
            yield Item("slab-cache", f"{name} alias {number}", name, place=name)


def links(answers: Mapping[Any, Mapping[str, Any]]) -> dict[str, str]:
    found = {}
    for folder in answers.get("slab", {}).get("folders", {}).values():
        for entry in folder:
            name, arrow, target = str(entry).partition(" -> ")
            if arrow:
                found[name] = target.rpartition("/")[2]
    return found


def devices(answer: Mapping[str, Any]) -> Iterator[Item]:
    kind: ItemKind = "chardev"
    for line in _lines(answer):
        if line.startswith("Block"):
            kind = "blockdev"
        words = line.split(None, 1)
        if words[0].isdigit():
            yield Item(kind, line.strip(), f"{words[1]} (major {words[0]})")


def threads(answer: Mapping[str, Any]) -> Iterator[Item]:
    for entry in answer["entries"]:
        who, pid, name = entry.split(" ", 2)
        if who == "kernel" and not _POOL_THREAD.match(name):
            yield Item("thread", f"{pid} {name}", name)


def processes(answers: Mapping[Any, Mapping[str, Any]]) -> Iterator[str]:
    """Yield pid and name of each process; threads of the kernel are items."""
    for entry in answers.get("tasks", {}).get("entries", []):
        who, pid, name = entry.split(" ", 2)
        if who == "user":
            yield f"{pid} {name}"


def open_files(answers: Mapping[Any, Mapping[str, Any]]) -> int | None:
    number = answers.get("open-files", {}).get("number")
    return number if isinstance(number, int) else None


def packets(answers: Mapping[Any, Mapping[str, Any]]) -> dict[str, int]:
    texts = {
        name: str(answers.get(f"packets-{name}", {}).get("text", "")) for name in QUIET_DEVICES
    }
    return {name: int(text) for name, text in texts.items() if text.strip().isdecimal()}


def modules(answer: Mapping[str, Any]) -> Iterator[Item]:
    for line in _lines(answer):
        name, _, references, _ = line.split(None, 3)
        yield Item("module", name, name)
        for number in range(int(references) if references.isdigit() else 0):
            yield Item("module-reference", f"{name} {number}", name)


def mounts(answer: Mapping[str, Any]) -> Iterator[Item]:
    for line in _lines(answer):
        words = line.split()
        kind = words[words.index("-") + 1]
        yield Item("mount", f"{words[0]} {words[4]}", f"{words[4]} ({kind})")


def first_word(kind: ItemKind) -> Callable[[Mapping[str, Any]], Iterator[Item]]:
    def read(answer: Mapping[str, Any]) -> Iterator[Item]:
        for line in _lines(answer):
            name = line.split("\t")[-1].split()[0]
            yield Item(kind, name, name)

    return read


def whole_line(kind: ItemKind) -> Callable[[Mapping[str, Any]], Iterator[Item]]:
    def read(answer: Mapping[str, Any]) -> Iterator[Item]:
        for line in _lines(answer):
            text = " ".join(line.split())
            yield Item(kind, text, text)

    return read


def netdevs(answer: Mapping[str, Any]) -> Iterator[Item]:
    for _, entry in _paths(answer):
        inode, _, name = entry.partition(" ")
        yield Item("netdev", f"{inode} {name}", name)


def references(answer: Mapping[str, Any]) -> Iterator[Item]:
    """Read the counts of references to network devices."""
    for entry in answer["nodes"]:
        count, _, name = entry.split(" ", 2)
        if name in QUIET_DEVICES:
            for number in range(min(int(count), MAX_REFERENCES)):
                yield Item("netdev-reference", f"{name} {number}", name)


def made_by_processes(answers: Mapping[Any, Mapping[str, Any]]) -> frozenset[str]:
    """Return the network devices of the kernel's own kinds, which `ip link add` makes."""
    entries = answers.get("net-device-references", {}).get("nodes", [])
    devices = (entry.split(" ", 2) for entry in entries)
    return frozenset(name for _, ops, name in devices if KERNEL <= int(ops, 16) < MODULES)


def in_memory(one: MemoryList, names: Mapping[int, str]) -> Reader:
    """Return the reader of a list in the kernel's memory; `names` are those of tracepoints."""
    if one.kind == "netdev-reference":
        return references
    if one.kind == "resource":
        return lambda answer: _resources(one, answer)
    if one.kind == "tracepoint":
        return lambda answer: _probes(one, names, answer)
    return lambda answer: _nodes(one, answer)


def _nodes(one: MemoryList, answer: Mapping[str, Any]) -> Iterator[Item]:
    in_array = one.request.startswith("array")
    for entry in answer["nodes"]:
        node, value, *name = entry.split(" ", 2)
        # A slot of an array is used again: only the value identifies its user.
        key = f"{one.name} {node} {value}" if in_array else f"{one.name} {node}"
        yield Item(one.kind, key, "".join(name), one.name, int(node, 16), int(value, 16))


def _probes(one: MemoryList, names: Mapping[int, str], answer: Mapping[str, Any]) -> Iterator[Item]:
    for entry in answer["nodes"]:
        node, value = (int(word, 16) for word in entry.split(" "))
        name = names.get(node, "a tracepoint")
        yield Item(one.kind, f"{node:x} {value:x}", name, one.name, node, value)


def _resources(one: MemoryList, answer: Mapping[str, Any]) -> Iterator[Item]:
    for entry in answer["nodes"]:
        node, span, *name = entry.split(" ", 2)
        text = " ".join([span, *filter(None, name)])
        yield Item(one.kind, f"{one.name} {node} {span}", text, one.name, int(node, 16))


def nothing(_: Mapping[str, Any]) -> Iterator[Item]:
    return iter(())
