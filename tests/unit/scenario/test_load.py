# SPDX-License-Identifier: GPL-2.0-only
"""From a file to the long form."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.config.problems import FileErrors
from lab.scenario.items import items
from lab.scenario.load import load_scenarios
from lab.scenario.model.expect import LoadExpect
from lab.scenario.model.scenario import Scenario
from lab.scenario.model.steps import TriggerStep
from lab.scenario.model.triggers import ShellTrigger, SyscallTrigger

SHORT = """\
summary: A kprobe program counts calls and unloads clean
extension: {c: count_getpid}
trigger: {syscall: getpid, times: 100}
expect:
  outcome: returned
  maps: {counts: {0: 100}}
"""


def write(folder: Path, text: str, name: str = "termination/count.yaml") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def load(folder: Path, text: str, name: str = "termination/count.yaml") -> Scenario:
    (scenario,) = load_scenarios(write(folder, text, name))
    return scenario


def problems(folder: Path, text: str) -> list[str]:
    with pytest.raises(FileErrors) as caught:
        load_scenarios(write(folder, text))
    return [f"{each.line}:{each.column}: {each.message}" for each in caught.value.problems]


def labels(scenario: Scenario) -> list[str]:
    return [step.label for step in scenario.steps]


def test_short_form_becomes_the_long_one(tmp_path: Path) -> None:
    scenario = load(tmp_path, SHORT)
    assert scenario.id == "termination/count"
    assert labels(scenario) == [
        "load main",
        "attach main",
        "trigger syscall getpid",
        "unload main",
    ]
    assert scenario.kernels == ("stock",)
    assert scenario.expect.kernel == "alive"
    assert scenario.expect.resources == "released"
    ((ref, values),) = scenario.expect.maps.items()
    assert str(ref) == "main.counts"
    assert values[0].holds(100)
    assert not values[0].holds(99)


def test_steps_know_their_place(tmp_path: Path) -> None:
    scenario = load(tmp_path, SHORT)
    places = [(step.where.line, step.where.column) for step in scenario.steps]
    assert places == [(2, 12), (2, 12), (3, 10), (2, 12)]
    assert scenario.steps[0].where.file == str(tmp_path / "termination/count.yaml")


def test_a_rejected_extension_is_only_loaded(tmp_path: Path) -> None:
    scenario = load(tmp_path, "summary: x\nextension: {c: a}\nexpect: {outcome: rejected}\n")
    assert labels(scenario) == ["load main"]
    (step,) = scenario.steps
    assert step.verb == "load"
    assert isinstance(step.expect, LoadExpect)
    assert step.expect.outcome == "rejected"


def test_a_stalled_kernel_is_not_asked_to_unload(tmp_path: Path) -> None:
    text = SHORT.replace("expect:\n", "expect:\n  kernel: stalled\n")
    scenario = load(tmp_path, text)
    assert labels(scenario)[-1] == "trigger syscall getpid"
    assert scenario.expect.resources is None


def test_a_program_run_on_test_data_is_not_attached(tmp_path: Path) -> None:
    text = SHORT.replace("{syscall: getpid, times: 100}", "{run: prog, repeat: 3}")
    assert labels(load(tmp_path, text)) == ["load main", "trigger run main.prog", "unload main"]


def test_a_module_is_not_attached(tmp_path: Path) -> None:
    text = SHORT.replace("{c: count_getpid}", "{module: leak, args: {n: 3}}")
    text = text.replace("  maps: {counts: {0: 100}}\n", "")
    text = text.replace("outcome: returned", "reports: [warning]")
    assert "attach main" not in labels(load(tmp_path, text))


def test_background_work_runs_while_the_trigger_does(tmp_path: Path) -> None:
    text = SHORT.replace(
        "extension: {c: count_getpid}\n",
        """\
extensions: {a: {c: one}, b: {c: two}}
background: {noise: {traffic: lo}, churn: {load_unload: b}}
""",
    ).replace("counts:", "a.counts:")
    assert labels(load(tmp_path, text)) == [
        "load a",
        "attach a",
        "start noise",
        "start churn",
        "trigger syscall getpid",
        "stop churn",
        "stop noise",
        "unload a",
    ]


def test_settings_come_first_and_boot_arguments_go_to_the_machine(tmp_path: Path) -> None:
    text = SHORT + "machine: {boot: [a=1]}\nset: {sysctl: {kernel.x: 1}, boot: [b=2]}\n"
    scenario = load(tmp_path, text)
    assert labels(scenario)[0] == "set kernel.x=1"
    assert scenario.machine.boot == ("a=1", "b=2")


def test_a_budget_is_set_before_all_else_beside_other_settings(tmp_path: Path) -> None:
    rust = SHORT.replace("{c: count_getpid}", "{rust: count}") + "budget_ms: 20\n"
    assert labels(load(tmp_path, rust))[:2] == ["set kernel.rex.budget_ms=20", "load main"]
    more = rust + "set: {sysctl: {kernel.x: 1}, debug: {rex/unprotected: 8}}\n"
    said = labels(load(tmp_path, more))[0]
    assert said == "set kernel.x=1, kernel.rex.budget_ms=20, rex/unprotected=8"
    endless = rust.replace("budget_ms: 20", "budget_ms: 0")
    assert labels(load(tmp_path, endless))[0] == "set kernel.rex.budget_ms=0"


def test_items_of_every_flavor_and_set_of_values(tmp_path: Path) -> None:
    text = SHORT.replace("times: 100", 'times: "${n}"') + (
        "kernels: [stock, debian]\nparameters: {n: [1, 8]}\n"
        "controls: [{without: smap, boot: [nosmap], reason: SMAP is what stops it}]\n"
    )
    found = items(load(tmp_path, text))
    assert [item.id for item in found] == [
        "termination/count@stock[n=1]",
        "termination/count-without-smap@stock[n=1]",
        "termination/count@stock[n=8]",
        "termination/count-without-smap@stock[n=8]",
        "termination/count@debian[n=1]",
        "termination/count-without-smap@debian[n=1]",
        "termination/count@debian[n=8]",
        "termination/count-without-smap@debian[n=8]",
    ]
    steps = found[2].scenario.steps
    trigger = next(step.trigger for step in steps if isinstance(step, TriggerStep))
    assert isinstance(trigger, SyscallTrigger)
    assert trigger.times == 8
    assert found[0].scenario.machine.boot == ()
    assert found[1].scenario.machine.boot == ("nosmap",)
    assert found[1].path == "termination.count-without-smap"


@pytest.mark.parametrize(
    ("machine", "control", "clocks"),
    [
        ("{}", "", ["host", "host"]),
        ("{}", "clock: instructions, ", ["host", "instructions"]),
        ("{clock: instructions}", "", ["instructions", "instructions"]),
        ("{clock: instructions}", "clock: host, ", ["instructions", "host"]),
    ],
)
def test_a_control_may_have_a_clock_of_its_own(
    machine: str, control: str, clocks: list[str], tmp_path: Path
) -> None:
    text = SHORT + (
        f"machine: {machine}\ncontrols: [{{without: x, {control}boot: [nox], reason: a test}}]\n"
    )
    assert [item.scenario.machine.clock for item in items(load(tmp_path, text))] == clocks


def test_no_time_is_expected_where_the_clock_follows_the_instructions(tmp_path: Path) -> None:
    text = SHORT + "  time: {at_most: 2}\n"
    load(tmp_path, text)
    step = "steps: [{shell: x, expect: {status: 0, time: {at_most: 2}}}]\nexpect: {kernel: alive}\n"
    steps = "summary: A step has a time\n" + step
    load(tmp_path, steps)
    for one in (text, steps):
        with pytest.raises(FileErrors, match=r"\d+:\d+: this machine's clock follows"):
            load(tmp_path, one + "machine: {clock: instructions}\n")


def test_a_controls_settings_win_over_the_scenarios_own(tmp_path: Path) -> None:
    rust = SHORT.replace("{c: count_getpid}", "{rust: count}") + (
        "budget_ms: 20\ncontrols: [{without: budget, reason: for this test, "
        "set: {sysctl: {kernel.rex.budget_ms: 0}}}]\n"
    )
    own, control = items(load(tmp_path, rust))
    assert labels(own.scenario)[:2] == ["set kernel.rex.budget_ms=20", "load main"]
    assert labels(control.scenario)[:3] == [
        "set kernel.rex.budget_ms=20",
        "set kernel.rex.budget_ms=0",
        "load main",
    ]


def test_an_item_knows_whether_something_will_be_left_over(tmp_path: Path) -> None:
    said = "{without: x, boot: [nox], reason: for this test, fails: [resources]}"
    other = "{without: y, boot: [noy], reason: for this test}"
    found = items(load(tmp_path, SHORT + f"controls: [{said}, {other}]\n"))
    assert [item.keeps for item in found] == [False, True, False]


def test_values_that_are_equal_but_not_the_same_are_told_apart(tmp_path: Path) -> None:
    text = SHORT.replace("{syscall: getpid, times: 100}", '{shell: "echo ${v}"}')
    found = items(load(tmp_path, text + "parameters: {v: [1, true, 1.0]}\n"))
    lines = [
        step.trigger.shell
        for item in found
        for step in item.scenario.steps
        if isinstance(step, TriggerStep) and isinstance(step.trigger, ShellTrigger)
    ]
    assert lines == ["echo 1", "echo true", "echo 1.0"]


def test_flavors_may_be_chosen(tmp_path: Path) -> None:
    found = items(load(tmp_path, SHORT), ["rex", "rex"])
    assert [item.id for item in found] == ["termination/count@rex"]


def test_all_errors_of_a_file_at_once(tmp_path: Path) -> None:
    text = "extension: {c: 1}\nextension: {c: x}\ntimeout: 0\nexpect: {kernel: fine}\n"
    lines = [line.split(":")[0] for line in problems(tmp_path, text)]
    assert lines == ["1", "1", "1", "2", "3", "4"]
