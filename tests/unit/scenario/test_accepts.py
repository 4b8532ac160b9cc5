# SPDX-License-Identifier: GPL-2.0-only
"""Test that correct scenarios are accepted, since checks that are too strict forbid some."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.scenario.catalog import Catalog, Source
from lab.scenario.load import check_file, load_scenarios
from lab.scenario.model.expect import LoadExpect
from lab.scenario.model.scenario import Scenario
from lab.scenario.model.steps import TriggerStep
from lab.scenario.model.triggers import ShellTrigger

CATALOG = Catalog(
    flavors=("stock", "debian"),
    c={
        "count": Source(
            ("p", "q"), ("counts",), {"p": "kprobe/f", "q": "tracepoint/syscalls/sys_enter_getpid"}
        ),
        "packets": Source(("x",), ("counts",), {"x": "xdp"}),
        "hidden": Source(None, None),
    },
    modules=("leak",),
    rust={
        "native": Source(
            ("n", "x"), ("counts",), {"n": "kprobe/f", "x": "xdp/lo"}, marks="attribute"
        ),
    },
    syscalls=("getpid",),
)
HEAD = "summary: x\n"
ONE = HEAD + "extension: {c: count}\n"
TWO = HEAD + "extensions: {a: {c: count}, b: {c: packets, attach: [{program: x, to: 'xdp:lo'}]}}\n"

GOOD = {
    "packets that are received, as the only proof": HEAD
    + """
extension: {c: packets, attach: [{program: x, to: "xdp:veth0"}]}
steps:
  - load: main
  - attach: main
  - trigger: {packets: veth1, netns: /run/a, to: 10.0.0.1, protocol: tcp, times: 5}
    expect: {received: {at_least: 1, at_most: 4}}
  - repeat: {times: 9, steps: [{trigger: {packets: lo, times: 2, size: 16}}]}
  - unload: main
expect: {received: 22}
""",
    "loaded twice, one after the other": ONE
    + """
steps: [load: main, unload: main, load: main, trigger: {syscall: getpid}, unload: main]
expect: {outcome: returned}
""",
    "a device that a Rust attribute names": HEAD
    + """
extension: {rust: native}
trigger: {packets: lo}
expect: {rex: {panicked: 1}, maps: {counts: {0: 1}}}
""",
    "Rust next to C, and a report as the proof": HEAD
    + """
extensions:
  a: {rust: native, programs: [n], attach: [{program: n, to: "kprobe:g"}]}
  b: {c: count}
trigger: {syscall: getpid}
expect: {extension_report: {contains: panicked}, rex: {released_task: {at_least: 1}}}
controls:
  - {without: ledger, set: {debug: {rex/unprotected: 1}}, fails: [rex, resources], reason: one}
""",
    "a forgery as the proof": HEAD
    + """
steps: [shell: "echo 'BUG: no' > /dev/kmsg"]
expect: {forged: {at_least: 1}}
""",
    "a budget of its own, from a parameter": HEAD
    + """
parameters: {budget: [1, 20, 10000]}
extension: {rust: native, programs: [n]}
budget_ms: "${budget}"
trigger: {syscall: getpid}
expect: {outcome: {terminated: 1}}
""",
    "no end of a run, and none is expected": HEAD
    + """
extension: {rust: native, programs: [n]}
budget_ms: 0
trigger: {syscall: getpid}
expect: {outcome: {terminated: 0, returned: 1}, rex: {terminated: 0}}
""",
    "no end of a run, until a step gives it one": HEAD
    + """
extensions: {a: {rust: native, programs: [n]}}
budget_ms: 0
steps:
  - load: a
  - attach: a
  - set: {sysctl: {kernel.rex.budget_ms: 20}}
  - trigger: {syscall: getpid}
  - unload: a
expect: {outcome: terminated}
""",
    "no end of a run, until a line in the background gives it one": HEAD
    + """
extension: {rust: native, programs: [n]}
budget_ms: 0
background: {lower: {shell: "sleep 1; sysctl kernel.rex.budget_ms=20; sleep 9"}}
trigger: {syscall: getpid}
expect: {outcome: terminated}
""",
    "no end of a run in a control only, and files of Rex": HEAD
    + """
extension: {rust: native, programs: [n]}
budget_ms: 20
set: {debug: {rex/unprotected: 0}}
trigger: {syscall: getpid}
expect: {outcome: terminated}
controls:
  - without: watchdog
    set: {sysctl: {kernel.rex.budget_ms: 0}, debug: {rex/unprotected: 8}}
    fails: [kernel]
    reason: nothing ends it
""",
    "attached program by program": ONE
    + """
steps:
  - load: main
  - attach: {extension: main, program: p}
  - attach: {extension: main, program: q}
  - attach: {extension: main, program: p, to: "kprobe:g"}
  - trigger: {syscall: getpid}
  - unload: main
expect: {outcome: returned}
""",
    "loaded and unloaded in each turn": ONE
    + """
steps:
  - repeat: {times: 5, steps: [load: main, attach: main, trigger: {syscall: getpid}, unload: main]}
expect: {outcome: {returned: 5}, slopes: {slab: {at_most: 1}}}
""",
    "a queue or a stack, which has no keys": ONE
    + """
steps:
  - load: main
  - write: {map: counts, value: 5}
  - read: {map: counts}
    expect: {value: 5}
  - unload: main
expect: {kernel: alive}
""",
    "attached once, triggered in each turn": ONE
    + """
steps:
  - load: main
  - attach: main
  - repeat: {times: 5, steps: [trigger: {syscall: getpid}, read: {map: counts, key: 0}]}
  - unload: main
expect: {outcome: {returned: 5}}
""",
    "background work in each turn": TWO
    + """
background: {churn: {load_unload: b, every: 0.1}}
steps:
  - load: a
  - repeat: {times: 5, steps: [start: churn, trigger: {syscall: getpid}, stop: churn]}
  - unload: a
expect: {outcome: returned}
""",
    "background work is not stopped": TWO
    + """
background: {noise: {traffic: lo}}
steps: [load: a, load: b, attach: b, start: noise, trigger: {wait: 1}, unload: b, unload: a]
expect: {outcome: returned}
""",
    "a trigger in the background is stopped": ONE
    + """
steps:
  - load: main
  - attach: main
  - trigger: {shell: "while :; do :; done", background: true}
    as: endless
  - stop: endless
  - unload: main
expect: {outcome: returned}
""",
    "still loaded, and meant so": ONE
    + """
steps: [load: main, attach: main, trigger: {syscall: getpid}]
expect: {outcome: returned, resources: kept}
""",
    "still loaded when the kernel stalls": ONE
    + """
steps: [load: main, attach: main, trigger: {syscall: getpid}, wait_for: {report: soft-lockup}]
expect: {kernel: stalled}
""",
    "rejected, in steps": ONE
    + """
steps: [load: main]
expect: {outcome: rejected, verifier_log: {contains: too large}}
""",
    "rejected, and then another loads": TWO
    + """
steps:
  - load: a
    expect: {outcome: rejected}
  - load: b
  - attach: b
  - trigger: {packets: lo}
    expect: {outcome: {returned: 1}}
  - unload: b
expect: {outcome: {rejected: 1, returned: 1}, kernel: alive, resources: released}
""",
    "rejected is not what is expected": ONE
    + "trigger: {syscall: getpid}\nexpect: {outcome: {rejected: 0, returned: 1}, reusable: true}\n",
    "an attachment that fails, and then one that does not": ONE
    + """
steps:
  - load: main
  - attach: {extension: main, program: p, to: "kprobe:nowhere"}
    expect: {error: ENOENT}
  - attach: main
  - trigger: {syscall: getpid}
  - unload: main
expect: {outcome: returned}
""",
    "only a panic": HEAD
    + """
steps: [trigger: {sysrq: c}]
expect: {kernel: crashed, reports: [panic]}
""",
    "only a talk": HEAD
    + "steps: [console: [{send: ''}, {expect: '#'}]]\nexpect: {kernel: alive}\n",
    "a program that is only run on test data": HEAD
    + """
extension: {c: packets}
trigger: {run: x, repeat: 3, size: 64}
expect: {outcome: {returned: 3}}
""",
    "programs that the source does not show": HEAD
    + """
extension: {c: hidden, programs: [a], attach: [{program: a, to: "xdp:lo"}]}
trigger: {packets: lo}
expect: {outcome: returned, maps: {anything: {0: 1}}}
""",
    "maps that the compiler makes": ONE
    + "trigger: {syscall: getpid}\nexpect: {maps: {.bss: {0: 1}, main..data: {0: 1}}}\n",
    "a module with parameters of any name": HEAD
    + """
extension: {module: leak, args: {cpu: 77, boot: x, on: true}}
trigger: {wait: 1}
expect: {reports: [warning]}
""",
    "the last CPU": ONE.replace("{c: count}", "{c: count, attach: [{program: p, cpu: 3}]}")
    + """
machine: {cpus: 4}
background: {plug: {cpu_hotplug: 3}}
trigger: {syscall: getpid, cpu: 3}
expect: {outcome: returned}
""",
    "every value is right in some item": ONE
    + """
parameters: [{kernel: alive, n: 1}, {kernel: stalled, n: 2}]
trigger: {syscall: getpid, times: "${n}"}
expect: {outcome: returned, kernel: "${kernel}"}
""",
    "shell lines with braces of their own": ONE
    + """
trigger: {shell: "for i in 1 2; do echo $i $${i} $$; done"}
expect: {outcome: returned}
""",
}


@pytest.mark.parametrize("text", GOOD.values(), ids=GOOD.keys())
def test_nothing_is_wrong(text: str, tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(text)
    assert [str(problem) for problem in check_file(path, CATALOG)] == []


def load(tmp_path: Path, text: str) -> Scenario:
    path = tmp_path / "x.yaml"
    path.write_text(text)
    return load_scenarios(path)[0]


def test_a_text_for_the_parameter_sign_itself(tmp_path: Path) -> None:
    scenario = load(tmp_path, GOOD["shell lines with braces of their own"])
    trigger = next(step.trigger for step in scenario.steps if isinstance(step, TriggerStep))
    assert isinstance(trigger, ShellTrigger)
    assert trigger.shell == "for i in 1 2; do echo $i ${i} $$; done"


def test_a_lone_rejected_load_is_expected_to_fail(tmp_path: Path) -> None:
    scenario = load(tmp_path, GOOD["rejected, in steps"])
    (step,) = scenario.steps
    assert step.verb == "load"
    assert isinstance(step.expect, LoadExpect)
    assert step.expect.outcome == "rejected"
    assert scenario.expect.failed_load == "rejected"


def test_all_steps_are_those_of_repetitions_too(tmp_path: Path) -> None:
    scenario = load(tmp_path, GOOD["attached once, triggered in each turn"])
    assert [step.verb for step in scenario.all_steps()] == [
        "load",
        "attach",
        "repeat",
        "trigger",
        "read",
        "unload",
    ]
