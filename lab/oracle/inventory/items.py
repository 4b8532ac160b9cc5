# SPDX-License-Identifier: GPL-2.0-only
"""Items of the inventory: objects that the kernel has at one moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, get_args

ItemKind = Literal[
    "module",
    "module-reference",
    "notifier",
    "kprobe",
    "ftrace",
    "tracepoint",
    "interrupt",
    "thread",
    "workqueue",
    "slab-cache",
    "chardev",
    "blockdev",
    "device-node",
    "netdev",
    "netdev-reference",
    "proc",
    "sysctl",
    "debugfs",
    "tracing",
    "sysfs",
    "filesystem",
    "binary-format",
    "protocol",
    "packet-handler",
    "tty-driver",
    "line-discipline",
    "cpu-hotplug",
    "kernel-list",
    "resource",
    "mount",
    "open-file",
]
ITEM_KINDS: tuple[ItemKind, ...] = get_args(ItemKind)


@dataclass(frozen=True)
class Kind:
    """The words for a kind.

    `code` is true if the object calls functions of the extension that made it: after the
    unload, the next use of the object runs code that is gone.
    """

    noun: str
    plural: str
    code: bool = False


KINDS: Mapping[ItemKind, Kind] = MappingProxyType(
    {
        "module": Kind("module", "loaded modules"),
        "module-reference": Kind("reference to module", "references to modules"),
        "notifier": Kind("notifier", "notifiers", code=True),
        "kprobe": Kind("kprobe", "kprobes", code=True),
        "ftrace": Kind("ftrace hook", "ftrace hooks", code=True),
        "tracepoint": Kind("tracepoint probe", "tracepoint probes", code=True),
        "interrupt": Kind("interrupt handler", "interrupt handlers", code=True),
        "thread": Kind("kernel thread", "kernel threads", code=True),
        "workqueue": Kind("workqueue", "workqueues"),
        "slab-cache": Kind("slab cache", "slab caches"),
        "chardev": Kind("character device", "character devices", code=True),
        "blockdev": Kind("block device", "block devices", code=True),
        "device-node": Kind("device node", "device nodes", code=True),
        "netdev": Kind("network device", "network devices", code=True),
        "netdev-reference": Kind("reference to network device", "references to network devices"),
        "proc": Kind("/proc entry", "/proc entries", code=True),
        "sysctl": Kind("sysctl", "sysctls", code=True),
        "debugfs": Kind("debugfs entry", "debugfs entries", code=True),
        "tracing": Kind("tracing entry", "tracing events and instances"),
        "sysfs": Kind("sysfs entry", "sysfs entries", code=True),
        "filesystem": Kind("file system type", "file system types", code=True),
        "binary-format": Kind("binary format", "binary formats", code=True),
        "protocol": Kind("protocol", "protocols", code=True),
        "packet-handler": Kind("packet handler", "packet handlers", code=True),
        "tty-driver": Kind("tty driver", "tty drivers", code=True),
        "line-discipline": Kind("line discipline", "line disciplines", code=True),
        "cpu-hotplug": Kind("CPU hotplug state", "CPU hotplug states", code=True),
        "kernel-list": Kind("entry", "other lists of callbacks", code=True),
        "resource": Kind("reserved range", "reserved I/O ports and memory"),
        "mount": Kind("mount", "mounts"),
        "open-file": Kind("open file that no process holds", "open files that no process holds"),
    }
)


@dataclass(frozen=True)
class Item:
    """An object of the kernel."""

    kind: ItemKind
    key: str  #: identifies it within its kind
    name: str = field(default="", compare=False)  #: for people
    place: str = ""  #: the list in the kernel's memory that contains it
    node: int = field(default=0, compare=False)  #: its address in that list
    #: The address of the function or text to which it points (0: none, or no longer readable).
    value: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Inventory:
    """All objects at one moment."""

    items: frozenset[Item]
    #: Kinds that were not checked, each with the reason.
    unseen: Mapping[ItemKind, str] = field(default_factory=dict)
    folders: tuple[str, ...] = ()  #: the folders of /proc/sys
    tasks: frozenset[str] = frozenset()  #: pid and name of each process (not kernel threads)
    open_files: int | None = None  #: the number of open files in the system, None if unknown
    #: Packets that each network device received.
    packets: Mapping[str, int] = field(default_factory=dict)
    #: Slab caches that share the objects of another one: alias -> the shared cache.
    links: Mapping[str, str] = field(default_factory=dict)
    made_by_processes: frozenset[str] = frozenset()  #: network devices that processes created
    #: Sources of files of which nothing could be read, by name.
    absent: frozenset[str] = frozenset()

    def joined(self, other: Inventory) -> Inventory:
        """Return the items of two inventories of different sources as one."""
        return Inventory(
            self.items | other.items,
            {**self.unseen, **other.unseen},
            self.folders or other.folders,
            self.tasks | other.tasks,
            other.open_files if self.open_files is None else self.open_files,
            {**self.packets, **other.packets},
            {**self.links, **other.links},
            self.made_by_processes | other.made_by_processes,
            self.absent | other.absent,
        )
