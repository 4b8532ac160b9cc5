# SPDX-License-Identifier: GPL-2.0-only
"""Find lists in the kernel's memory, and say how to walk them.

Many things that an extension registers are in no file, or in one that calls or
prints the leftover object when it is read: once the code is gone, the census
itself would crash the kernel. So the guest reads these lists through
/proc/kcore, which accepts any address and never faults. Addresses and sizes
come from the vmlinux of the booted kernel, offsets from its BTF.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from lab.oracle.inventory.items import ItemKind

Symbols = Mapping[str, tuple[int, int]]
Layout = Mapping[str, int]

# Heads of notifier chains (include/linux/notifier.h): in each kind of chain, the pointer to the
# first notifier is the last member. The names are of many versions; a kernel has some of them.
NOTIFIER_CHAINS = (
    "acpi_chain_head",
    "acpi_reconfig_chain",
    "alarmtimer_chain",
    "cpu_chain",
    "cpu_pm_notifier_chain",
    "cpufreq_policy_notifier_list",
    "crypto_chain",
    "die_chain",
    "fb_notifier_list",
    "hrtimer_notifier_chain",
    "inet6addr_chain",
    "inet6addr_validator_chain",
    "inetaddr_chain",
    "inetaddr_validator_chain",
    "keyboard_notifier_list",
    "lease_notifier_chain",
    "memory_chain",
    "module_notify_list",
    "munmap_notifier",
    "netdev_chain",
    "netevent_notif_chain",
    "netlink_chain",
    "oom_notify_list",
    "panic_notifier_list",
    "pm_chain_head",
    "power_off_handler_list",
    "power_off_prep_handler_list",
    "pvclock_gtod_chain",
    "random_ready_chain",
    "random_ready_notifier",
    "rcu_cpu_stall_notifier_list",
    "reboot_notifier_list",
    "restart_handler_list",
    "restart_prep_handler_list",
    "switchdev_blocking_notif_chain",
    "switchdev_notif_chain",
    "task_exit_notifier",
    "tracepoint_notify_list",
    "usb_notifier_list",
    "vmap_notify_list",
    "vmfork_chain",
    "vt_notifier_list",
    "x86_mce_decoder_chain",
)
# The size of a chain's head is at least: raw 8, atomic 16, blocking 40.
_HEAD_SIZES = range(8, 1025, 8)

STRUCTURES = frozenset(
    {
        "cpuhp_step",
        "file_system_type",
        "kprobe",
        "linux_binfmt",
        "net",
        "net_device",
        "packet_type",
        "percpu_counter",
        "proto",
        "shrinker",
        "tracepoint",
        "tty_driver",
        "workqueue_struct",
    }
)


@dataclass(frozen=True)
class MemoryList:
    """A list to walk: the kind of its entries, and the request to the guest."""

    name: str
    kind: ItemKind
    request: str


def memory_lists(symbols: Symbols, layout: Layout) -> list[MemoryList]:
    """Return the lists of a kernel that can be found by its symbols and its BTF's layout."""
    return [*_notifiers(symbols), *_fixed(symbols), *_by_layout(symbols, layout)]


def open_files(symbols: Symbols, layout: Layout) -> str | None:
    """Return the request for the number of open files; None if it cannot be read.

    /proc/sys/fs/file-nr is too coarse: it lags behind by up to 32 for each CPU.
    """
    members = ("percpu_counter.count", "percpu_counter.counters")
    if not {"nr_files", "__per_cpu_offset"} <= symbols.keys() or not set(members) <= layout.keys():
        return None
    return _request(
        "counter",
        "open-files",
        symbols,
        symbols["nr_files"][0],
        count=layout[members[0]],
        percpu=layout[members[1]],
        offsets=symbols["__per_cpu_offset"][0],
    )


def unknown_kinds(lists: list[MemoryList]) -> set[ItemKind]:
    """Return the kinds that only the kernel's memory shows, and for which no list is known."""
    only: set[ItemKind] = {"notifier", "ftrace", "tracepoint", "binary-format", "kernel-list"}
    only |= {"netdev-reference", "workqueue"}
    return only - {one.kind for one in lists}


def tracepoints(symbols: Symbols) -> dict[int, str]:
    """Return address -> name of the kernel's tracepoints."""
    prefix = "__tracepoint_"
    return {
        address: name.removeprefix(prefix)
        for name, (address, _) in symbols.items()
        if name.startswith(prefix)
    }


def _request(verb: str, name: str, symbols: Symbols, at: int, **more: int | str) -> str:
    words = [f"{verb} name={name} at={at:#x}"]
    if "_stext" in symbols:
        words.append(f"stext={symbols['_stext'][0]:#x}")
    words += [
        f"{key}={value:#x}" if isinstance(value, int) and value > 1 << 32 else f"{key}={value}"
        for key, value in more.items()
    ]
    return " ".join(words)


def _notifiers(symbols: Symbols) -> Iterator[MemoryList]:
    for name in NOTIFIER_CHAINS:
        address, size = symbols.get(name, (0, 0))
        if size in _HEAD_SIZES:
            request = _request("chain", name, symbols, address + size - 8, next=8, show=0)
            yield MemoryList(name, "notifier", request)


def _fixed(symbols: Symbols) -> Iterator[MemoryList]:
    """Yield lists whose layout has been the same for many versions."""
    # struct ftrace_ops: the function, then the next; the list ends with a static one.
    if "ftrace_ops_list" in symbols and "ftrace_list_end" in symbols:
        at, end = symbols["ftrace_ops_list"][0], symbols["ftrace_list_end"][0]
        request = _request("chain", "ftrace_ops_list", symbols, at, next=8, show=0, end=end)
        yield MemoryList("ftrace_ops_list", "ftrace", request)
    # Rings of structures whose first member links them; what follows is a function or its table.
    rings: dict[str, tuple[ItemKind, int]] = {
        "dump_list": ("kernel-list", 16),  # struct kmsg_dumper
        "syscore_ops_list": ("kernel-list", 16),  # struct syscore_ops: suspend
        "pernet_list": ("kernel-list", 16),  # struct pernet_operations: init
        "link_ops": ("kernel-list", 16),  # struct rtnl_link_ops
    }
    for name, (kind, show) in rings.items():
        if name in symbols:
            request = _request("ring", name, symbols, symbols[name][0], link=0, show=show)
            yield MemoryList(name, kind, request)
    for name in ("ioport_resource", "iomem_resource"):
        if name in symbols:
            request = _request("resources", name, symbols, symbols[name][0])
            yield MemoryList(name, "resource", request)


def _by_layout(symbols: Symbols, layout: Layout) -> Iterator[MemoryList]:
    """Yield lists whose layout differs between versions."""

    def have(name: str, *members: str) -> bool:
        return name in symbols and all(member in layout for member in members)

    if have("file_systems", "file_system_type.next", "file_system_type.name"):
        next_at, show = layout["file_system_type.next"], layout["file_system_type.name"]
        at = symbols["file_systems"][0]
        request = _request("chain", "file_systems", symbols, at, next=next_at, show=show, text=1)
        yield MemoryList("file_systems", "filesystem", request)
    if have("kprobe_table", "kprobe.hlist", "kprobe.addr") and not layout["kprobe.hlist"]:
        at, size = symbols["kprobe_table"]
        more = {"next": 0, "show": layout["kprobe.addr"], "heads": size // 8}
        yield MemoryList(
            "kprobe_table", "kprobe", _request("chain", "kprobe_table", symbols, at, **more)
        )
    rings: tuple[tuple[str, ItemKind, str, str, str], ...] = (
        ("formats", "binary-format", "linux_binfmt.lh", "linux_binfmt.load_binary", ""),
        ("proto_list", "protocol", "proto.node", "proto.name", "inline"),
        ("tty_drivers", "tty-driver", "tty_driver.tty_drivers", "tty_driver.name", "1"),
        ("workqueues", "workqueue", "workqueue_struct.list", "workqueue_struct.name", "inline"),
        ("shrinker_list", "kernel-list", "shrinker.list", "shrinker.scan_objects", ""),
    )
    for name, kind, link, shown, text in rings:
        if have(name, link, shown):
            more_words: dict[str, int | str] = {"link": layout[link], "show": layout[shown]}
            if text:
                more_words["text"] = text
            request = _request("ring", name, symbols, symbols[name][0], **more_words)
            yield MemoryList(name, kind, request)
    yield from _arrays(symbols, layout)
    yield from _references(symbols, layout)
    yield from _packet_handlers(symbols, layout)
    yield from _tracepoints(symbols, layout)


def _arrays(symbols: Symbols, layout: Layout) -> Iterator[MemoryList]:
    """Yield arrays whose entries in use have a pointer that is not NULL."""
    address, size = symbols.get("cpuhp_hp_states", (0, 0))
    if size and layout.get("cpuhp_step") and "cpuhp_step.name" in layout:
        stride = layout["cpuhp_step"]
        more = {"count": size // stride, "stride": stride, "show": layout["cpuhp_step.name"]}
        request = _request("array", "cpuhp_hp_states", symbols, address, text=1, **more)
        yield MemoryList("cpuhp_hp_states", "cpu-hotplug", request)
    address, size = symbols.get("tty_ldiscs", (0, 0))
    if size:
        request = _request(
            "array", "tty_ldiscs", symbols, address, count=size // 8, stride=8, show=0
        )
        yield MemoryList("tty_ldiscs", "line-discipline", request)


def _references(symbols: Symbols, layout: Layout) -> Iterator[MemoryList]:
    """Yield the network devices of the first namespace with their counts of references."""
    members = ("net.dev_base_head", "net_device.dev_list", "net_device.name")
    percpu, plain = "net_device.pcpu_refcnt", "net_device.dev_refcnt"  # CONFIG_PCPU_DEV_REFCNT
    counted = percpu if percpu in layout else plain
    if not {"init_net", "__per_cpu_offset"} <= symbols.keys():
        return
    if not {*members, counted} <= layout.keys():
        return
    more = {"offsets": symbols["__per_cpu_offset"][0]} if counted == percpu else {}
    if "net_device.rtnl_link_ops" in layout:
        more["ops"] = layout["net_device.rtnl_link_ops"]
    request = _request(
        "references",
        "net-device-references",
        symbols,
        symbols["init_net"][0] + layout[members[0]],
        link=layout[members[1]],
        show=layout[members[2]],
        count=layout[counted],
        **more,
    )
    yield MemoryList("net-device-references", "netdev-reference", request)


def _packet_handlers(symbols: Symbols, layout: Layout) -> Iterator[MemoryList]:
    """Yield the lists of protocols that take packets off the network devices."""
    if "packet_type.list" not in layout or "packet_type.func" not in layout:
        return
    for name in ("ptype_base", "ptype_all"):
        address, size = symbols.get(name, (0, 0))
        for index in range(size // 16):  # each head is a struct list_head
            request = _request(
                "ring",
                f"{name}.{index}",
                symbols,
                address + 16 * index,
                link=layout["packet_type.list"],
                show=layout["packet_type.func"],
            )
            yield MemoryList(f"{name}.{index}", "packet-handler", request)


def _tracepoints(symbols: Symbols, layout: Layout) -> Iterator[MemoryList]:
    """Yield the array of tracepoints, if the linker laid them out at even distances."""
    places = sorted(tracepoints(symbols))
    steps = {after - before for before, after in itertools.pairwise(places)}
    if len(steps) != 1 or "tracepoint.funcs" not in layout:
        return
    request = _request(
        "probes",
        "tracepoints",
        symbols,
        places[0],
        count=len(places),
        stride=steps.pop(),
        funcs=layout["tracepoint.funcs"],
    )
    yield MemoryList("tracepoints", "tracepoint", request)
