# SPDX-License-Identifier: GPL-2.0-only
"""The words that scenarios, oracles, the judge and reports share.

Each set is a `Literal` for the type checker and a tuple, in a fixed order, for
whoever prints or iterates. The sets are closed: a word that is not here is a
mistake wherever it stands.
"""

from __future__ import annotations

from typing import Literal, get_args

# What became of an extension in one step, counted per run (or per load).
Outcome = Literal[
    "not_compiled",  # its compiler did not accept it; no kernel saw it
    "rejected",  # the kernel's verifier, or its checks of an image or module, refused it
    "returned",  # ran to its end
    "panicked",  # its own language's panic stopped it
    "faulted",  # an invalid access or instruction stopped it
    "terminated",  # the framework stopped it for the time that it took
    "overflowed",  # its stack was exhausted
    "refused",  # was not run, though triggered
    "disabled",  # the framework took it out of service
]
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)

# The outcomes of a load that failed because of the extension.
LoadOutcome = Literal["not_compiled", "rejected"]
LOAD_OUTCOMES: tuple[LoadOutcome, ...] = get_args(LoadOutcome)

# The stage at which a load fails, in the loader's words. Only `verify` is a verdict on the
# extension: the verifier's, or that of the kernel's checks of an image or module.
LoadStage = Literal[
    "open",  # libbpf does not accept the file as an object
    "btf",  # the kernel did not accept the object's types
    "map",  # a map could not be created
    "relocate",  # libbpf could not bind the object to this kernel
    "permission",  # the kernel refused the call before it looked at its object
    "verify",
    "load",  # anything else: out of memory, no compiler in the kernel for it
    "init",  # a module's own init function failed
]
LOAD_STAGES: tuple[LoadStage, ...] = get_args(LoadStage)
VERIFY: LoadStage = "verify"

# State of the kernel at the end. `stalled`: some CPU no longer makes progress.
KernelState = Literal["alive", "stalled", "crashed"]

# The fate of the objects that an extension had acquired; `any` does not check it.
Resources = Literal["released", "kept", "any"]

# The sources that a pass may rest on. `host`: only the host's own observations count.
TrustLevel = Literal["guest", "host"]

# `error`: the lab could not tell. It is never mixed up with `failed`.
Verdict = Literal["passed", "failed", "error"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)

# What the judge's findings are about: the keys of `expect`, and `steps` for what steps are
# held to beside them and for whether they came to their end.
Topic = Literal[
    "kernel",
    "reports",
    "forged",
    "counters",
    "resources",
    "ledger",
    "rex",
    "reusable",
    "outcome",
    "maps",
    "misses",
    "received",
    "verifier_log",
    "compiler_log",
    "extension_report",
    "slopes",
    "time",
    "steps",
]
TOPICS: tuple[Topic, ...] = get_args(Topic)

# What has to fail in a negative twin that does not say it: whether the kernel survived, and
# whether all was given back.
TWIN_TOPICS: tuple[Topic, ...] = ("kernel", "reports", "counters", "resources", "ledger", "rex")

# Kinds of report that a kernel writes to its console.
ReportKind = Literal[
    "oops",
    "page-fault",
    "general-protection",
    "double-fault",
    "stack-overflow",
    "bug",
    "warning",
    "panic",
    "soft-lockup",
    "hard-lockup",
    "rcu-stall",
    "hung-task",
    "wq-lockup",
    "csd-lock",  # a CPU that does not run a function that another CPU asked it to run
    "netdev-in-use",  # a network device that can't be unregistered
    "tx-timeout",  # a network device that does not transmit
    "irq-unhandled",  # an interrupt that no handler took
    "list-corruption",
    "sleeping-in-atomic",
    "leaked-atomic",  # a softirq or work item that returned in another context than it began
    "lockdep",
    "kasan",
    "kfence",
    "ubsan",
    "memory-leak",  # what kmemleak found
    "oom",
    "other-splat",
]
REPORT_KINDS: tuple[ReportKind, ...] = get_args(ReportKind)

# Reports after which the kernel does not run on: it cannot be `alive`.
FATAL_REPORTS: frozenset[ReportKind] = frozenset({"panic", "double-fault"})

# Counters that the kernel keeps of its own errors; scenarios bound their increase.
Counter = Literal["oops", "warn", "soft-lockup", "hard-lockup", "rcu-stall", "hung-task"]
COUNTERS: tuple[Counter, ...] = get_args(Counter)

# Numbers of objects by kind, from the ledger; scenarios bound their increase.
BpfObjectKind = Literal["programs", "maps", "links", "btfs", "net", "pins"]
BPF_OBJECT_KINDS: tuple[BpfObjectKind, ...] = get_args(BpfObjectKind)

# What a native (Rex) program can hold, in the kernel's words.
RexResource = Literal["spin_lock", "rcu", "ringbuf", "task", "socket"]
REX_RESOURCES: tuple[RexResource, ...] = get_args(RexResource)

# How the kernel ends a native program, in the words of its reports. `overdue` is one that it
# can't end yet, if ever: its time was over a second ago, and it is in a helper still.
RexEnding = Literal["panicked", "faulted", "terminated", "overflowed", "overdue"]
REX_ENDINGS: tuple[RexEnding, ...] = get_args(RexEnding)

# What the kernel counts of native programs (debugfs, rex/stats): runs and how they ended,
# what was still held after a normal return (`leaked_`) and what the kernel gave back
# (`released_`), states of the CPU that it put right, acquisitions for which the ledger of
# a run had no room, runs that could not be ended when their time was over, but later or
# not at all. The kernel's order. Scenarios bound their increase.
RexCounter = Literal[
    "runs",
    "returned",
    "panicked",
    "faulted",
    "terminated",
    "overflowed",
    "refused",
    "disabled",
    "leaked_spin_lock",
    "leaked_rcu",
    "leaked_ringbuf",
    "leaked_task",
    "leaked_socket",
    "released_spin_lock",
    "released_rcu",
    "released_ringbuf",
    "released_task",
    "released_socket",
    "repaired",
    "ledger_full",
    "deferred",
]
REX_COUNTERS: tuple[RexCounter, ...] = get_args(RexCounter)

# Amounts of memory in KiB, from /proc/meminfo (`Slab`, `Percpu`, `VmallocUsed`;
# `used` is `MemTotal` less `MemAvailable`); scenarios bound their slope.
Gauge = Literal["slab", "percpu", "vmalloc", "used"]
GAUGES: tuple[Gauge, ...] = get_args(Gauge)

# What can have a slope over repetitions.
Slope = Literal[
    "slab",
    "percpu",
    "vmalloc",
    "used",
    "programs",
    "maps",
    "links",
    "btfs",
    "net",
    "pins",
]
SLOPES: tuple[Slope, ...] = get_args(Slope)

# Safety properties, one folder of scenarios each.
SAFETY_PROPERTIES = ("memory", "types", "resources", "exceptions", "stack", "termination")

# Kinds of target that a program can be attached to, each with the form of what follows
# its colon. The loader takes the same words.
ATTACH_TARGETS = {
    "kprobe": "FUNCTION",
    "kretprobe": "FUNCTION",
    "tracepoint": "CATEGORY/NAME",
    "raw_tracepoint": "NAME",
    "fentry": "FUNCTION",
    "fexit": "FUNCTION",
    "perf": "software/EVENT@FREQUENCY",
    "xdp": "DEVICE",
    "tc": "DEVICE/ingress or DEVICE/egress",
    "cgroup": "PATH",
}
