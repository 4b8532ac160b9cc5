# SPDX-License-Identifier: GPL-2.0-only
"""The allocation oracle: memory that a module allocated and that is not freed. Trust: COUNTER.

Pure functions over texts of the guest: alloc_traces of slab caches (since 5.14; whole stacks
since 5.19) and /proc/vmallocinfo. A module that is gone has no names there: its frames are
addresses, which `Layouts` resolves. Each allocation is charged to the innermost frame of a module
that is gone, so `kstrdup` in `pf_write` is pf's.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from lab.oracle.modules.layout import Layouts, Place

Memory = Literal["slab", "vmalloc", "per-CPU"]

PAGE_BYTES = 4096


@dataclass(frozen=True)
class Allocation:
    """Objects of one kind that were allocated by one path of calls and are not freed.

    `bytes` is the size of one object, 0 if not known. `cache` is the slab cache. `stack` has
    the frames as the kernel printed them, the innermost first.
    """

    memory: Memory
    count: int
    bytes: int
    cache: str
    stack: tuple[str, ...]


@dataclass(frozen=True)
class Leak:
    """Objects that a module left; `via` is the kernel's function that allocated for it, or ""."""

    memory: Memory
    count: int
    bytes: int
    cache: str
    place: Place
    via: str = ""

    def __str__(self) -> str:
        by = f"by {self.via} in" if self.via else "in"
        verb = "is" if self.count == 1 else "are"
        return f"{self._objects()}, allocated {by} {self.place}, {verb} not freed"

    def _objects(self) -> str:
        plural = "" if self.count == 1 else "s"
        noun = {"slab": "object", "vmalloc": "vmalloc area", "per-CPU": "per-CPU object"}
        text = f"{self.count} {noun[self.memory]}{plural}"
        if self.bytes:
            return f"{text} of {size_text(self.bytes)}"
        return f"{text} of the cache {self.cache}" if self.cache else text


def size_text(size: int) -> str:
    """Format a size as `1 KiB`, or in bytes if it is not a whole number of KiB."""
    for unit, name in ((1 << 20, "MiB"), (1 << 10, "KiB")):
        if size >= unit and size % unit == 0:
            return f"{size // unit} {name}"
    return f"{size} byte{'' if size == 1 else 's'}"


# Parsing

_PLACE = r"(?P<place>\S+(?: \[[^\]]+\])?)"
_HEADER = re.compile(rf"^ *(?P<count>\d+) {_PLACE}(?: waste=\d+/(?P<waste>\d+))?")
_KMALLOC = re.compile(r"^(?:dma-)?kmalloc-(?:[a-z]+-)*?(?:\d{2}-)?(?P<size>\d+)(?P<unit>[kM]?)$")
_VMALLOC = re.compile(rf"^0x[0-9a-f]+-0x[0-9a-f]+ +(?P<size>\d+) {_PLACE}")


def parse_slab(cache: str, text: str) -> Iterator[Allocation]:
    """Parse the entries of a cache's alloc_traces."""
    size = _object_size(cache)
    count, bytes_, stack = 0, 0, [""]

    def entry() -> Iterator[Allocation]:
        if count:
            frames = stack[1:] if len(stack) > 1 else stack
            yield Allocation("slab", count, bytes_, cache, tuple(frames))

    for line in text.splitlines():
        match = _HEADER.match(line)
        if match:
            yield from entry()
            count, stack = int(match["count"]), [match["place"]]
            bytes_ = max(size - int(match["waste"] or 0), 0)
        elif line.strip():
            stack.append(line.strip())
    yield from entry()


def _object_size(cache: str) -> int:
    match = _KMALLOC.match(cache)
    if match is None:
        return 0
    return int(match["size"]) * {"": 1, "k": 1 << 10, "M": 1 << 20}[match["unit"]]


def parse_vmalloc(text: str) -> Iterator[Allocation]:
    """Parse the entries of /proc/vmallocinfo. The guard page of each area is not counted."""
    for line in text.splitlines():
        match = _VMALLOC.match(line)
        if match and not match["place"].startswith(("unpurged", "pages=")):
            size = max(int(match["size"]) - PAGE_BYTES, 0)
            yield Allocation("vmalloc", 1, size, "", (match["place"],))


# Judging

_SUFFIX = re.compile(r"(?:_noprof|\.(?:constprop|isra|part|cold)\b.*)+$")
_ALLOCATOR = re.compile(
    r"^_*(?:kmalloc|kzalloc|krealloc|kvmalloc|kmem_cache_alloc|kcalloc|kvrealloc|do_kmalloc)\w*$"
)
# The kernel keeps these for its own use once something made it allocate them: no leaks.
_KEPT = re.compile(
    r"^(?:fill_pool|debug_objects?_\w+"  # records of DEBUG_OBJECTS
    r"|allocate_slab|new_slab|alloc_slab_obj_exts|__?memcg_slab_\w+"  # a cache's new pages
    # nodes of trees, which hold entries of others, too
    r"|(?:ida|idr)_\w+|radix_tree_\w+|xas_\w+|__xa_\w+|(?:__)?ma[st]_\w+|mtree_\w+"
    r"|__?d_alloc\w*|alloc_inode|new_inode\w*"  # names and inodes that were looked up
    r"|pcpu_\w+|__alloc_percpu\w*"  # a chunk of many per-CPU objects
    r"|alloc_vmap_area|__get_vm_area_node\w*|__?vmalloc\w*|vmap\w*|__vmap\w*"  # see vmallocinfo
    r"|stack_depot_\w+|create_worker|alloc_thread_stack_node)$"
)


def left(before: Iterable[Allocation], now: Iterable[Allocation], layouts: Layouts) -> list[Leak]:
    """Return what modules that are gone have left, the largest first.

    Allocations that existed `before` the item are not counted.
    """
    known = Counter[tuple[str, str, tuple[str, ...]]]()
    for one in before:
        known[one.memory, one.cache, one.stack] += one.count
    found: Counter[Leak] = Counter()
    for one in now:
        key = (one.memory, one.cache, one.stack)
        old = min(known[key], one.count)
        known[key] -= old
        leak = _charged(one, one.count - old, layouts)
        if leak is not None:
            found[leak] += one.count - old
    leaks = [
        Leak(leak.memory, count, leak.bytes, leak.cache, leak.place, leak.via)
        for leak, count in found.items()
    ]
    return sorted(_joined(leaks), key=lambda leak: (-leak.count * max(leak.bytes, 1), str(leak)))


def _charged(one: Allocation, count: int, layouts: Layouts) -> Leak | None:
    """Return an allocation as a leak without its count; None if no module made it."""
    if count <= 0:
        return None
    inner: list[str] = []
    for text in one.stack:
        place = layouts.place(text)
        if place is None:
            continue
        if place.gone:
            break
        inner.append(_SUFFIX.sub("", place.function))
    else:
        return None
    if any(_KEPT.match(name) for name in inner):
        return None
    callers = [name for name in inner if not _ALLOCATOR.match(name)]
    return Leak(one.memory, 0, one.bytes, one.cache, place, callers[-1] if callers else "")


def _joined(leaks: Sequence[Leak]) -> Iterator[Leak]:
    """Merge leaks: objects that one kernel function allocated at once for a caller are one."""
    groups: dict[tuple[Place, str, Memory], list[Leak]] = {}
    for leak in leaks:
        if leak.via and leak.memory == "slab":
            groups.setdefault((leak.place, leak.via, leak.memory), []).append(leak)
        else:
            yield leak
    for (place, via, memory), members in groups.items():
        if len(members) == 1:
            yield members[0]
        else:
            yield Leak(memory, sum(leak.count for leak in members), 0, "", place, via)
