# SPDX-License-Identifier: GPL-2.0-only
"""Remember where a module's code and data were, to name addresses after its unload.

The kernel prints names only of loaded code. Once a module is gone, its stack
frames and functions are bare addresses. The guest's /sys/module/NAME/sections,
read while the module was loaded, and the module's own symbols give the names.
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

# A function or an object of a module: offset in its section, size in bytes, name.
Symbol = tuple[int, int, str]

# x86-64: the kernel's own code begins here, and modules lie above it (mm.rst in the kernel's
# documentation). An address in this range without a name is code that is no longer there.
_CODE = range(0xFFFFFFFF80000000, 0xFFFFFFFFFF600000)

_SECTION = re.compile(r"^(?:\S*/)?(?P<section>[^\s/:]+):0x(?P<address>[0-9a-f]+)$")
_FRAME = re.compile(
    r"^(?P<function>[^\s+/]+)\+0x[0-9a-f]+/0x[0-9a-f]+(?: \[(?P<module>[^\s\]]+).*?\])?"
    r"|^(?:0x)?(?P<address>[0-9a-f]{16})\b"
)


@dataclass(frozen=True)
class Place:
    """A function, and the module that it belongs to ("" for the kernel itself).

    `gone` says that the module is no longer loaded. For an unknown module,
    `module` is "?" and `function` is the address.
    """

    function: str
    module: str = ""
    gone: bool = False

    def __str__(self) -> str:
        if self.module == "?":
            return f"code that is no longer there ({self.function})"
        return f"{self.function} ({self.module})" if self.module else self.function


@dataclass
class Layouts:
    """The layouts of all modules that an item loaded, one for each load."""

    _symbols: list[tuple[int, int, str, str]] = field(default_factory=list)
    _loaded: set[str] = field(default_factory=set)

    def add(
        self,
        module: str,
        sections: Mapping[str, int],
        symbols: Mapping[str, Sequence[Symbol]],
    ) -> None:
        """Add a module that was loaded with its `sections` at these addresses."""
        self._loaded.add(module)
        for section, address in sections.items():
            for offset, size, name in symbols.get(section, ()):
                # Initialisation code is freed: a module loaded later may lie there.
                entry = (address + offset, address + offset + max(size, 1), name, module)
                if entry not in self._symbols:
                    self._symbols.append(entry)
        self._symbols.sort()

    def remove(self, module: str) -> None:
        """Record that a module was unloaded."""
        self._loaded.discard(module)

    @property
    def modules(self) -> frozenset[str]:
        """Return the names of the modules."""
        return frozenset(module for *_, module in self._symbols)

    def at(self, address: int) -> Place | None:
        """Return the function or object at an address; None if it is in no known module."""
        index = bisect.bisect_right(self._symbols, (address, 1 << 64, "", "")) - 1
        while index >= 0 and address - self._symbols[index][0] < 1 << 20:
            _, end, name, module = self._symbols[index]
            # A return address may be just after a function that does not return.
            if address <= end:
                return Place(name, module, gone=True)
            index -= 1
        return None

    def gone_at(self, address: int) -> Place | None:
        """Return the function or object that was at an address, if its module is gone."""
        place = self.at(address)
        return None if place is None or place.module in self._loaded else place

    def place(self, text: str) -> Place | None:
        """Return the function that the kernel printed as `name+0x1/0x2 [module]` or as an address.

        None if the text is neither.
        """
        match = _FRAME.match(text.strip())
        if match is None:
            return None
        if match["address"] is None:
            return Place(match["function"], match["module"] or "")
        address = int(match["address"], 16)
        known = self.at(address)
        if known is None and address in _CODE:
            return Place(f"{address:#x}", "?", gone=True)
        return known or Place(f"{address:#x}")


def parse_sections(text: str) -> dict[str, int]:
    """Parse lines `/sys/module/NAME/sections/SECTION:0xADDRESS` to addresses by section."""
    found = {}
    for line in text.splitlines():
        match = _SECTION.match(line.strip())
        if match and int(match["address"], 16):
            found[match["section"]] = int(match["address"], 16)
    return found
