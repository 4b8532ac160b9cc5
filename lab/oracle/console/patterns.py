# SPDX-License-Identifier: GPL-2.0-only
"""Patterns on the text of a line for the bodies and the ends of the kernel's reports.

The patterns for their first lines are in `lab.oracle.console.openings`. Both are from
the sources of Linux 5.15, 6.1, 6.12 and 7.x.
"""

from __future__ import annotations

import re

from lab.oracle.console.openings import DIE, Opening, opening_of
from lab.words import ReportKind

__all__ = ["Opening", "cpu_list", "opening_of"]

# A rule before a report whose kind a later line shows.
CUT = re.compile(r"^-+\[ cut here \]-+$")

END_TRACE = re.compile(r"^---\[ end trace [0-9a-f]+ \]---")
END_PANIC = re.compile(r"^---\[ end Kernel panic - not syncing: ")
# Where a panic with a time-out ends: it restarts without the end marker.
END_PANIC_SHORT = re.compile(r"^Kernel Offset: |^Rebooting in ")
END_RULE = re.compile(r"^(?:={20,}|-{20,}|---\[ end trace \]---)$")

# Text that the kernel prints again after an oops has ended.
SUMMARY = re.compile(
    r"^(?:RIP|RSP|RAX|RDX|RBP|R\d\d|FS|CS|CR2|DR\d|PKRU|Code): |^note: .+ exited with"
)

# Lines of registers, stacks and tables: the body of reports that have no end marker.
BODY = re.compile(
    r"^\s"
    r"|^(?:RIP|RSP|RAX|RDX|RBP|R\d\d|FS|CS|CR2|DR\d|PKRU|ORIG_RAX|Code|CPU|EIP|EAX|ESI|IP)\b"
    r"|^(?:Call Trace|Workqueue|Stopper|Backtrace|Stack|Process)\b"
    r"|^(?:Modules linked in|Hardware name|Tainted|Sending NMI|NMI backtrace|Kernel Offset)\b"
    r"|^(?:Showing |workqueue |pool \d|task:|rcu: |\"echo 0 > |Stack dump|RCU grace-period)"
    r"|^(?:Preemption disabled at|irq event stamp|hardirqs last|softirqs last|INFO: NMI handler)"
    r"|^(?:\d+ locks? held by|\d+ locks? on stack|no locks held|INFO: lockdep is turned off)"
    # the lines between the first line and the stack of a report on a wrong context
    r"|^(?:in_atomic\(\)|preempt_count: |RCU nest depth: |caller is |CPU#\d+ Util)"
    r"|^INFO: task .+ (?:is |<?\w+>? )?blocked on |^(?:\[<|<[/A-Z]|#\d+: )"
    r"|^(?:smp: |csd: |ref_tracker: |kmemleak: |handlers:|Disabling IRQ #)"
    # the tasks that hold up RCU tasks
    r"|^(?:[0-9a-f]{8,16}: [.A-Z]{1,4} nvcsw: |P\d+: [.A-Za-z]{1,5} nesting: |P\d+ no longer)"
    # a task's line before 5.10
    r"|^\S.{0,40}\s[RSDTtXZPI]\s*(?:running task|\d).*\s0x[0-9a-f]{8}$"
    r"|^\w+ kthread (?:starved|timer)|^All QSes seen|^$"
)

NMI_SENT = re.compile(r"^Sending NMI from CPU \d+ to CPUs (?P<cpus>[\d,-]+):")
NMI_BACKTRACE = re.compile(r"^NMI backtrace for cpu (?P<cpu>\d+)")

# Kinds that print free text, up to their end marker.
FREE: frozenset[ReportKind] = frozenset(
    {
        "oops", "page-fault", "general-protection", "double-fault", "stack-overflow", "bug",
        "warning", "list-corruption", "panic", "kasan", "kfence", "ubsan", "lockdep", "oom",
        "other-splat",
    }
)  # fmt: skip

# Kinds that end with a marker: without it they were cut off.
MARKED_END: frozenset[ReportKind | None] = frozenset(
    {
        None, "oops", "page-fault", "general-protection", "double-fault", "stack-overflow",
        "bug", "warning", "list-corruption", "panic", "kasan", "kfence", "ubsan",
    }
)  # fmt: skip

# Kinds whose own `Oops:` line follows a first line in other words.
BEFORE_OOPS: frozenset[ReportKind] = frozenset(
    {"page-fault", "stack-overflow", "double-fault", "bug", "list-corruption"}
)
OOPS_LINE = re.compile(r"^Oops: .*\[#\d+\]|" + DIE)
# Kinds whose first line comes after the rule, before that of the BUG or the warning.
BEFORE_ASSERTION: frozenset[ReportKind | None] = frozenset({"list-corruption", "tx-timeout"})
# Kinds that may cut off another report of the same task.
CRASHES: frozenset[ReportKind | None] = frozenset(
    {"panic", "oops", "page-fault", "general-protection", "double-fault", "stack-overflow"}
)

CPU_LINE = re.compile(
    r"^CPU: (?P<cpu>\d+) (?:UID: \d+ )?PID: (?P<pid>\d+) Comm: (?P<comm>.+?) (?:Tainted|Not)"
)
TASK_LINE = re.compile(r"^task:(?P<comm>\S+)\s+state:\S+ .*?pid:\s*(?P<pid>\d+)")


def cpu_list(text: str) -> set[int]:
    """Return the CPUs in a list such as `0,2-4`."""
    cpus: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        if first.isdigit():
            cpus.update(range(int(first), min(int(last or first), int(first) + 4096) + 1))
    return cpus
