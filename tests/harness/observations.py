# SPDX-License-Identifier: GPL-2.0-only
"""Scenarios with observations that satisfy them, for tests of the judge."""

from __future__ import annotations

from collections import Counter
from typing import Any

from lab.judge.observation import Iteration, Observation, StepResult
from lab.oracle import machine
from lab.oracle.console.forgeries import Forgery
from lab.oracle.console.parser import Report
from lab.scenario.model.base import Ref
from lab.scenario.model.scenario import Control, Scenario
from lab.scenario.model.steps import Settings
from lab.words import Topic

SHORT = """
    summary: A program counts
    extension: {c: count}
    trigger: {syscall: getpid, times: 5}
    expect: {outcome: {returned: 5}, reusable: true}
"""


def one_iteration(scenario: Scenario, returned: int = 5) -> Iteration:
    """Return an iteration in which every step succeeded."""
    iteration = Iteration(outcomes=Counter(returned=returned) if returned else Counter())
    for number, step in enumerate(scenario.steps, 1):
        result = StepResult(step, f"step {number}", ended=True)
        if step.verb == "trigger":
            result.outcomes["returned"] = returned
        if step.verb == "shell":
            result.status = 0
        iteration.results.append(result)
    return iteration


def good(scenario: Scenario) -> Observation:
    """Return the observation of a run that meets all expectations."""
    return Observation(
        first=one_iteration(scenario),
        second=one_iteration(scenario),
        state="alive",
        leaked=[],
        taint="",
        counters={"oops": 0, "warn": 0},
    )


def result_of(seen: Observation, verb: str) -> StepResult:
    return next(result for result in seen.first.results if result.step.verb == verb)


def report(kind: Any) -> Report:
    return Report(kind, f"a report: {kind}", ("line",), 1)


def break_state(seen: Observation) -> None:
    seen.state = "stalled"


def break_count(seen: Observation) -> None:
    seen.first.outcomes["returned"] = 4


def break_nothing_ran(seen: Observation) -> None:
    seen.first.outcomes.clear()


def break_report(seen: Observation) -> None:
    seen.reports.append(report("warning"))


def break_leak(seen: Observation) -> None:
    seen.leaked = ["map 7 (counts)"]


def break_unread_leaks(seen: Observation) -> None:
    seen.leaked = None


def break_taint(seen: Observation) -> None:
    seen.taint = "W"


def break_counter(seen: Observation) -> None:
    seen.counters["oops"] = 1


def break_second(seen: Observation) -> None:
    seen.second = one_iteration_of(seen, 0)


def break_no_second(seen: Observation) -> None:
    seen.second = None


def break_interrupted(seen: Observation) -> None:
    seen.first.interrupted = "step 3: the connection broke"


def break_load(seen: Observation) -> None:
    loaded = result_of(seen, "load")
    loaded.outcomes["rejected"] = 1
    loaded.problem = "load: Permission denied"


def break_attach(seen: Observation) -> None:
    result_of(seen, "attach").problem = "attach: no such function"


def break_unload(seen: Observation) -> None:
    result_of(seen, "unload").problem = "unload: busy"


def break_trigger(seen: Observation) -> None:
    result_of(seen, "trigger").problem = "the trigger failed"


def one_iteration_of(seen: Observation, returned: int) -> Iteration:
    iteration = Iteration(outcomes=Counter(returned=returned) if returned else Counter())
    iteration.results = seen.first.results
    return iteration


def control(*fails: Topic) -> Control:
    return Control(without="ledger", boot=("no_ledger",), reason="it holds it", fails=fails or None)


def protection() -> Control:
    """Return a control whose protection is switched off by a step."""
    return Control(
        without="ledger", set=Settings(debug={"rex/unprotected": 1}), reason="it holds it"
    )


def crash(seen: Observation) -> None:
    """Change the observation to one of a kernel that crashed during a trigger."""
    seen.state, seen.leaked, seen.second = "crashed", None, Iteration(interrupted="no good end")
    seen.evidence = machine.evidence([("GUEST_PANICKED", {"action": "pause"}, 3.0)], None, "")
    trigger = result_of(seen, "trigger")
    trigger.ended, trigger.problem = False, "the connection broke"
    seen.first.results = seen.first.results[: seen.first.results.index(trigger) + 1]
    seen.first.interrupted = "step 3: the connection broke"
    seen.first.outcomes.clear()


NOT_COMPILED = """
    summary: The compiler refuses it
    extension: {c: count}
    expect: {outcome: not_compiled, compiler_log: {contains: stack limit}}
"""


REJECTED = """
    summary: The verifier rejects it
    extension: {c: count}
    expect: {outcome: rejected, verifier_log: {contains: too large}}
"""


LOAD_STEP = """
    summary: A load and what is expected of it
    extensions: {a: {c: count}}
    steps:
      - load: a
        expect: EXPECT
    expect: {}
"""


STALLED = """
    summary: It stalls
    extension: {c: loop}
    steps:
      - load: main
      - trigger: {run: main.loop, background: true}
      - wait_for: {report: soft-lockup}
    expect: {kernel: stalled, reports: [soft-lockup]}
    allow_console: [{kind: rcu-stall, reason: it comes first}]
"""


STEPS = """
    summary: Every kind of expectation on a step
    extensions: {a: {c: count}}
    steps:
      - load: a
      - trigger: {run: a.prog}
        expect:
          returns: 4
          outcome: {returned: 1}
          maps: {a.counts: {0: 1}}
          time: {at_most: 2}
          misses: {at_most: 0}
      - read: {map: a.counts, key: 0}
        expect: {value: {at_least: 1}}
      - shell: "true"
        expect: {status: 0, output: {contains: yes}}
      - unload: a
    expect: {outcome: returned, maps: {a.counts: {0: 1}}, counters: {warn: {at_most: 1}}}
"""


def good_steps(scenario: Scenario) -> Observation:
    seen = good(scenario)
    seen.first = one_iteration(scenario, 1)
    trigger = result_of(seen, "trigger")
    trigger.returns = 4
    trigger.maps = seen.first.maps = {Ref("a", "counts"): {0: 1}}
    result_of(seen, "read").value = 1
    result_of(seen, "shell").output = "yes\n"
    return seen


def spoil_returns(seen: Observation) -> None:
    result_of(seen, "trigger").returns = 5


def spoil_map(seen: Observation) -> None:
    result_of(seen, "trigger").maps = {Ref("a", "counts"): {0: None}}


def spoil_time(seen: Observation) -> None:
    result_of(seen, "trigger").seconds = 3.0


def spoil_misses(seen: Observation) -> None:
    result_of(seen, "trigger").misses = 1


def spoil_value(seen: Observation) -> None:
    result_of(seen, "read").value = 0


def spoil_status(seen: Observation) -> None:
    result_of(seen, "shell").status = 1


def spoil_output(seen: Observation) -> None:
    result_of(seen, "shell").output = "no"


def spoil_final_map(seen: Observation) -> None:
    seen.first.maps = {}


def spoil_counter(seen: Observation) -> None:
    seen.counters["warn"] = 2


SPOILS = [
    (spoil_returns, "returned value"),
    (spoil_map, "a.counts[0]"),
    (spoil_time, "time"),
    (spoil_misses, "missed runs"),
    (spoil_value, "value"),
    (spoil_status, "exit status"),
    (spoil_output, "output"),
    (spoil_final_map, "maps: a.counts[0]"),
    (spoil_counter, "counter warn"),
]


TWO = """
    summary: One of two extensions is not loaded
    extensions: {a: {c: bad}, b: {c: count}}
    steps:
      - load: a
      - load: b
      - attach: a
      - trigger: {run: b.prog}
        expect: {returns: 2, maps: {b.counts: {0: 1}}}
      - read: {map: a.counts, key: 0}
        expect: {value: 1}
      - unload: b
      - unload: a
    expect: {maps: {a.counts: {0: 1}, b.counts: {0: 1}}}
"""


RECEIVED = """
    summary: Packets arrive, and others do not
    extensions: {a: {c: count}}
    steps:
      - load: a
      - trigger: {packets: lo, times: 5, port: 1}
        as: blocked
        expect: {received: 0}
      - trigger: {packets: lo, times: 5, protocol: tcp}
        as: open
        expect: {received: 5}
      - unload: a
    expect: {received: 5}
"""


def good_received(scenario: Scenario) -> Observation:
    seen = good(scenario)
    seen.first.results[1].received, seen.first.results[2].received = 0, 5
    return seen


REX = """
    summary: It panics with a lock held
    extension: {rust: panics}
    trigger: {syscall: getpid}
    expect:
      outcome: {returned: 5}
      rex: {released_spin_lock: 1, leaked_task: {at_most: 0}}
      reusable: true
"""


def good_rex(scenario: Scenario) -> Observation:
    seen = good(scenario)
    seen.rex = {"released_spin_lock": 1, "leaked_task": 0, "repaired": 0}
    seen.rex_total = {"released_spin_lock": 2, "leaked_task": 0, "repaired": 0}
    return seen


def spoil_released(seen: Observation) -> None:
    seen.rex = {"released_spin_lock": 2, "leaked_task": 0}


def spoil_leaked(seen: Observation) -> None:
    seen.rex = {"released_spin_lock": 1, "leaked_task": 1}


def spoil_no_counters(seen: Observation) -> None:
    seen.rex, seen.rex_total = {}, {}


def spoil_unread_counters(seen: Observation) -> None:
    seen.rex = None


def spoil_repaired(seen: Observation) -> None:
    seen.rex_total = {"released_spin_lock": 2, "repaired": 1}


def spoil_stack(seen: Observation) -> None:
    seen.near_overflow_stacks = ["16 bytes of CPU 1's at depth 0"]


REPORTED = """
    summary: It panics, and the kernel says where
    extension: {rust: panics}
    trigger: {syscall: getpid}
    expect:
      extension_report:
        contains: ["panicked on CPU", "#0 panics::deep at src/lib.rs"]
        excludes: faulted
        matches: "^panicked on CPU [01]: no \\\\(src/lib.rs:[0-9]+\\\\)$"
"""


def forging(seen: Observation, count: int) -> None:
    seen.forgeries = [Forgery(3, 1.0, "Kernel panic - not syncing: no", "kmsg")] * count
    seen.forged = count


ALLOWING = """
    summary: It warns
    extension: {c: count}
    trigger: {syscall: getpid, times: 5}
    expect: {outcome: {returned: 5}}
    allow_console: [{kind: KIND, reason: the test wants it}]
"""
