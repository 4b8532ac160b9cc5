# SPDX-License-Identifier: GPL-2.0-only
"""The first lines of the kernel's reports, as patterns on the text of a line.

They are from the sources of Linux 5.15, 6.1, 6.12 and 7.x on x86-64, with the words
of older kernels where they cost nothing. All are anchored: a word like BUG inside
a line begins no report.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from lab.words import ReportKind


@dataclass(frozen=True)
class Opening:
    """A line that begins a report of a kind."""

    kind: ReportKind
    pattern: re.Pattern[str]
    title: str  #: a format with the pattern's groups
    inner: bool = False  #: it is inside a report, and begins one only if earlier lines were lost
    whole: bool = False  #: it alone is the report, although more lines may follow
    head: bool = False  #: it comes before the rule of a BUG or a warning of the same report


def _opening(
    kind: ReportKind,
    pattern: str,
    title: str,
    *,
    inner: bool = False,
    whole: bool = False,
    head: bool = False,
) -> Opening:
    return Opening(kind, re.compile(pattern), title, inner, whole, head)


# The end of die()'s first line: the error code and the number of the oops.
DIE = r": (?:0x)?[0-9a-f]{1,16} \[#\d+\]"
_SYMBOL = r"[\w.$]+\+0x[0-9a-f]+/0x[0-9a-f]+"
_WATCHDOG = r"^(?:(?:NMI )?watchdog: )?"
# Since 6.13 a condition may come before the place of a warning or of a BUG.
_CONDITION = r"(?:\[.*\] )?"

# Lockdep's text after `WARNING:`, `BUG:` or, before 4.11, `INFO:`.
_LOCKDEP = (
    r"possible circular locking dependency detected|possible recursive locking detected"
    r"|possible irq lock inversion dependency detected|inconsistent lock state"
    r"|possible \S+ deadlock(?: detected)?|possible bad unlock balance detected"
    r"|\S+-safe -> \S+-unsafe lock order detected|[Nn]ested lock was not taken"
    r"|bad unlock balance detected|bad contention detected|held lock freed"
    r"|lock held when returning to user space|lock held at task exit time, still held"
    r"|suspicious RCU usage|chain_key collision|[Ii]nvalid wait context"
    r"|still has locks held|possible deadlock"
)
_PREEMPTIBLE = r"using (?P<what>\w+\(\)) in preemptible"

_FAULTS: tuple[Opening, ...] = (
    _opening(
        "page-fault",
        r"^BUG: kernel NULL pointer dereference, address: (?P<address>\S+)",
        "NULL pointer dereference",
    ),
    _opening(
        "page-fault",
        r"^(?:BUG: u|U)nable to handle kernel NULL pointer dereference",
        "NULL pointer dereference",
    ),
    _opening("page-fault", r"^BUG: unable to handle (?:page fault|kernel)\b", "page fault"),
    _opening("page-fault", r"^Unable to handle kernel (?:paging request|access)", "page fault"),
    _opening(
        "stack-overflow",
        r"^BUG: (?P<stack>\S+) stack guard page was hit",
        "stack overflow ({stack})",
    ),
    _opening("stack-overflow", r"^BUG: stack guard page was hit", "stack overflow"),
    _opening("stack-overflow", r"^(?:Oops: )?stack guard page" + DIE, "stack overflow"),
    _opening(
        "stack-overflow", r"^(?:Oops: )?kernel stack overflow \([\w -]+\)" + DIE, "stack overflow"
    ),
    _opening("stack-overflow", r"^Thread overran stack, or stack corrupted", "stack overflow"),
    _opening("double-fault", r"^(?:traps: )?PANIC: double fault", "double fault"),
    _opening("double-fault", r"^(?:Oops: )?double fault" + DIE, "double fault"),
    _opening(
        "panic",
        r"^PANIC: early exception (?P<number>0x[0-9a-f]+|\d+)",
        "early exception {number}",
    ),
    _opening(
        "general-protection",
        r"^(?:Oops: )?general protection(?: fault)?(?:, [^:]*)?(?:" + DIE + r"|: .*\[#\d+\])",
        "general protection fault",
    ),
    _opening(
        "general-protection", r"^(?:Oops: )?general protection fault", "general protection fault"
    ),
    _opening("page-fault", r"^Oops: Oops" + DIE, "page fault"),
    _opening("oops", r"^Internal error: (?P<trap>.+?)(?:: [0-9a-f]+)? \[#\d+\]", "{trap}"),
    _opening("page-fault", r"^Oops" + DIE, "page fault"),
    _opening("oops", r"^Oops: (?P<trap>[\w #()/-]+?)(?:, .*?)?" + DIE, "{trap}"),
    _opening("oops", r"^(?P<trap>[\w #()/-]+?)(?:, .*?)?" + DIE, "{trap}"),
    _opening("bug", rf"^kernel BUG at {_CONDITION}(?P<place>\S+?)!", "kernel BUG"),
    _opening("bug", r"^kernel BUG at ", "kernel BUG"),
)

_STALLS: tuple[Opening, ...] = (
    _opening(
        "soft-lockup",
        _WATCHDOG + r"BUG: soft lockup - CPU#(?P<cpu>\d+) stuck for \d+s! \[(?P<task>.*)\]",
        "soft lockup",
    ),
    _opening(
        "soft-lockup", _WATCHDOG + r"BUG: soft lockup - CPU#(?P<cpu>\d+) stuck", "soft lockup"
    ),
    _opening(
        "hard-lockup",
        _WATCHDOG + r"(?:CPU\d+: )?Watchdog detected hard LOCKUP on cpu ?(?P<cpu>\d+)",
        "hard lockup",
    ),
    _opening(
        "rcu-stall",
        r"^(?:rcu\w*: )?INFO: (?:\S+ )?(?:self-)?detected (?:expedited )?stalls? on "
        r"(?:CPU|tasks|\{)",
        "RCU stall",
    ),
    _opening(
        "rcu-stall",
        r"^(?:rcu: )?INFO: \S+ detected (?:expedited )?stalls?, but suppressed full report",
        "RCU stall",
        whole=True,
    ),
    _opening(
        "csd-lock",
        r"^(?:smp: )?csd: (?:Detected|Continued) non-responsive CSD lock \(#\d+\) on CPU#\d+"
        r"(?:, waiting \d+ (?:ns|secs) for CPU#0*(?P<cpu>\d+))?",
        "stuck CSD lock",
    ),
    _opening(
        "hung-task",
        r"^INFO: task (?P<task>.+:\d+) (?:is )?blocked (?:in I/O wait |on (?:an? )?\S+ )?"
        r"for more than",
        "hung task",
    ),
    _opening("hung-task", r"^INFO: task (?P<task>.+:\d+) can't die for more than", "hung task"),
    _opening("wq-lockup", r"^BUG: workqueue lockup - pool", "workqueue lockup"),
    _opening(
        "netdev-in-use",
        r"^unregister_netdevice: waiting for (?P<device>\S+) to become free",
        "network device {device} is not released",
        whole=True,
    ),
    _opening(
        "tx-timeout",
        r"^(?:(?:[\w.:@-]+ ){0,2}[\w.@-]+: )?NETDEV WATCHDOG: ",
        "transmit queue timed out",
        whole=True,
    ),
    _opening("irq-unhandled", r"^irq \d+: nobody cared", "interrupt without a handler"),
)

_CONTEXT: tuple[Opening, ...] = (
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
    _opening(
        "leaked-atomic",
        r"^BUG: workqueue leaked (?:lock or atomic|atomic, lock or RCU): ",
        "work item left atomic context or a lock behind",
    ),
    _opening(
        "leaked-atomic",
        r"^(?:softirq: )?huh, entered softirq \d+ (?P<name>\w+) ",
        "softirq {name} changed the preempt count",
        whole=True,
    ),
    _opening(
        "lockdep",
        rf"^(?:\[ )?(?:WARNING|BUG|INFO): (?P<what>{_LOCKDEP})[!.]?(?: \])?",
        "lockdep: {what}",
    ),
    _opening(
        "lockdep",
        r"^(?:\[ )?(?:WARNING|BUG): \S+/\d+ (?P<what>still has locks held)!",
        "lockdep: {what}",
    ),
    _opening("lockdep", r"^INFO: (?P<what>trying to register non-static key)", "lockdep: {what}"),
    _opening(
        "lockdep",
        r"^BUG: (?P<what>MAX_LOCK\w+|MAX_STACK\w+|lockdep \w+ keys?) too low!",
        "lockdep: {what}",
    ),
)

_SANITIZERS: tuple[Opening, ...] = (
    _opening("kasan", r"^BUG: KASAN: (?P<what>[\w-]+)", "KASAN: {what}"),
    _opening(
        "kfence",
        r"^BUG: KFENCE: (?P<what>[\w-]+(?: (?:read|write|free|corruption))?)",
        "KFENCE: {what}",
    ),
    _opening("ubsan", r"^UBSAN: (?P<what>[\w -]+?) in ", "UBSAN: {what}"),
    _opening(
        "memory-leak",
        r"^kmemleak: \d+ new suspected memory leaks?",
        "memory leak",
        whole=True,
    ),
    _opening("memory-leak", r"^BUG: memory leak$", "memory leak"),
    _opening(
        "memory-leak",
        r"^(?:kmemleak: )?unreferenced (?:percpu )?object (?:0x|\(percpu\))[0-9a-f]*",
        "memory leak",
    ),
)

_ASSERTIONS: tuple[Opening, ...] = (
    _opening(
        "list-corruption",
        r"^(?P<what>list_(?:add|del|add_tail)) (?:corruption|double add)",
        "list corruption ({what})",
        head=True,
    ),
    _opening("warning", r"^WARNING: CPU: (?P<cpu>\d+) PID: \d+ (?:at |\S)", "WARNING"),
    # Since 6.17 the place comes first, the CPU and the task last.
    _opening(
        "warning",
        rf"^WARNING: {_CONDITION}(?:\S+:\d+ )?at \S.*, CPU#(?P<cpu>\d+): "
        r"(?P<comm>.+)/(?P<pid>\d+)$",
        "WARNING",
    ),
    _opening("warning", rf"^WARNING: (?:{_CONDITION}\S+:\d+ )?at {_SYMBOL}", "WARNING"),
    _opening("warning", r"^WARNING: at \S+:\d+ ", "WARNING"),
    _opening(
        "warning",
        r"^WARNING: (?P<what>kernel stack (?:regs|frame pointer)) at\s+\S+ in \S.* has bad",
        "WARNING: {what} has a bad value",
    ),
)

_OTHERS: tuple[Opening, ...] = (
    _opening("panic", r"^Kernel panic - not syncing: (?P<message>.*)", "kernel panic: {message}"),
    _opening("panic", r"^Kernel panic - not syncing:?$", "kernel panic"),
    _opening("oom", r"^(?P<task>.+) invoked oom-killer: ", "out of memory"),
    _opening("oom", r"^(?:Memory cgroup out|Out) of memory: Killed process ", "out of memory"),
    _opening(
        "other-splat",
        r"^BUG (?P<cache>\S+) \(.*\): (?!kasan: )(?P<what>.+)$",
        "slab {cache}: {what}",
    ),
    _opening(
        "other-splat",
        rf"^(?:INFO: )?(?:Allocated|Freed) in {_SYMBOL} age=\d+ cpu=\d+ pid=\d+$",
        "slab object",
        inner=True,
    ),
    _opening("other-splat", r"^BUG: (?P<what>(?:KCSAN|KMSAN): [\w-]+)", "{what}"),
    _opening("other-splat", r"^BUG: (?P<what>Bad [\w -]+?) (?:in process|mm:)", "{what}"),
    _opening("other-splat", r"^BUG: Dentry .* still in use", "dentry still in use", head=True),
    _opening("other-splat", rf"^BUG: {_PREEMPTIBLE}", "{what} in preemptible code"),
    _opening("other-splat", r"^BUG: (?P<what>.+?) on CPU#\d+, ", "{what}"),
    _opening("other-splat", r"^BUG: (?P<what>.+)$", "{what}"),
    _opening("other-splat", r"^\S+: hw csum failure", "checksum of the hardware is wrong"),
    _opening(
        "other-splat",
        r"^VFS: Close: file count is (?:0|zero)",
        "file closed that was not open",
    ),
    _opening(
        "other-splat",
        r"^VFS: Busy inodes after unmount of ",
        "inodes in use after unmount",
    ),
)

# If two match, the first one counts.
OPENINGS: tuple[Opening, ...] = (
    *_FAULTS, *_STALLS, *_CONTEXT, *_SANITIZERS, *_ASSERTIONS, *_OTHERS,
)  # fmt: skip


def opening_of(text: str) -> tuple[Opening, re.Match[str]] | None:
    """Return the opening that matches a line's text, with its match; None if none does."""
    for opening in OPENINGS:
        match = opening.pattern.match(text)
        if match:
            return opening, match
    return None
