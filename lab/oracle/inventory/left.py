# SPDX-License-Identifier: GPL-2.0-only
"""Compare two inventories and name what is left over, in words that begin with the cause."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from lab.oracle.evidence import Evidence
from lab.oracle.inventory.items import ITEM_KINDS, KINDS, Inventory, Item, ItemKind

# Address -> name and module of the symbol there ("": the kernel's own); None if there is none.
Namer = Callable[[int], tuple[str, str] | None]

# Of all extensions only a module can leave these; processes make them, too.
MODULES_ONLY: tuple[ItemKind, ...] = (
    "open-file",
    "netdev",
    "netdev-reference",
    "mount",
    "device-node",
    "tracing",
)

_TREES = ("proc", "sysctl", "debugfs", "tracing", "sysfs", "device-node")
# A device, a module or a slab cache appears here a second time.
_ECHOES = ("/sys/class/", "/sys/devices/", "/sys/bus/", "/sys/module/", "/proc/sys/net/")
_FUNCTIONS = (
    "ftrace",
    "binary-format",
    "packet-handler",
    "notifier",
    "tracepoint",
    "kernel-list",
)


@dataclass(frozen=True)
class Context:
    """Helps to name what is left: the modules that were unloaded, and names of addresses.

    `functions` and `names` are those of nodes in the kernel's lists, as they were while the
    modules were loaded: (list, node) -> address or text.
    """

    unloaded: Sequence[str] = ()
    namer: Namer = lambda address: None
    functions: Mapping[tuple[str, int], int] | None = None
    names: Mapping[tuple[str, int], str] | None = None


def left_over(before: Inventory, now: Inventory, *, modules_ran: bool = True) -> list[Item]:
    """Return the items of `now` that `before` lacks, most telling kind first.

    Of a new folder only the folder itself is returned, not its content. Without
    `modules_ran`, kinds that only a module can leave are left out: a process made the item.
    """
    new = {item for item in now.items - before.items if _is_certain(item, before, now)}
    foreign = {item for item in new if _is_foreign(item, now, modules_ran=modules_ran)}
    new -= foreign
    paths = {item.name for item in new if item.kind in _TREES}
    kept = [item for item in new if item.kind not in _TREES or not _has_parent(item.name, paths)]
    names = {item.name for item in kept if item.kind not in _TREES}
    names |= {item.name.rpartition("/")[2] for item in kept if item.kind == "device-node"}
    names |= {item.name for item in foreign}
    names |= {item.name.partition(" (major")[0] for item in kept if item.kind == "chardev"}
    kept = [item for item in kept if not _is_echo(item, names)]
    order = {kind: number for number, kind in enumerate(ITEM_KINDS)}
    if modules_ran:
        kept += _open_files(before, now)
    return sorted(kept, key=lambda item: (order[item.kind], item.name, item.key))


def _is_foreign(item: Item, now: Inventory, *, modules_ran: bool) -> bool:
    """Return whether a process, not an extension, made an item."""
    if not modules_ran:
        return item.kind in MODULES_ONLY
    return item.kind == "netdev" and item.name in now.made_by_processes


def _is_certain(item: Item, before: Inventory, now: Inventory) -> bool:
    """Return whether an item is more than a trace of packets: cached routes refer to devices."""
    return item.kind != "netdev-reference" or _was_quiet(item.name, before, now)


def _was_quiet(device: str, before: Inventory, now: Inventory) -> bool:
    return device in before.packets and before.packets[device] == now.packets.get(device)


def _has_parent(path: str, paths: set[str]) -> bool:
    parent = path.rpartition("/")[0]
    while parent:
        if parent in paths:
            return True
        parent = parent.rpartition("/")[0]
    return False


def _is_echo(item: Item, names: set[str]) -> bool:
    """Return whether an item only shows another one in a second place (a device in sysfs)."""
    if item.name.startswith("/sys/dev/"):
        return True
    return item.name.startswith(_ECHOES) and item.name.rpartition("/")[2] in names


def _open_files(before: Inventory, now: Inventory) -> list[Item]:
    if before.open_files is None or now.open_files is None or before.tasks != now.tasks:
        return []
    more = now.open_files - before.open_files
    return [Item("open-file", f"{number}") for number in range(max(more, 0))]


def unseen(before: Inventory, now: Inventory, *, modules_ran: bool = True) -> dict[str, str]:
    """Return the kinds that were not checked, each with the reason."""
    found = {**before.unseen, **now.unseen}
    if before.tasks != now.tasks:
        found.setdefault("open-file", "other processes run than at the baseline")
    busy = [name for name in before.packets if not _was_quiet(name, before, now)]
    if busy:
        found.setdefault("netdev-reference", f"packets passed on {', '.join(busy)}")
    if not modules_ran:
        for kind in MODULES_ONLY:
            found.pop(kind, None)
    return {KINDS[kind].plural: found[kind] for kind in ITEM_KINDS if kind in found}


def texts(items: Iterable[Item], before: Inventory, now: Inventory, about: Context) -> list[str]:
    """Return one line for each item; equal lines are counted."""
    lines: dict[str, int] = {}
    for item in items:
        line = _text(item, before, now, about)
        lines[line] = lines.get(line, 0) + 1
    return [line if count == 1 else f"{line} ({count} of them)" for line, count in lines.items()]


def _text(item: Item, before: Inventory, now: Inventory, about: Context) -> str:
    noun = KINDS[item.kind].noun
    gone = " (its code is gone)" if KINDS[item.kind].code and about.unloaded else ""
    if item.kind == "slab-cache" and item.place:
        fresh = sorted(
            name
            for name, target in now.links.items()
            if target == item.place and name not in before.links
        )
        return f"{noun} {' or '.join(fresh) or item.name}"
    if item.node and item.kind != "resource":
        return _in_list(item, about, gone)
    if item.kind == "open-file":
        return noun
    name = _name(item, about)
    if item.kind == "proc":
        name = name.rpartition("/proc/")[2]
    return f"{noun} {name}{gone}"


def _in_list(item: Item, about: Context, gone: str) -> str:
    """Describe an entry of a list in memory: its owner, its function, the list."""
    noun = KINDS[item.kind].noun
    if item.kind == "kprobe":
        target = about.namer(item.value) or about.namer(_before(item, about))
        place = f" at {target[0]}" if target else ""
        owner = about.namer(item.node)
        return f"{noun}{_of(owner)}{place}{gone}"
    function = about.namer(item.value) or about.namer(_before(item, about))
    owner = about.namer(item.node) or function
    if item.kind not in _FUNCTIONS:
        return f"{noun} {_name(item, about) or (owner[0] if owner else hex(item.node))}{gone}"
    name = f" (function {function[0]})" if function else ""
    place = item.name if item.kind == "tracepoint" else item.place.partition(".")[0]
    return f"{noun}{_of(owner or function)}{name} in {place}{gone}"


def _name(item: Item, about: Context) -> str:
    """Return the name that an item had while its text could be read."""
    return (about.names or {}).get((item.place, item.node), "") or item.name


def _before(item: Item, about: Context) -> int:
    return (about.functions or {}).get((item.place, item.node), 0)


def _of(owner: tuple[str, str] | None) -> str:
    return f" of {owner[1]}" if owner and owner[1] else ""


def evidence(left: Sequence[str], not_looked_at: Mapping[str, str]) -> Evidence:
    """Return what is left over, and what was not checked, as evidence."""
    summary = f"left over: {', '.join(left)}" if left else "no kernel object is left over"
    if not_looked_at:
        reasons = [f"{what} ({why})" for what, why in not_looked_at.items()]
        summary += f"; not checked: {', '.join(reasons)}"
    data = {"left": list(left), "not_looked_at": dict(not_looked_at)}
    return Evidence("inventory", summary, data)
