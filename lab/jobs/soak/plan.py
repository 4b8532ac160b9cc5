# SPDX-License-Identifier: GPL-2.0-only
"""Draw the rounds of a soak from its seed, with pure functions.

The programs are those of `extensions/rust/soak`; the tests compare the tables here with their
sources.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lab.words import Outcome

# The longest schedule, as the extension defines it.
LENGTH = 64
# Limits of the runs of one program that loop in a round: their number, and the sum of their
# budgets. A CPU that loops without pause trips the kernel's lockup detectors.
MAX_LOOPS, LOOP_MS = 3, 200
# Time for which a run reserves one of the slots for loops with interrupts off. Only the
# neighbour's ticks end such a loop, and on a busy host they come late.
MASKED_NS = 3_000_000_000

MAIN, OTHER = "main", "other"
TRAFFIC, PLUG, CHURN = "traffic", "plug", "churn"


@dataclass(frozen=True)
class Behaviour:
    """A behaviour, and how its runs end; it is drawn in proportion to `weight`."""

    name: str
    ends: Outcome
    weight: int = 1

    @property
    def loops(self) -> bool:
        """True if only the watchdog ends such a run."""
        return self.ends == "terminated"


# In the order of the extension's numbers for them.
BEHAVIOURS = (
    Behaviour("return", "returned", 12),
    Behaviour("print", "returned", 4),
    Behaviour("maps", "returned", 14),
    Behaviour("panic", "panicked", 6),
    Behaviour("panic_holding", "panicked", 6),
    Behaviour("panic_locked", "panicked", 4),
    Behaviour("fault_read", "faulted", 4),
    Behaviour("fault_null", "faulted", 3),
    Behaviour("fault_instruction", "faulted", 3),
    Behaviour("fault_division", "faulted", 3),
    Behaviour("loop", "terminated", 2),
    Behaviour("loop_keys", "terminated", 2),
    Behaviour("loop_calls", "terminated", 2),
    Behaviour("loop_rcu", "terminated", 2),
    Behaviour("loop_locked", "terminated", 2),
    Behaviour("recurse", "overflowed", 6),
    Behaviour("leak", "returned", 6),
    Behaviour("leak_locked", "returned", 4),
    Behaviour("recurse_plain", "overflowed", 6),
)
NUMBERS = {behaviour.name: number for number, behaviour in enumerate(BEHAVIOURS)}


@dataclass(frozen=True)
class Hook:
    """A program, and its largest stride: one of each `stride` runs follows the schedule."""

    name: str
    stride: int


# In the order of the extension's numbers for its programs.
HOOKS = (
    Hook("kprobe", 3),
    Hook("kretprobe", 3),
    Hook("tracepoint", 3),
    Hook("task", 40),
    Hook("softirq", 10),
    Hook("hardirq", 12),
    Hook("switch", 12),
    Hook("perf_event", 2),
    Hook("xdp", 30),
    Hook("ingress", 30),
    Hook("egress", 30),
)
PLACES = {hook.name: place for place, hook in enumerate(HOOKS)}
# The attachment of this program names a CPU; the others run wherever their targets run.
PER_CPU = "perf_event"


@dataclass(frozen=True)
class Schedule:
    """The behaviours of one program's runs, by name: one of each `stride` runs follows the next."""

    stride: int
    behaviours: tuple[str, ...]

    def bytes(self) -> str:
        """Return the value for the extension's map, as scenarios write it."""
        numbers = bytes(NUMBERS[name] for name in self.behaviours)
        head = struct.pack("<II", self.stride, len(numbers))
        return "0x" + (head + numbers.ljust(LENGTH, b"\0")).hex()


@dataclass(frozen=True)
class Round:
    """One round. `calls` are numbers of system calls by CPU; CPU `plug` goes down and up.

    `abrupt`: the programs are unloaded while they run, and runs are not counted.
    `beyond`: runs also loop where the kernel documents that it can't end a loop, so it may stall.
    """

    number: int
    cpus: int
    budget_ms: int
    disable_on_panic: bool
    schedules: Mapping[str, Schedule]
    sampled: int
    calls: Mapping[int, int]
    traffic: int | None
    size: int
    plug: int | None
    plug_every: float
    churn: bool
    abrupt: bool
    beyond: bool = False

    @property
    def masked(self) -> int:
        """The number of CPUs that may loop with interrupts off at a time.

        One CPU is left to end the loops, unless the round is `beyond`.
        """
        there = self.cpus - (self.plug is not None)
        return there if self.beyond else there - 1


def draw(seed: int, number: int, cpus: int, *, beyond: bool = False) -> Round:
    """Draw the round of a number. The same arguments always give the same round."""
    chance = random.Random(f"lab soak {seed} {number} {cpus}")
    names = [hook.name for hook in HOOKS]
    chosen = set(chance.sample(names, chance.randint(4, len(names))))
    plug = chance.randrange(1, cpus) if cpus > 1 and chance.random() < 0.4 else None
    steady = [cpu for cpu in range(cpus) if cpu != plug]
    busy = sorted(chance.sample(steady, chance.randint(1, len(steady))))
    budget = chance.randint(10, 100)
    return Round(
        number=number,
        cpus=cpus,
        budget_ms=budget,
        disable_on_panic=chance.random() < 0.1,
        schedules={
            hook.name: _schedule(chance, hook, budget) for hook in HOOKS if hook.name in chosen
        },
        sampled=chance.choice(steady),
        calls={cpu: chance.randint(50, 200) for cpu in busy},
        traffic=chance.choice(steady) if chance.random() < 0.75 else None,
        size=chance.choice((1, 64, 512, 1400, 9000)),
        plug=plug,
        plug_every=chance.choice((0.1, 0.2, 0.4)),
        churn=chance.random() < 0.4,
        abrupt=chance.random() < 0.25,
        beyond=beyond,
    )


def _schedule(chance: random.Random, hook: Hook, budget_ms: int) -> Schedule:
    length = chance.randint(8, LENGTH)
    weights = [behaviour.weight for behaviour in BEHAVIOURS]
    found: list[str] = []
    loops, most = 0, min(MAX_LOOPS, LOOP_MS // budget_ms)
    for behaviour in chance.choices(BEHAVIOURS, weights, k=length):
        loops += behaviour.loops
        too_many = behaviour.loops and loops > most
        found.append(BEHAVIOURS[0].name if too_many else behaviour.name)
    return Schedule(chance.randint(1, hook.stride), tuple(found))


# Labels of two steps. After the barrier a task has run on each CPU, so no earlier run is still
# in progress. Then the other step prints the programs' counts and the kernel's.
BARRIER, COUNTS = "barrier", "counts"
_BARRIER_LINE = "kextload alive soakbarrier0000000000 20000"
_COUNTS_LINE = (
    "cat /sys/kernel/debug/rex/stats; echo ==; "
    "for f in /sys/kernel/debug/rex/progs/*; do echo id ${f##*/}; cat $f 2>/dev/null; done; "
    "echo ==; bpftool -j map dump name tally"
)


def as_scenario(plan: Round) -> dict[str, Any]:
    """Return the round as the data of a scenario's file."""
    background: dict[str, Any] = {}
    if plan.traffic is not None:
        background[TRAFFIC] = {"traffic": "lo", "size": plan.size, "cpu": plan.traffic}
    if plan.plug is not None:
        background[PLUG] = {"cpu_hotplug": plan.plug, "every": plan.plug_every}
    extensions: dict[str, Any] = {MAIN: {"rust": "soak", "programs": list(plan.schedules)}}
    if plan.churn:
        extensions[OTHER] = {"rust": "hello"}
        background[CHURN] = {"load_unload": OTHER, "every": 0.1}
    return {
        "summary": f"Round {plan.number} of a soak",
        "machine": {"cpus": plan.cpus},
        "timeout": 180,
        "extensions": extensions,
        "background": background,
        "set": {
            "sysctl": {
                "kernel.rex.budget_ms": plan.budget_ms,
                "kernel.rex.disable_on_panic": int(plan.disable_on_panic),
            }
        },
        "steps": _steps(plan, list(background)),
        "expect": {"kernel": "alive", "resources": "released"},
    }


def _steps(plan: Round, background: list[str]) -> list[dict[str, Any]]:
    def write(name: str, key: int, value: int | str) -> dict[str, Any]:
        return {"write": {"map": f"{MAIN}.{name}", "key": key, "value": value}}

    steps: list[dict[str, Any]] = [{"load": MAIN}]
    steps += [
        write("schedules", PLACES[name], schedule.bytes())
        for name, schedule in plan.schedules.items()
    ]
    limits = (plan.masked, MASKED_NS, int(plan.beyond))
    steps += [write("limits", place, value) for place, value in enumerate(limits)]
    steps += [_attach(plan, name) for name in plan.schedules]
    steps += [{"start": name} for name in background]
    steps.append(write("gate", 0, 1))
    jobs = {f"calls-{cpu}": _calls(cpu, times) for cpu, times in plan.calls.items()}
    steps += [{"trigger": trigger, "as": name} for name, trigger in jobs.items()]
    unload = {"unload": MAIN}
    stop_jobs = [{"stop": name} for name in jobs]
    stop_plug = [{"stop": PLUG}] if PLUG in background else []
    stop_rest = [{"stop": name} for name in background if name != PLUG]
    if plan.abrupt:
        return [*steps, unload, *stop_jobs, *stop_plug, *stop_rest]
    return [
        *steps,
        *stop_jobs,
        write("gate", 0, 0),
        *stop_plug,
        {"shell": _BARRIER_LINE, "as": BARRIER},
        {"shell": _COUNTS_LINE, "as": COUNTS},
        unload,
        *stop_rest,
    ]


def _attach(plan: Round, name: str) -> dict[str, Any]:
    spec: dict[str, Any] = {"extension": MAIN, "program": name}
    if name == PER_CPU:
        spec["cpu"] = plan.sampled
    return {"attach": spec}


def _calls(cpu: int, times: int) -> dict[str, Any]:
    calls = ("getpgid", "getppid", "getuid")
    # Alternate the calls, and spin to leave time for programs that no system call triggers.
    few = max(1, times // 5)
    turn = " && ".join(f"kexttrigger syscall {call} times={few} cpu={cpu}" for call in calls)
    line = f"for i in 1 2 3 4 5; do {turn} && kexttrigger spin ms=40 cpu={cpu} || exit; done"
    # Each command pins itself to the CPU; the shell may run on any.
    return {"shell": f"{{ {line}; }} > /dev/null", "background": True}
