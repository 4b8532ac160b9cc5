# SPDX-License-Identifier: GPL-2.0-only
"""Sources of the inventory: what the guest is asked for, and how its answers are read.

There are two groups. `safe` sources read names that the kernel has copied, or
memory through /proc/kcore: reading them never runs or follows what an
extension left. `careful` sources do: they are read only if the safe ones found
nothing left over.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from lab.errors import InfraError
from lab.oracle.inventory import memory
from lab.oracle.inventory.items import Inventory, Item, ItemKind

# Trees that are no registry, other mounts, and copies of what another source lists.
_SYSFS_SKIPPED = (
    "/sys/kernel/slab",
    "/sys/kernel/debug",
    "/sys/kernel/tracing",
    "/sys/fs/bpf",
    "/sys/fs/cgroup",
)
_PROC_SKIPPED = ("/proc/sys", "/proc/self", "/proc/thread-self")
_DYNAMIC_EVENTS = "/sys/kernel/tracing/dynamic_events"
_DEBUG_SKIPPED = ("/sys/kernel/debug/tracing", "/sys/kernel/debug/slab")
SYSCTL = "/proc/sys"
# Devices whose references are compared, as long as they carry no packets: that of the
# connection from the host always does, and cached routes refer to it.
QUIET_DEVICES = ("lo", "dummy0")
# More of one device than any guest has; a torn count must not fill the memory.
MAX_REFERENCES = 10_000

# Entries that come and go by the kernel's own doing, by path.
_RESTLESS = re.compile(
    r"/sys/devices/system/cpu/cpu\d+/"  # a CPU that went offline and came back
    r"|/sys/devices/virtual/(workqueue|bdi|vc)/"
    r"|/sys/kernel/(irq|iommu_groups)/"
    r"|/sys/kernel/debug/(bdi|kvm|sched)/"
)
# Threads that the kernel starts and ends as work comes and goes. A rescuer, `kworker/R-NAME`,
# belongs to one queue and stays.
_POOL_THREAD = re.compile(r"kworker/(?!R-)|migration/|cpuhp/|ksoftirqd/|rcu[a-z]*/|idle_inject/")


@dataclass(frozen=True)
class Source:
    """One source: its words for the guest, and what reads the answer's fields."""

    name: str
    kinds: tuple[ItemKind, ...]
    request: str
    read: Callable[[Mapping[str, Any]], Iterable[Item]]


@dataclass(frozen=True)
class Reading:
    """All sources of one kernel, in two groups, and the kinds that none of them shows."""

    safe: tuple[Source, ...]
    careful: tuple[Source, ...]
    unknown: Mapping[ItemKind, str] = field(default_factory=dict)


def reading(
    symbols: memory.Symbols, layout: memory.Layout, why_unknown: str = "the kernel has no such list"
) -> Reading:
    """Return what to read on a kernel with these symbols and this layout (both may be empty)."""
    lists = memory.memory_lists(symbols, layout)
    names = memory.tracepoints(symbols)
    in_memory = [_memory_source(one, names) for one in lists]
    known = {one.kind for one in lists}
    careful = [source for source in _CAREFUL_FILES if not known.intersection(source.kinds)] + list(
        _CAREFUL
    )
    why = why_unknown if symbols else "the lab has no symbols of this kernel"
    unknown = dict.fromkeys(sorted(memory.unknown_kinds(lists)), why)
    files = memory.open_files(symbols, layout)
    if files is None:
        unknown["open-file"] = why
    else:
        in_memory.append(Source("open-files", ("open-file",), files, _nothing))
    return Reading((*_SAFE, *in_memory), tuple(careful), unknown)


def request(sources: Iterable[Source], folders: Iterable[str] = ()) -> bytes:
    """Return the lines for `kextload inventory`.

    Of /proc/sys only `folders` are listed, if there are any: listing one that an extension
    left would follow its table, which may be gone.
    """
    only = ",".join(folders)
    lines = [
        f"{one.request} only={only}" if only and one.name == "sysctl" else one.request
        for one in sources
    ]
    return "".join(f"{line}\n" for line in lines).encode()


def parse(report: Mapping[str, Any], sources: Iterable[Source]) -> Inventory:
    """Return the inventory from the guest's answer.

    Raises `InfraError` if a source is missing or malformed: an inventory that
    cannot be read in full proves nothing. A source that the kernel does not
    have is `unseen`.
    """
    entries = report.get("sources")
    if not isinstance(entries, list):
        raise InfraError("the guest's inventory has no list of sources")
    answers = {entry.get("name"): entry for entry in entries if isinstance(entry, dict)}
    items: set[Item] = set()
    unseen: dict[ItemKind, str] = {}
    for source in sources:
        answer = answers.get(source.name)
        if answer is None:
            raise InfraError(f"the guest's inventory lacks {source.name}")
        if "absent" in answer:
            unseen.update({kind: str(answer["absent"]) for kind in source.kinds})
            continue
        try:
            items.update(source.read(answer))
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            raise InfraError(
                f"the guest's inventory has a malformed entry in {source.name}: {str(error)[:100]}"
            ) from error
    seen = {item.kind for item in items}
    return Inventory(
        frozenset(items),
        {kind: why for kind, why in unseen.items() if kind not in seen},
        tuple(answers["sysctl"]["folders"]) if "folders" in answers.get("sysctl", {}) else (),
        frozenset(_tasks(answers, "user")),
        _open_files(answers),
        _packets(answers),
        _links(answers),
    )


# Reading the answers


def _lines(answer: Mapping[str, Any]) -> list[str]:
    return [line for line in answer["text"].splitlines() if line.strip()]


def _paths(answer: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield folder and entry of a tree."""
    for folder, names in answer["folders"].items():
        for name in names:
            yield folder, str(name)


def _tree(kind: ItemKind, *, inodes: bool) -> Callable[[Mapping[str, Any]], Iterator[Item]]:
    def read(answer: Mapping[str, Any]) -> Iterator[Item]:
        for folder, entry in _paths(answer):
            inode, _, name = entry.partition(" ") if inodes else ("", "", entry)
            path = f"{folder}/{name}"
            if not _RESTLESS.match(path):
                yield Item(kind, f"{path} {inode}".rstrip(), path)

    return read


def _proc(answer: Mapping[str, Any]) -> Iterator[Item]:
    """Read /proc; a folder below the number of an interrupt is that of a handler."""
    for item in _tree("proc", inodes=True)(answer):
        parts = item.name.split("/")  # "", "proc", "irq", NUMBER, NAME
        number = parts[3] if len(parts) == 5 and parts[2] == "irq" else ""
        is_folder = item.name in answer["folders"]
        if number.isdigit() and is_folder:
            yield Item("interrupt", item.key, f"{parts[4]} of interrupt {number}")
        else:
            yield item


def _slab(answer: Mapping[str, Any]) -> Iterator[Item]:
    """Read the slab caches.

    Caches of the same size share one: the entry of each stays as a link when it is
    destroyed, but the shared one counts how many there are.
    """
    for _, entry in _paths(answer):
        name, equals, count = entry.partition(" = ")
        if equals:
            yield Item("slab-cache", name, name)
            for number in range(int(count)):
                yield Item("slab-cache", f"{name} alias {number}", name, place=name)


def _links(answers: Mapping[Any, Mapping[str, Any]]) -> dict[str, str]:
    found = {}
    for folder in answers.get("slab", {}).get("folders", {}).values():
        for entry in folder:
            name, arrow, target = str(entry).partition(" -> ")
            if arrow:
                found[name] = target.rpartition("/")[2]
    return found


def _devices(answer: Mapping[str, Any]) -> Iterator[Item]:
    kind: ItemKind = "chardev"
    for line in _lines(answer):
        if line.startswith("Block"):
            kind = "blockdev"
        words = line.split(None, 1)
        if words[0].isdigit():
            yield Item(kind, line.strip(), f"{words[1]} (major {words[0]})")


def _threads(answer: Mapping[str, Any]) -> Iterator[Item]:
    for entry in answer["entries"]:
        who, pid, name = entry.split(" ", 2)
        if who == "kernel" and not _POOL_THREAD.match(name):
            yield Item("thread", f"{pid} {name}", name)


def _tasks(answers: Mapping[Any, Mapping[str, Any]], wanted: str) -> Iterator[str]:
    for entry in answers.get("tasks", {}).get("entries", []):
        who, pid, name = entry.split(" ", 2)
        if who == wanted:
            yield f"{pid} {name}"


def _open_files(answers: Mapping[Any, Mapping[str, Any]]) -> int | None:
    number = answers.get("open-files", {}).get("number")
    return number if isinstance(number, int) else None


def _packets(answers: Mapping[Any, Mapping[str, Any]]) -> dict[str, int]:
    texts = {
        name: str(answers.get(f"packets-{name}", {}).get("text", "")) for name in QUIET_DEVICES
    }
    return {name: int(text) for name, text in texts.items() if text.strip().isdecimal()}


def _modules(answer: Mapping[str, Any]) -> Iterator[Item]:
    for line in _lines(answer):
        name, _, references, _ = line.split(None, 3)
        yield Item("module", name, name)
        for number in range(int(references) if references.isdigit() else 0):
            yield Item("module-reference", f"{name} {number}", name)


def _mounts(answer: Mapping[str, Any]) -> Iterator[Item]:
    for line in _lines(answer):
        words = line.split()
        kind = words[words.index("-") + 1]
        yield Item("mount", f"{words[0]} {words[4]}", f"{words[4]} ({kind})")


def _first_word(kind: ItemKind) -> Callable[[Mapping[str, Any]], Iterator[Item]]:
    def read(answer: Mapping[str, Any]) -> Iterator[Item]:
        for line in _lines(answer):
            name = line.split("\t")[-1].split()[0]
            yield Item(kind, name, name)

    return read


def _whole_line(kind: ItemKind) -> Callable[[Mapping[str, Any]], Iterator[Item]]:
    def read(answer: Mapping[str, Any]) -> Iterator[Item]:
        for line in _lines(answer):
            text = " ".join(line.split())
            yield Item(kind, text, text)

    return read


def _netdevs(answer: Mapping[str, Any]) -> Iterator[Item]:
    for _, entry in _paths(answer):
        inode, _, name = entry.partition(" ")
        yield Item("netdev", f"{inode} {name}", name)


def _references(answer: Mapping[str, Any]) -> Iterator[Item]:
    """Read the counts of references to network devices."""
    for entry in answer["nodes"]:
        count, _, name = entry.partition(" ")
        if name in QUIET_DEVICES:
            for number in range(min(int(count), MAX_REFERENCES)):
                yield Item("netdev-reference", f"{name} {number}", name)


def _memory_source(one: memory.MemoryList, names: Mapping[int, str]) -> Source:
    if one.kind == "netdev-reference":
        return Source(one.name, (one.kind,), one.request, _references)

    def read(answer: Mapping[str, Any]) -> Iterator[Item]:
        for number, entry in enumerate(answer["nodes"]):
            words = entry.split(" ", 2)
            node = int(words[0], 16)
            if one.kind == "resource":
                start, _, end = words[1].partition("-")
                name = f"{start}-{end} {words[2]}".rstrip()
                yield Item(one.kind, f"{one.name} {node:x} {words[1]}", name, one.name, node)
                continue
            value, name = int(words[1], 16), words[2] if len(words) > 2 else ""
            # The place in an array is used again: what is there identifies its user.
            key = f"{one.name} {node:x}" + (
                f" {value:x}" if one.request.startswith("array") else ""
            )
            if one.kind == "tracepoint":
                name = names.get(node, "")
                # The array of a tracepoint's functions has one entry for each probe.
                key = f"{key} {value:x} {number}" if not name else f"{key} {value:x}"
            yield Item(one.kind, key, name, one.name, node, value)

    return Source(one.name, (one.kind,), one.request, read)


def _file(name: str, kind: ItemKind, path: str, read: Any, *more: ItemKind) -> Source:
    return Source(name, (kind, *more), f"file name={name} path={path}", read)


def _nothing(_: Mapping[str, Any]) -> Iterator[Item]:
    return iter(())


_SAFE = (
    _file("modules", "module", "/proc/modules", _modules),
    _file("devices", "chardev", "/proc/devices", _devices, "blockdev"),
    _file("mounts", "mount", "/proc/self/mountinfo", _mounts),
    *(
        Source(
            f"packets-{device}",
            (),
            f"file name=packets-{device} path=/sys/class/net/{device}/statistics/rx_packets",
            _nothing,
        )
        for device in QUIET_DEVICES
    ),
    _file("dynamic-events", "tracing", _DYNAMIC_EVENTS, _whole_line("tracing")),
    Source(
        "proc",
        ("proc", "interrupt"),
        f"tree name=proc path=/proc depth=8 inodes=1 pids=1 skip={','.join(_PROC_SKIPPED)}",
        _proc,
    ),
    Source(
        "proc-net",
        ("proc",),
        "tree name=proc-net path=/proc/self/net depth=4 inodes=1",
        _tree("proc", inodes=True),
    ),
    Source(
        "sysfs",
        ("sysfs",),
        f"tree name=sysfs path=/sys depth=16 skip={','.join(_SYSFS_SKIPPED)}",
        _tree("sysfs", inodes=False),
    ),
    Source(
        "netdevs",
        ("netdev",),
        "tree name=netdevs path=/sys/class/net inodes=1",
        _netdevs,
    ),
    Source("slab", ("slab-cache",), "tree name=slab path=/sys/kernel/slab links=1 count=aliases",
           _slab),
    Source(
        "debugfs",
        ("debugfs",),
        "tree name=debugfs path=/sys/kernel/debug depth=8 inodes=1"
        f" skip={','.join(_DEBUG_SKIPPED)}",
        _tree("debugfs", inodes=True),
    ),
    Source(
        "trace-instances",
        ("tracing",),
        "tree name=trace-instances path=/sys/kernel/tracing/instances",
        _tree("tracing", inodes=False),
    ),
    Source(
        "trace-events",
        ("tracing",),
        "tree name=trace-events path=/sys/kernel/tracing/events",
        _tree("tracing", inodes=False),
    ),
    Source(
        "device-nodes",
        ("device-node",),
        "tree name=device-nodes path=/dev depth=4 skip=/dev/pts,/dev/shm",
        _tree("device-node", inodes=False),
    ),
    Source("tasks", ("thread",), "tasks name=tasks", _threads),
)  # fmt: skip

# Left out where the kernel's memory shows the same kind.
_CAREFUL_FILES = (
    _file("filesystems", "filesystem", "/proc/filesystems", _first_word("filesystem")),
    _file("kprobes", "kprobe", "/sys/kernel/debug/kprobes/list", _whole_line("kprobe")),
    _file("protocols", "protocol", "/proc/net/protocols", _first_word("protocol")),
    _file("packet-types", "packet-handler", "/proc/net/ptype", _whole_line("packet-handler")),
    _file("tty-drivers", "tty-driver", "/proc/tty/drivers", _first_word("tty-driver")),
    _file("ioports", "resource", "/proc/ioports", _whole_line("resource")),
    _file("iomem", "resource", "/proc/iomem", _whole_line("resource")),
    _file(
        "line-disciplines", "line-discipline", "/proc/tty/ldiscs", _first_word("line-discipline")
    ),
    _file(
        "cpu-hotplug",
        "cpu-hotplug",
        "/sys/devices/system/cpu/hotplug/states",
        _whole_line("cpu-hotplug"),
    ),
    _file(
        "enabled-functions",
        "ftrace",
        "/sys/kernel/tracing/enabled_functions",
        _whole_line("ftrace"),
    ),
)
_CAREFUL = (
    Source(
        "sysctl",
        ("sysctl",),
        f"tree name=sysctl path={SYSCTL} depth=12",
        _tree("sysctl", inodes=False),
    ),
)
