# SPDX-License-Identifier: GPL-2.0-only
"""Sources of the inventory: the requests to the guest, and the readers of its answers.

There are two groups. `safe` sources read names that the kernel has copied, or
memory through /proc/kcore: reading them never runs or follows anything that an
extension left. `careful` sources may: they are read only if the safe ones found
nothing left over.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from lab.errors import InfraError
from lab.oracle.inventory import memory, readers
from lab.oracle.inventory.items import Inventory, Item, ItemKind

# Trees that are not registries, other mounts, and copies of another source's list.
_SYSFS_SKIPPED = (
    "/sys/devices/LNXSYSTM:00",  # ACPI's tree of the machine
    "/sys/firmware/acpi",
    "/sys/kernel/irq",
    "/sys/kernel/slab",
    "/sys/kernel/debug",
    "/sys/kernel/tracing",
    "/sys/fs/bpf",
    "/sys/fs/cgroup",
)
_PROC_SKIPPED = ("/proc/sys", "/proc/self", "/proc/thread-self")
_DYNAMIC_EVENTS = "/sys/kernel/tracing/dynamic_events"
_ENABLED_FUNCTIONS = "/sys/kernel/tracing/enabled_functions"
_HOTPLUG_STATES = "/sys/devices/system/cpu/hotplug/states"
_DEBUG_SKIPPED = ("/sys/kernel/debug/tracing", "/sys/kernel/debug/slab")
SYSCTL = "/proc/sys"
# The fields of an answer about files of which at least a part was read.
_CONTENTS = frozenset({"text", "folders", "entries"})


@dataclass(frozen=True)
class Source:
    """One source: its request to the guest, and the reader of the answer's fields."""

    name: str
    kinds: tuple[ItemKind, ...]
    request: str
    read: Callable[[Mapping[str, Any]], Iterable[Item]]

    @property
    def of_files(self) -> bool:
        """Return True if it lists files of the guest, not a part of the kernel's memory."""
        return bool(self.kinds) and self.request.split()[0] in ("file", "tree", "tasks")


@dataclass(frozen=True)
class Reading:
    """All sources of one kernel in two groups, and the kinds that no source shows."""

    safe: tuple[Source, ...]
    careful: tuple[Source, ...]
    unknown: Mapping[ItemKind, str] = field(default_factory=dict)


def reading(
    symbols: memory.Symbols, layout: memory.Layout, why_unknown: str = "the kernel has no such list"
) -> Reading:
    """Return the sources for a kernel with these symbols and this layout (both may be empty)."""
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
        in_memory.append(Source("open-files", ("open-file",), files, readers.nothing))
    return Reading((*_SAFE, *in_memory), tuple(careful), unknown)


def request(sources: Iterable[Source], folders: Iterable[str] = ()) -> bytes:
    """Return the lines for `kextload inventory`.

    If `folders` is not empty, only those of /proc/sys are listed: listing one that an
    extension left would follow its table, which may be gone.
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
    cannot be read in full proves nothing. The kinds of a source that the kernel does not
    have, or of which only a part could be read, are `unseen`.
    """
    entries = report.get("sources")
    if not isinstance(entries, list):
        raise InfraError("the guest's inventory has no list of sources")
    answers = {entry.get("name"): entry for entry in entries if isinstance(entry, dict)}
    items: set[Item] = set()
    unseen: dict[ItemKind, str] = {}
    absent: set[str] = set()
    for source in sources:
        answer = answers.get(source.name)
        if answer is None:
            raise InfraError(f"the guest's inventory lacks {source.name}")
        if "absent" in answer:
            unseen.update({kind: str(answer["absent"]) for kind in source.kinds})
            if source.of_files and not answer.keys() & _CONTENTS:
                absent.add(source.name)
            if not {"nodes", "folders"} & answer.keys():
                continue  # else the part that could be read is there
        with _read_in_full(source.name):
            items.update(source.read(answer))
    with _read_in_full("what sources share"):
        return _joined(items, unseen, absent, answers)


@contextlib.contextmanager
def _read_in_full(name: str) -> Iterator[None]:
    """Raise `InfraError` for what a guest's answer has in place of an entry."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise InfraError(
            f"the guest's inventory has a malformed entry in {name}: {str(error)[:100]}"
        ) from error


def _joined(
    items: set[Item],
    unseen: dict[ItemKind, str],
    absent: set[str],
    answers: Mapping[Any, Mapping[str, Any]],
) -> Inventory:
    """Return the inventory of the items, with what is read from more than one source."""
    return Inventory(
        frozenset(items),
        unseen,
        tuple(answers["sysctl"]["folders"]) if "folders" in answers.get("sysctl", {}) else (),
        frozenset(readers.processes(answers)),
        readers.open_files(answers),
        readers.packets(answers),
        readers.links(answers),
        readers.made_by_processes(answers),
        frozenset(absent),
    )


def _file(
    name: str, kind: ItemKind, path: str, reader: Callable[[ItemKind], readers.Reader]
) -> Source:
    return Source(name, (kind,), f"file name={name} path={path}", reader(kind))


def _memory_source(one: memory.MemoryList, names: Mapping[int, str]) -> Source:
    return Source(one.name, (one.kind,), one.request, readers.in_memory(one, names))


_SAFE = (
    Source("modules", ("module",), "file name=modules path=/proc/modules", readers.modules),
    Source(
        "devices",
        ("chardev", "blockdev"),
        "file name=devices path=/proc/devices",
        readers.devices,
    ),
    Source("mounts", ("mount",), "file name=mounts path=/proc/self/mountinfo", readers.mounts),
    *(
        Source(
            f"packets-{device}",
            (),
            f"file name=packets-{device} path=/sys/class/net/{device}/statistics/rx_packets",
            readers.nothing,
        )
        for device in readers.QUIET_DEVICES
    ),
    _file("dynamic-events", "tracing", _DYNAMIC_EVENTS, readers.whole_line),
    Source(
        "proc",
        ("proc", "interrupt"),
        f"tree name=proc path=/proc depth=8 inodes=1 pids=1 skip={','.join(_PROC_SKIPPED)}",
        readers.proc,
    ),
    Source(
        "proc-net",
        ("proc",),
        "tree name=proc-net path=/proc/self/net depth=4 inodes=1",
        readers.tree("proc", inodes=True),
    ),
    Source(
        "sysfs",
        ("sysfs",),
        f"tree name=sysfs path=/sys depth=16 skip={','.join(_SYSFS_SKIPPED)}",
        readers.tree("sysfs", inodes=False),
    ),
    Source(
        "netdevs",
        ("netdev",),
        "tree name=netdevs path=/sys/class/net inodes=1",
        readers.netdevs,
    ),
    Source("slab", ("slab-cache",), "tree name=slab path=/sys/kernel/slab links=1 count=aliases",
           readers.slab),
    Source(
        "debugfs",
        ("debugfs",),
        "tree name=debugfs path=/sys/kernel/debug depth=8 inodes=1"
        f" skip={','.join(_DEBUG_SKIPPED)}",
        readers.tree("debugfs", inodes=True),
    ),
    Source(
        "trace-instances",
        ("tracing",),
        "tree name=trace-instances path=/sys/kernel/tracing/instances",
        readers.tree("tracing", inodes=False),
    ),
    Source(
        "trace-events",
        ("tracing",),
        "tree name=trace-events path=/sys/kernel/tracing/events",
        readers.tree("tracing", inodes=False),
    ),
    Source(
        "device-nodes",
        ("device-node",),
        "tree name=device-nodes path=/dev depth=4 skip=/dev/pts,/dev/shm",
        readers.tree("device-node", inodes=False),
    ),
    Source("tasks", ("thread",), "tasks name=tasks", readers.threads),
)  # fmt: skip

# Left out if the kernel's memory shows the same kind.
_CAREFUL_FILES = (
    _file("filesystems", "filesystem", "/proc/filesystems", readers.first_word),
    _file("kprobes", "kprobe", "/sys/kernel/debug/kprobes/list", readers.whole_line),
    _file("protocols", "protocol", "/proc/net/protocols", readers.first_word),
    _file("packet-types", "packet-handler", "/proc/net/ptype", readers.whole_line),
    _file("tty-drivers", "tty-driver", "/proc/tty/drivers", readers.first_word),
    _file("line-disciplines", "line-discipline", "/proc/tty/ldiscs", readers.first_word),
    _file("ioports", "resource", "/proc/ioports", readers.whole_line),
    _file("iomem", "resource", "/proc/iomem", readers.whole_line),
    _file("cpu-hotplug", "cpu-hotplug", _HOTPLUG_STATES, readers.whole_line),
    _file("enabled-functions", "ftrace", _ENABLED_FUNCTIONS, readers.whole_line),
)
_CAREFUL = (
    Source(
        "sysctl",
        ("sysctl",),
        f"tree name=sysctl path={SYSCTL} depth=12",
        readers.tree("sysctl", inodes=False),
    ),
)
