# SPDX-License-Identifier: GPL-2.0-only
"""The vocabulary that scenarios, oracles, the judge and reports share.

Each set is a `Literal` for the type checker. One that code prints or iterates is
also a tuple, in a fixed order. The sets are closed: a word that is not here is a
mistake, in a scenario as well as in the code.
"""

from __future__ import annotations

from typing import Literal, get_args

# The outcomes of an extension in one step, counted per run (or per load).
Outcome = Literal[
    "not_compiled",  # its compiler did not accept it; no kernel saw it
    "rejected",  # the kernel's verifier, or its checks of an image or module, refused it
    "returned",  # ran to its end
    "panicked",  # a panic of its own language stopped it
    "faulted",  # an invalid access or instruction stopped it
    "terminated",  # the framework stopped it because it exceeded its time budget
    "overflowed",  # its stack was exhausted
    "refused",  # was triggered, but not run
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
VERIFY: LoadStage = "verify"

# State of the kernel at the end. `stalled`: some CPU no longer makes progress.
KernelState = Literal["alive", "stalled", "crashed"]

# The fate of the objects that an extension had acquired; `any` does not check it.
Resources = Literal["released", "kept", "any"]

# The sources that a pass may rest on. `host`: only the host's own observations count.
TrustLevel = Literal["guest", "host"]

# `error`: the lab could not tell. It is never mixed up with `failed`.
Verdict = Literal["passed", "failed", "error"]

# The topics of the judge's findings: the keys of `expect`, and `steps` for the expectations
# of the steps themselves and for steps that did not complete.
Topic = Literal[
    "kernel",
    "reports",
    "forged",
    "counters",
    "resources",
    "bpf_objects",
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

# The topics of which one has to fail in a negative control (`controls`) that names none: the
# kernel's survival, and the release of all resources.
CONTROL_TOPICS: tuple[Topic, ...] = (
    "kernel",
    "reports",
    "counters",
    "resources",
    "bpf_objects",
    "rex",
)

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
    "irq-unhandled",  # an interrupt that no handler handled
    "list-corruption",
    "sleeping-in-atomic",
    "leaked-atomic",  # a softirq or work item that returned in another context than it started in
    "lockdep",
    "kasan",
    "kfence",
    "ubsan",
    "memory-leak",  # what kmemleak found
    "oom",
    "other-splat",
]

# Reports after which the kernel does not continue: it cannot be `alive`.
FATAL_REPORTS: frozenset[ReportKind] = frozenset({"panic", "double-fault"})

# Counters that the kernel keeps of its own errors; scenarios bound their increase.
Counter = Literal["oops", "warn", "soft-lockup", "hard-lockup", "rcu-stall", "hung-task"]
COUNTERS: tuple[Counter, ...] = get_args(Counter)

# Numbers of BPF objects by kind; scenarios bound their increase.
BpfObjectKind = Literal["programs", "maps", "links", "btfs", "net", "pins"]
BPF_OBJECT_KINDS: tuple[BpfObjectKind, ...] = get_args(BpfObjectKind)

# The resources that a native (Rex) program can hold, in the kernel's words.
RexResource = Literal["spin_lock", "rcu", "ringbuf", "task", "socket"]
REX_RESOURCES: tuple[RexResource, ...] = get_args(RexResource)

# The ways in which the kernel ends a native program, in the words of its reports. `overdue`:
# over budget by more than a second and still inside a helper, so that it can't be ended yet.
RexEnding = Literal["panicked", "faulted", "terminated", "overflowed", "overdue"]
REX_ENDINGS: tuple[RexEnding, ...] = get_args(RexEnding)

# The kernel's counters of native programs (debugfs, rex/stats), in the kernel's order: runs
# by their end, resources still held after a normal return (`leaked_`), resources that the
# kernel released (`released_`), CPU states that it restored (`repaired`), acquisitions that
# did not fit into the ledger of a run (`ledger_full`), and runs that could not be ended
# when their time was over, only later or not at all (`deferred`). Scenarios bound their
# increase.
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

# The amounts whose slope over repetitions can be bounded.
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

# Kinds of target that a program can be attached to, each with the form of the text after
# its colon. The loader accepts the same words.
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
