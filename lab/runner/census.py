# SPDX-License-Identifier: GPL-2.0-only
"""The census of one guest: its inventory at the baseline, at each unload, and at the end."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lab.deadline import DeadlineExceeded, scaled
from lab.errors import InfraError
from lab.extension.module_symbols import module_symbols
from lab.guest.guest import Guest
from lab.kernel.artifact import Kernel
from lab.kernel.btf import layout
from lab.oracle import inventory
from lab.oracle.inventory import Inventory, Reading, bpf_objects
from lab.oracle.inventory.bpf_objects import BpfObjects
from lab.oracle.inventory.memory import STRUCTURES
from lab.oracle.modules.layout import Layouts, parse_sections
from lab.vm.symbols import Symbols, data_symbols

# The offset of a function's first byte; the name is shown without it.
_BEGIN = "+0x0"
# The request for the lists of BPF objects.
BPF_OBJECTS = b"bpf-objects name=bpf-objects\n"

# Time for frees that the kernel does after a module's unload (seconds on the reference host).
UNLOAD_SECONDS = 0.5


def reading_of(kernel: Kernel) -> Reading:
    """Return the sources of the inventory that a kernel has."""
    return inventory.reading(data_symbols(kernel.vmlinux), layout(kernel.btf, STRUCTURES))


@dataclass
class Found:
    """The result of one look."""

    #: One text for each object that is left over.
    left: list[str]
    #: Kinds of objects that were not checked, in plain words, each with the reason.
    not_looked_at: dict[str, str]
    #: A network device is left whose code may be gone: the lab must not let the kernel list them.
    touchy: bool = False
    #: The BPF objects, if they were read with the rest.
    bpf_objects: BpfObjects | None = None


@dataclass
class Census:
    """A census of one guest: it takes inventories and compares them with the first."""

    guest: Guest
    reading: Reading
    vmlinux: Path | None = None
    before: Inventory = field(init=False)
    bpf_objects: BpfObjects = field(init=False)
    unloaded: list[str] = field(default_factory=list)
    #: The leftovers of the last module that was unloaded, and possible ones if a look is not
    #: safe: they are the cause if the kernel does not survive the item.
    left_at_unload: list[str] = field(default_factory=list)
    _doubtful: list[str] = field(default_factory=list)
    _functions: dict[tuple[str, int], int] = field(default_factory=dict)
    _names: dict[tuple[str, int], str] = field(default_factory=dict)
    _layouts: Layouts = field(default_factory=Layouts)

    def __post_init__(self) -> None:
        # Nothing was unloaded yet, so all sources can be read at once.
        self.before, self.bpf_objects = self._ask_all()

    def look_at_module(self, name: str, path: Path | None) -> None:
        """Record what a module has registered before its unload, while names are still known.

        `path` is the module's file on the host, with its symbols.
        """
        # Careful sources are safe as long as nothing has been unloaded.
        sources = self.reading.safe + (() if self.unloaded else self.reading.careful)
        now = inventory.parse(self._ask(sources), sources)
        for item in now.items:
            if item.node:
                self._functions[item.place, item.node] = item.value
                self._names[item.place, item.node] = item.name
        self._doubtful = [
            f"perhaps sysctl {item.name} (looking for it now would run into it)"
            for item in inventory.left_over(self.before, now)
            if item.kind == "sysctl" and item.name.rpartition("/")[0] in self.before.folders[1:]
        ]
        self.unloaded.append(name)
        if path is None:
            return
        folder = shlex.quote(f"/sys/module/{name}/sections")
        done = self.guest.run(f"cd {folder} && grep -H 0x .[a-z]* 2>/dev/null; true")
        self._layouts.add(name, parse_sections(done.stdout), module_symbols(path))

    def look_after_unload(self) -> None:
        """Record what is left over just after a module was unloaded, from the safe sources.

        The loader answers because it runs already: a new process might run into the
        leftovers (an SSH server reads /proc/interrupts), and hide the cause.
        """
        found = Found([], {})

        def settled() -> bool:
            nonlocal found
            found = self._found(
                inventory.parse(self._ask(self.reading.safe), self.reading.safe), {}
            )
            return not found.left

        with contextlib.suppress(DeadlineExceeded):
            scaled(UNLOAD_SECONDS).poll(settled, "a module's objects to be freed", interval=0.1)
        self.left_at_unload[:] = found.left or self._doubtful

    def look(self, *, modules_ran: bool) -> Found:
        """Compare the kernel's objects with the baseline.

        `modules_ran` says that modules that are gone may have left something: sources that
        could run their code are read only if the others found nothing. Raises `InfraError` if a
        source of files can no longer be read.
        """
        reading = self.reading
        unknown = dict(reading.unknown)
        if not modules_ran:
            now, objects = self._ask_all()
            return replace(self._found(now, unknown, modules_ran=False), bpf_objects=objects)
        now = inventory.parse(self._ask(reading.safe), reading.safe)
        if inventory.left_over(self.before, now):
            why = "something is left over whose code may be gone"
            unknown |= {kind: why for source in reading.careful for kind in source.kinds}
            return self._found(now, unknown)
        more = inventory.parse(self._ask(reading.careful, self.before.folders), reading.careful)
        self.left_at_unload.clear()
        return self._found(now.joined(more), unknown)

    def _found(
        self, now: Inventory, unknown: dict[inventory.ItemKind, str], *, modules_ran: bool = True
    ) -> Found:
        lost = sorted(now.absent - self.before.absent)
        if lost:
            raise InfraError(
                f"{', '.join(lost)} could be read at the baseline, and can not be read now",
                hint="did the scenario unmount one of the kernel's file systems?",
            )
        items = inventory.left_over(self.before, now, modules_ran=modules_ran)
        loaded = {item.name for item in now.items if item.kind == "module"}
        gone = [name for name in self.unloaded if name not in loaded]
        about = inventory.Context(gone, self.name_of, self._functions, self._names)
        left = inventory.texts(items, self.before, now, about)
        seen = now.joined(Inventory(frozenset(), unknown))
        touchy = any(item.kind == "netdev" for item in items)
        not_seen = inventory.unseen(self.before, seen, modules_ran=modules_ran)
        return Found(left, not_seen, touchy)

    def name_of(self, address: int) -> tuple[str, str] | None:
        """Return the symbol at an address and its module ("": the kernel's own), or None."""
        place = self._layouts.at(address)
        if place is not None:
            return place.function, place.module
        if self.vmlinux is None or not self.vmlinux.exists():
            return None
        name = Symbols.of(self.vmlinux).name(address)
        return None if name.startswith("0x") else (name.removesuffix(_BEGIN), "")

    def _ask_all(self) -> tuple[Inventory, BpfObjects]:
        """Read everything at once, including the BPF objects."""
        sources = (*self.reading.safe, *self.reading.careful)
        report = self.guest.inventory(BPF_OBJECTS + inventory.request(sources))
        return inventory.parse(report, sources), bpf_objects.parse(_bpf_objects(report))

    def _ask(
        self, sources: tuple[inventory.Source, ...], folders: tuple[str, ...] = ()
    ) -> dict[str, object]:
        return self.guest.inventory(inventory.request(sources, folders))


def _bpf_objects(report: Mapping[str, Any]) -> Mapping[str, Any]:
    sources = [one for one in report.get("sources", []) if isinstance(one, dict)]
    return next((one for one in sources if one.get("name") == "bpf-objects"), {})
