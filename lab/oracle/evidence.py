# SPDX-License-Identifier: GPL-2.0-only
"""Evidence: a typed fact, its source, and how far that source can be trusted.

A kind determines the source, the trust, and the keys of `data`:

| kind             | data                                                        |
|------------------|-------------------------------------------------------------|
| `guest-panic`    | `action` (what QEMU did then), `info` (QEMU's, often empty) |
| `shutdown`       | `reason` (`guest-reset`, ...), `guest` (bool)               |
| `qemu-exit`      | `status`, `signal` (name or ""), `stderr`                   |
| `interrupts-off` | `cpus` (that never took one), `looks`, `seconds`            |
| `kernel-bound`   | `cpus` (that never left the kernel), `looks`, `seconds`     |
| `liveness`       | `nonce`, `asked`, `answered`, `missing`, `seconds`, `why`,  |
|                  | `heard` (whether there was an answer at all)                |
| `report`         | `kind`, `function`, `cpu`, `task`, `first_line`, `complete`, |
|                  | `marked`, `caller`                                          |
| `extension-report` | `extension`, `program`, `id`, `outcome`, `cpu`, `message`, |
|                  | `place`, `frames` (texts), `released`, `held`, `first_line` |
| `forgery`        | `text`, `first_line`, `means`; a report's form, not the     |
|                  | kernel's words (`lab.oracle.console.forgeries`)             |
| `loss`           | `first_line`; text of the kernel is missing                 |
| `audit`          | `records`, `hidden`, `overwritten`: the console against     |
|                  | the kernel's own log (`lab.oracle.console.kmsg`)            |
| `taint`          | `flags` (new letters), `names`, `fatal` (bool)              |
| `counters`       | counter -> increase                                         |
| `bpf-objects`    | `leaked` (list of texts), kind -> increase                  |
| `inventory`      | `left` (list of texts), `not_looked_at` (what -> why)       |
| `rex`            | `held` (list of texts), counter -> increase                 |
| `residue`        | `left` (sentences), `not_looked_at` (on this kernel)        |
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, get_args

EvidenceKind = Literal[
    "guest-panic",
    "shutdown",
    "qemu-exit",
    "interrupts-off",
    "kernel-bound",
    "liveness",
    "report",
    "extension-report",
    "forgery",
    "loss",
    "audit",
    "taint",
    "counters",
    "bpf-objects",
    "inventory",
    "rex",
    "residue",
]
EVIDENCE_KINDS: tuple[EvidenceKind, ...] = get_args(EvidenceKind)


class Trust(enum.IntEnum):
    """The trust in a source, the highest first.

    An extension may run with the kernel's rights: all output of the guest can be
    forged, only the host's own observations can't.
    """

    QMP_OR_EXIT = 5
    WIRE_NONCE = 4
    CONSOLE = 3
    COUNTER = 2
    GUEST_TEXT = 1


# The trust follows from the kind: evidence never has more trust than its source.
TRUST_OF: Mapping[EvidenceKind, Trust] = MappingProxyType(
    {
        "guest-panic": Trust.QMP_OR_EXIT,
        "shutdown": Trust.QMP_OR_EXIT,
        "qemu-exit": Trust.QMP_OR_EXIT,
        "interrupts-off": Trust.QMP_OR_EXIT,
        "kernel-bound": Trust.QMP_OR_EXIT,
        "liveness": Trust.WIRE_NONCE,
        "report": Trust.CONSOLE,
        "extension-report": Trust.CONSOLE,
        "forgery": Trust.GUEST_TEXT,
        "loss": Trust.CONSOLE,
        "audit": Trust.COUNTER,
        "taint": Trust.COUNTER,
        "counters": Trust.COUNTER,
        "bpf-objects": Trust.COUNTER,
        "inventory": Trust.COUNTER,
        "rex": Trust.COUNTER,
        "residue": Trust.COUNTER,
    }
)


SOURCE_OF_KIND: Mapping[EvidenceKind, str] = MappingProxyType(
    {
        "guest-panic": "qmp",
        "shutdown": "qmp",
        "qemu-exit": "exit",
        "interrupts-off": "qmp",
        "kernel-bound": "qmp",
        "liveness": "nonce",
        "report": "console",
        "extension-report": "console",
        "forgery": "console",
        "loss": "console",
        "audit": "kernel log",
        "taint": "counters",
        "counters": "counters",
        "bpf-objects": "counters",
        "inventory": "inventory",
        "rex": "counters",
        "residue": "counters",
    }
)


@dataclass(frozen=True)
class Evidence:
    """A fact. `at` is in seconds since the machine's start, on the host's clock."""

    kind: EvidenceKind
    summary: str
    data: Mapping[str, Any] = field(default_factory=dict)
    at: float = 0.0

    @property
    def source(self) -> str:
        """Return where the fact was read: `qmp`, `exit`, `nonce`, `console`, ..."""
        return SOURCE_OF_KIND[self.kind]

    @property
    def trust(self) -> Trust:
        return TRUST_OF[self.kind]

    def to_json(self) -> dict[str, Any]:
        """Return plain data, for events and the dossier."""
        return {
            "kind": self.kind,
            "source": self.source,
            "trust": self.trust.name.lower(),
            "summary": self.summary,
            "data": dict(self.data),
            "at": round(self.at, 3),
        }
