# SPDX-License-Identifier: GPL-2.0-only
"""What a soak does in each of its rounds, drawn from its seed: pure functions.

The programs are those of `extensions/rust/soak`; the tests compare what is said
of them here with their sources.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lab.words import Outcome

# Longest schedule, as the extension has it.
LENGTH = 64
# How many runs of each program may loop in a round, and for how long in all, in budgets: a CPU
# that has no rest between loops is told of by the kernel's detectors.
MAX_LOOPS, LOOP_MS = 3, 200
# How long one of the places is taken in which a run may loop with interrupts off. Ending
# it takes the neighbour's ticks, which a busy host has late.
MASKED_NS = 3_000_000_000

MAIN, OTHER = "main", "other"
TRAFFIC, PLUG, CHURN = "traffic", "plug", "churn"


@dataclass(frozen=True)
class Behaviour:
    """A behaviour, and how a run that behaves so ends; `weight` is how often it is drawn."""

    name: str
    ends: Outcome
    weight: int = 1

    @property
    def loops(self) -> bool:
        """Whether only the watchdog ends it."""
        return self.ends == "terminated"


# In the order of the numbers that the extension has for them.
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
    """A program, and how many of its runs may pass at most for each that behaves."""

    name: str
    stride: int


# In the order of the numbers that the extension has for its programs.
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
# Each CPU has its own; the others are where their targets are.
PER_CPU = "perf_event"


@dataclass(frozen=True)
class Schedule:
    """What the runs of one program do: names of behaviours, one for each `stride` runs."""

    stride: int
    behaviours: tuple[str, ...]

    def bytes(self) -> str:
        """The value in the extension's map, as scenarios write it."""
        numbers = bytes(NUMBERS[name] for name in self.behaviours)
        head = struct.pack("<II", self.stride, len(numbers))
        return "0x" + (head + numbers.ljust(LENGTH, b"\0")).hex()


@dataclass(frozen=True)
class Round:
    """One round. `calls` are numbers of system calls by CPU; `plug` is taken down and up.

    `abrupt`: the programs are unloaded in the middle of it all, so that nobody counts.
    `beyond`: also what the kernel says that it can't end, so that it may stall.
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
        """How many CPUs may loop with interrupts off at a time: one is left to end them."""
        there = self.cpus - (self.plug is not None)
        return there if self.beyond else there - 1


def draw(seed: int, number: int, cpus: int, *, beyond: bool = False) -> Round:
    """The round of a number; the same for the same arguments, whatever came before it."""
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


# The barrier: a task has run on each CPU, so no run is left that began before. The other
# step tells what the programs' own books and the kernel's say.
BARRIER, BOOKS = "barrier", "books"
_BARRIER_LINE = "kextload alive soakbarrier0000000000 20000"
_BOOKS_LINE = (
    "cat /sys/kernel/debug/rex/stats; echo ==; "
    "for f in /sys/kernel/debug/rex/progs/*; do echo id ${f##*/}; cat $f 2>/dev/null; done; "
    "echo ==; bpftool -j map dump name tally"
)


def as_scenario(plan: Round) -> dict[str, Any]:
    """The round as a scenario's file would say it."""
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
        {"shell": _BOOKS_LINE, "as": BOOKS},
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
    # In turns, and time for what is no call's.
    few = max(1, times // 5)
    turn = " && ".join(f"kexttrigger syscall {call} times={few} cpu={cpu}" for call in calls)
    line = f"for i in 1 2 3 4 5; do {turn} && kexttrigger spin ms=40 cpu={cpu} || exit; done"
    # Pinned by each command alone: the shell may go where it can.
    return {"shell": f"{{ {line}; }} > /dev/null", "background": True}
