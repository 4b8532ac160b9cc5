# SPDX-License-Identifier: GPL-2.0-only
"""The inventory: every named object that the kernel has, and which are new. Trust: COUNTER.

An object that an extension registered and did not remove is left over. Objects are
compared by identity (an inode, a process id, an address), so an object that was
removed and made again counts as new.
"""

from lab.oracle.inventory.items import ITEM_KINDS, KINDS, Inventory, Item, ItemKind
from lab.oracle.inventory.left import Context, evidence, left_over, texts, unseen
from lab.oracle.inventory.sources import Reading, Source, parse, reading, request

__all__ = [
    "ITEM_KINDS",
    "KINDS",
    "Context",
    "Inventory",
    "Item",
    "ItemKind",
    "Reading",
    "Source",
    "evidence",
    "left_over",
    "parse",
    "reading",
    "request",
    "texts",
    "unseen",
]
