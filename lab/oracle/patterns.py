# SPDX-License-Identifier: GPL-2.0-only
"""How the kernel's reports begin, go on and end, as patterns on the text of a line.

Taken from the sources of Linux 6.12 (and 6.1, where its words differ). All are
anchored: a word like BUG inside a line is nobody's report.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from lab.words import ReportKind


@dataclass(frozen=True)
class Opening:
    """A line that begins a report of a kind; the groups are used in its title."""

    kind: ReportKind
    pattern: re.Pattern[str]
    title: str


def _opening(kind: ReportKind, pattern: str, title: str) -> Opening:
    return Opening(kind, re.compile(pattern), title)


_WATCHDOG = r"^(?:(?:NMI )?watchdog: )?"
_LOCKDEP = (
    r"possible circular locking dependency detected|possible recursive locking detected"
    r"|possible irq lock inversion dependency detected|inconsistent lock state"
    r"|\S+-safe -> \S+-unsafe lock order detected|Nested lock was not taken"
    r"|bad unlock balance detected!|bad contention detected!|held lock freed!"
    r"|lock held when returning to user space!|suspicious RCU usage|chain_key collision"
)

# Where two match, the first one counts.
OPENINGS: tuple[Opening, ...] = (
    _opening(
        "page-fault",
        r"^BUG: kernel NULL pointer dereference, address: (?P<address>\S+)",
        "NULL pointer dereference",
    ),
    _opening(
        "page-fault",
        r"^BUG: unable to handle (?:page fault|kernel paging request)",
        "page fault",
    ),
    _opening(
        "page-fault",
        r"^BUG: unable to handle kernel NULL pointer dereference",
        "NULL pointer dereference",
    ),
    _opening(
        "stack-overflow",
        r"^BUG: (?P<stack>\S+) stack guard page was hit",
        "stack overflow ({stack})",
    ),
    _opening("stack-overflow", r"^(?:Oops: )?stack guard page: ", "stack overflow"),
    _opening("stack-overflow", r"^Thread overran stack, or stack corrupted", "stack overflow"),
    _opening("double-fault", r"^(?:traps: )?PANIC: double fault", "double fault"),
    _opening("double-fault", r"^(?:Oops: )?double fault: ", "double fault"),
    _opening(
        "general-protection", r"^(?:Oops: )?general protection fault", "general protection fault"
    ),
    _opening("page-fault", r"^Oops: Oops: [0-9a-f]{4} \[#\d+\]", "page fault"),
    _opening(
        "oops",
        r"^Oops: (?P<trap>[\w -]+?)(?:, .*)?: [0-9a-f]{4} \[#\d+\]",
        "{trap}",
    ),
    _opening(
        "oops", r"^(?P<trap>divide error|invalid opcode|int3): [0-9a-f]{4} \[#\d+\]", "{trap}"
    ),
    _opening("bug", r"^kernel BUG at (?P<place>\S+?)!", "kernel BUG"),
    _opening(
        "soft-lockup",
        _WATCHDOG + r"BUG: soft lockup - CPU#(?P<cpu>\d+) stuck for \d+s! \[(?P<task>.*)\]",
        "soft lockup",
    ),
    _opening(
        "hard-lockup",
        _WATCHDOG + r"Watchdog detected hard LOCKUP on cpu (?P<cpu>\d+)",
        "hard lockup",
    ),
    _opening(
        "rcu-stall",
        r"^(?:rcu: )?INFO: \S+ (?:self-)?detected (?:expedited )?stalls? on CPU",
        "RCU stall",
    ),
    _opening(
        "hung-task",
        r"^INFO: task (?P<task>.+:\d+) (?:is )?blocked (?:in I/O wait |on \S+ )?for more than",
        "hung task",
    ),
    _opening("wq-lockup", r"^BUG: workqueue lockup - pool", "workqueue lockup"),
    _opening("panic", r"^Kernel panic - not syncing: (?P<message>.*)", "kernel panic: {message}"),
    _opening(
        "sleeping-in-atomic",
        r"^BUG: scheduling (?:while atomic|in a non-blocking section): (?P<task>.+)/\d+/",
        "scheduling while atomic",
    ),
    _opening(
        "sleeping-in-atomic",
        r"^BUG: sleeping function called from invalid context at ",
        "sleeping function called in atomic context",
    ),
    _opening("kasan", r"^BUG: KASAN: (?P<what>[\w-]+)", "KASAN: {what}"),
    _opening(
        "kfence",
        r"^BUG: KFENCE: (?P<what>[\w-]+(?: (?:read|write|free|corruption))?)",
        "KFENCE: {what}",
    ),
    _opening("ubsan", r"^UBSAN: (?P<what>[\w-]+) in ", "UBSAN: {what}"),
    _opening("lockdep", rf"^WARNING: (?P<what>{_LOCKDEP})", "lockdep: {what}"),
    _opening("lockdep", r"^WARNING: \S+/\d+ (?P<what>still has locks held)!", "lockdep: {what}"),
    _opening("lockdep", r"^\[ BUG: (?P<what>Invalid wait context) \]", "lockdep: {what}"),
    _opening("lockdep", r"^INFO: (?P<what>trying to register non-static key)", "lockdep: {what}"),
    _opening("lockdep", r"^BUG: (?P<what>MAX_LOCK\w+|MAX_STACK\w+) too low!", "lockdep: {what}"),
    _opening(
        "list-corruption",
        r"^(?P<what>list_(?:add|del)) (?:corruption|double add)",
        "list corruption ({what})",
    ),
    _opening("warning", r"^WARNING: CPU: (?P<cpu>\d+) PID: \d+ at ", "WARNING"),
    _opening("oom", r"^(?P<task>.+) invoked oom-killer: ", "out of memory"),
    _opening("oom", r"^(?:Memory cgroup out|Out) of memory: Killed process ", "out of memory"),
    _opening("other-splat", r"^BUG (?P<cache>\S+) \(.*\): (?P<what>.+)$", "slab {cache}: {what}"),
    _opening("other-splat", r"^BUG: (?P<what>(?:KCSAN|KMSAN): [\w-]+)", "{what}"),
    _opening("other-splat", r"^BUG: (?P<what>Bad [\w -]+?) (?:in process|mm:)", "{what}"),
    _opening("other-splat", r"^BUG: (?P<what>.+)$", "{what}"),
)

# A rule before a report whose kind a later line tells.
CUT = re.compile(r"^-+\[ cut here \]-+$")

END_TRACE = re.compile(r"^---\[ end trace [0-9a-f]+ \]---")
END_PANIC = re.compile(r"^---\[ end Kernel panic - not syncing: ")
# Where a panic with a time-out ends: it restarts without the end marker.
END_PANIC_SHORT = re.compile(r"^Kernel Offset: |^Rebooting in ")
END_RULE = re.compile(r"^(?:={20,}|-{20,}|---\[ end trace \]---)$")

# What the kernel prints once more after an oops has ended.
SUMMARY = re.compile(
    r"^(?:RIP|RSP|RAX|RDX|RBP|R\d\d|FS|CS|CR2|DR\d|PKRU|Code): |^note: .+ exited with"
)

# Lines of registers, stacks and tables: the body of reports that have no end marker.
BODY = re.compile(
    r"^\s"
    r"|^(?:RIP|RSP|RAX|RDX|RBP|R\d\d|FS|CS|CR2|DR\d|PKRU|ORIG_RAX|Code|CPU)\b"
    r"|^(?:Call Trace|Workqueue|Stopper)\b"
    r"|^(?:Modules linked in|Hardware name|Tainted|Sending NMI|NMI backtrace|Kernel Offset)\b"
    r"|^(?:Showing |workqueue |pool \d|task:|rcu: |\"echo 0 > |Stack dump|RCU grace-period)"
    r"|^(?:Preemption disabled at|irq event stamp|hardirqs last|softirqs last|INFO: NMI handler)"
    r"|^(?:\d+ locks? held by|no locks held|INFO: lockdep is turned off|CPU#\d+ Util)"
    r"|^$"
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
    {"page-fault", "stack-overflow", "double-fault", "bug"}
)
OOPS_LINE = re.compile(r"^Oops: .*\[#\d+\]|: [0-9a-f]{4} \[#\d+\]")

CPU_LINE = re.compile(
    r"^CPU: (?P<cpu>\d+) (?:UID: \d+ )?PID: (?P<pid>\d+) Comm: (?P<comm>.+?) (?:Tainted|Not)"
)
TASK_LINE = re.compile(r"^task:(?P<comm>\S+)\s+state:\S+ .*?pid:\s*(?P<pid>\d+)")


def opening_of(text: str) -> tuple[Opening, re.Match[str]] | None:
    """The opening that a line's text is, with its match."""
    for opening in OPENINGS:
        match = opening.pattern.search(text)
        if match:
            return opening, match
    return None


def cpu_list(text: str) -> set[int]:
    """The CPUs in a list such as `0,2-4`."""
    cpus: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        if first.isdigit():
            cpus.update(range(int(first), min(int(last or first), int(first) + 4096) + 1))
    return cpus
