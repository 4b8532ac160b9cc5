# SPDX-License-Identifier: GPL-2.0-only
# SPDX-License-Identifier: GPL-2.0-only
"""The judge: each expectation fires when it does not hold, and is quiet when it does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest
from harness.observations import (
    ALLOWING,
    LOAD_STEP,
    NOT_COMPILED,
    RECEIVED,
    REJECTED,
    REPORTED,
    REX,
    SHORT,
    SPOILS,
    STALLED,
    STEPS,
    TWO,
    break_attach,
    break_count,
    break_counter,
    break_interrupted,
    break_leak,
    break_load,
    break_no_second,
    break_nothing_ran,
    break_report,
    break_second,
    break_state,
    break_taint,
    break_trigger,
    break_unload,
    break_unread_leaks,
    control,
    crash,
    forging,
    good,
    good_received,
    good_rex,
    good_steps,
    one_iteration,
    protection,
    report,
    result_of,
    spoil_leaked,
    spoil_no_counters,
    spoil_released,
    spoil_repaired,
    spoil_stack,
    spoil_unread_counters,
)

from lab.errors import InfraError
from lab.extension.symbolise import Frame
from lab.judge import Judgement, judge
from lab.judge.extension_reports import ExtensionReport
from lab.judge.finding import Finding
from lab.judge.item import count_steps
from lab.judge.observation import Observation
from lab.judge.steps import step_findings
from lab.oracle import machine
from lab.oracle.console.losses import Loss
from lab.oracle.liveness import silence
from lab.oracle.rex.reports import RexReport
from lab.scenario.items import switched_off
from lab.scenario.model.base import Ref
from lab.scenario.model.scenario import Scenario
from lab.words import TOPICS, Topic


def test_all_well_passes(load: Callable[[str], Scenario]) -> None:
    scenario = load(SHORT)
    assert judge(scenario, good(scenario)) == Judgement(
        "passed", judge(scenario, good(scenario)).findings
    )


def test_what_a_module_left_comes_before_what_came_of_it(
    load: Callable[[str], Scenario],
) -> None:
    scenario = load(SHORT)
    seen = good(scenario)
    seen.left_at_unload = ["interrupt handler pf of interrupt 5 (its code is gone)"]
    assert judge(scenario, seen).verdict == "passed"  # all was freed in the end
    break_report(seen)
    seen.state, seen.leaked = "crashed", None
    cause = "resources: expected released, but left over after the unload: interrupt handler pf"
    assert judge(scenario, seen).reasons[0].startswith(cause)
    seen.infra_error = InfraError("the guest could not be asked")
    assert judge(scenario, seen).reasons[0].startswith(cause)


def test_a_named_object_comes_before_the_memory_that_it_is_made_of(
    load: Callable[[str], Scenario], monkeypatch: pytest.MonkeyPatch
) -> None:
    scenario = load(SHORT)
    seen = good(scenario)
    seen.leaked = ["/proc entry pf (its code is gone)"]
    happened = "1 object of the cache proc_dir_entry"
    memory = Finding("resources", "released", happened, False, "resources")
    monkeypatch.setattr("lab.judge.verdict.resource_findings", lambda *_: iter([memory]))
    reasons = judge(scenario, seen).reasons
    assert [reason.partition("but ")[2][:9] for reason in reasons] == ["left over", "1 object "]


def test_what_is_left_comes_before_reports(load: Callable[[str], Scenario]) -> None:
    scenario = load(SHORT)
    seen = good(scenario)
    break_report(seen)
    break_leak(seen)
    assert judge(scenario, seen).reasons[0].startswith("resources: expected released")


@pytest.mark.parametrize(
    ("breaks", "says"),
    [
        (break_state, "kernel: expected alive, but it is stalled"),
        (break_count, "outcome returned: expected 5, but it is 4"),
        (break_nothing_ran, "outcome returned"),
        (break_report, "a report: warning"),
        (break_leak, "map 7 (counts)"),
        (break_unread_leaks, "could not be read"),
        (break_taint, "tainted: W"),
        (break_counter, "counter oops"),
        (break_second, "second use"),
        (break_no_second, "second use"),
        (break_interrupted, "the connection broke"),
        (break_load, "rejected"),
        (break_attach, "no such function"),
        (break_unload, "busy"),
        (break_trigger, "the trigger failed"),
    ],
)
def test_each_fault_fails_and_is_named(
    load: Callable[[str], Scenario], breaks: Callable[[Observation], None], says: str
) -> None:
    scenario = load(SHORT)
    seen = good(scenario)
    breaks(seen)
    found = judge(scenario, seen)
    assert found.verdict == "failed"
    assert says in "\n".join(found.reasons)


def test_an_infra_error_is_an_error_whatever_else_was_seen(
    load: Callable[[str], Scenario],
) -> None:
    scenario = load(SHORT)
    seen = good(scenario)
    seen.infra_error = InfraError("no guest")
    assert judge(scenario, seen).verdict == "error"
    seen = good(scenario)
    seen.state = None
    assert judge(scenario, seen).verdict == "error"


def test_a_control_passes_only_if_the_expectation_fails(load: Callable[[str], Scenario]) -> None:
    scenario = load(SHORT)
    found = judge(scenario, good(scenario), control())
    assert found.verdict == "failed"
    assert "to fail without ledger, but all expectations held" in found.reasons[-1]
    seen = good(scenario)
    break_leak(seen)
    assert judge(scenario, seen, control()).verdict == "passed"
    seen.infra_error = InfraError("no guest")
    assert judge(scenario, seen, control()).verdict == "error"


@pytest.mark.parametrize(
    ("breaks", "topic", "by_default"),
    [
        (break_state, "kernel", True),
        (crash, "kernel", True),
        (break_report, "reports", True),
        (break_taint, "reports", True),
        (break_counter, "counters", True),
        (break_leak, "resources", True),
        (break_count, "outcome", False),
        (break_nothing_ran, "outcome", False),
        (break_second, "reusable", False),
        (break_interrupted, "steps", False),
    ],
)
def test_what_makes_a_control_pass(
    load: Callable[[str], Scenario],
    breaks: Callable[[Observation], None],
    topic: Topic,
    by_default: bool,
) -> None:
    scenario = load(SHORT)
    seen = good(scenario)
    breaks(seen)
    assert judge(scenario, seen, control()).verdict == ("passed" if by_default else "failed")
    assert judge(scenario, seen, control(topic)).verdict == "passed"
    assert judge(scenario, seen, control("bpf_objects", topic)).verdict == "passed"
    others = [other for other in TOPICS if other != topic]
    if breaks is crash:
        others = [other for other in others if other not in ("outcome", "steps")]
    elif breaks is break_nothing_ran:
        others.remove("reusable")
    assert judge(scenario, seen, control(*others)).verdict == "failed"


@pytest.mark.parametrize(
    "breaks",
    [break_load, break_attach, break_trigger, break_unload, break_no_second, break_unread_leaks],
)
def test_what_could_not_be_done_or_read_makes_no_control_pass(
    load: Callable[[str], Scenario], breaks: Callable[[Observation], None]
) -> None:
    scenario = load(SHORT)
    seen = good(scenario)
    breaks(seen)
    found = judge(scenario, seen, control(*TOPICS))
    assert found.verdict == "failed"
    assert "only other expectations failed" in found.reasons[-1]


def test_a_control_with_its_protection_on_shows_nothing(
    load: Callable[[str], Scenario],
) -> None:
    scenario = switched_off(load(SHORT), protection())
    seen = good(scenario)
    break_leak(seen)
    assert judge(scenario, seen, control()).verdict == "passed"
    result_of(seen, "set").problem = "/sys/kernel/debug/rex/unprotected can't be set to 1"
    found = judge(scenario, seen, control())
    assert found.verdict == "failed"
    assert "ledger could not be switched off" in found.reasons[-1]


def test_the_counters_of_native_programs_make_a_control_pass(
    load: Callable[[str], Scenario],
) -> None:
    scenario = load(REX)
    for spoil in (spoil_released, spoil_leaked, spoil_repaired, spoil_stack):
        seen = good_rex(scenario)
        spoil(seen)
        assert judge(scenario, seen, control()).verdict == "passed"
        assert judge(scenario, seen, control("resources")).verdict == "failed"
    seen = good_rex(scenario)
    spoil_unread_counters(seen)
    assert judge(scenario, seen, control(*TOPICS)).verdict == "failed"


def test_each_expectation_has_the_topic_of_its_key(load: Callable[[str], Scenario]) -> None:
    topics = set()
    forged = SHORT.replace("reusable: true", "reusable: true, forged: 0")
    for text in (STEPS, REX, REPORTED, REJECTED, NOT_COMPILED, RECEIVED, forged):
        scenario = load(text)
        make = {STEPS: good_steps, REX: good_rex, RECEIVED: good_received}.get(text, good)
        seen = make(scenario)
        for result in seen.first.results:
            result.log = result.compiler_log = "a log"
        topics |= {finding.topic for finding in judge(scenario, seen).findings}
    assert topics >= {*TOPICS} - {"bpf_objects", "slopes", "reports"}


def test_a_rejected_load_is_the_one_reason_and_shows_the_verifiers_words(
    load: Callable[[str], Scenario],
) -> None:
    scenario = load(SHORT)
    seen = good(scenario)
    seen.second = None
    break_load(seen)
    result_of(seen, "load").log = "0: r1 = 0\nR1 invalid mem access 'scalar'\nprocessed 2 insns\n"
    result_of(seen, "unload").problem = "main is not loaded"
    break_nothing_ran(seen)
    reasons = judge(scenario, seen).reasons
    assert "R1 invalid mem access 'scalar'" in reasons[0]
    assert "not loaded" not in "\n".join(reasons)


def test_a_rejected_load_and_its_log(load: Callable[[str], Scenario]) -> None:
    scenario = load(REJECTED)
    seen = good(scenario)
    seen.first = one_iteration(scenario, 0)
    loaded = result_of(seen, "load")
    loaded.outcomes["rejected"] = seen.first.outcomes["rejected"] = 1
    loaded.problem, loaded.log = "load: E2BIG", "BPF program is too large."
    assert judge(scenario, seen).verdict == "passed"
    loaded.log = "something else"
    assert "too large" in "\n".join(judge(scenario, seen).reasons)
    loaded.log = "BPF program is too large."
    seen.first.outcomes.clear()
    assert judge(scenario, seen).verdict == "failed"


def test_a_load_that_the_verifier_did_not_see_is_not_rejected(
    load: Callable[[str], Scenario],
) -> None:
    scenario = load(REJECTED)
    seen = good(scenario)
    seen.first = one_iteration(scenario, 0)
    loaded = result_of(seen, "load")
    loaded.problem = "map: x.bpf.o: not loaded: libbpf: map 'seen': failed to create"
    loaded.stage, loaded.errname = "map", "EINVAL"
    (reason,) = judge(scenario, seen).reasons
    assert "expected to be rejected, but map: x.bpf.o: not loaded: libbpf: map 'seen'" in reason


def test_what_the_compiler_refuses_is_not_rejected(load: Callable[[str], Scenario]) -> None:
    for text, happens, verdict in (
        (NOT_COMPILED, "not_compiled", "passed"),
        (NOT_COMPILED, "rejected", "failed"),
        (REJECTED, "not_compiled", "failed"),
        (SHORT, "not_compiled", "failed"),
    ):
        scenario = load(text)
        seen = good(scenario)
        seen.first, seen.second = one_iteration(scenario, 0), None
        loaded = result_of(seen, "load")
        loaded.outcomes[happens] = seen.first.outcomes[happens] = 1
        loaded.problem = "it did not come to be loaded"
        loaded.log = loaded.compiler_log = "stack limit, too large"
        assert judge(scenario, seen).verdict == verdict, (text, happens)


def test_a_log_that_is_not_there_excludes_nothing(load: Callable[[str], Scenario]) -> None:
    scenario = load("""
        summary: The log does not complain
        extension: {c: count}
        steps:
          - load: main
            expect: {verifier_log: {excludes: invalid}}
          - unload: main
        expect: {verifier_log: {excludes: invalid}}
    """)
    for log, verdict in (("processed 2 insns", "passed"), ("", "failed"), ("invalid", "failed")):
        seen = good(scenario)
        seen.first = one_iteration(scenario, 0)
        result_of(seen, "load").log = log
        assert judge(scenario, seen).verdict == verdict


def test_a_steps_compiler_log_that_is_not_there_excludes_nothing(
    load: Callable[[str], Scenario],
) -> None:
    scenario = load("""
        summary: The compiler refuses it for one reason only
        extension: {c: count}
        steps:
          - load: main
            expect: {outcome: not_compiled, compiler_log: {excludes: warning}}
        expect: {outcome: not_compiled, compiler_log: {contains: stack limit}}
    """)
    for log, holds in (("stack limit", True), ("", False), ("warning", False)):
        result = result_of(good(scenario), "load")
        result.outcomes["not_compiled"], result.compiler_log = 1, log
        assert all(finding.holds for finding in step_findings(result)) == holds


def test_a_control_needs_the_verifiers_word_and_no_other_failure(
    load: Callable[[str], Scenario],
) -> None:
    scenario = load(REJECTED.replace(", verifier_log: {contains: too large}", ""))
    for problem, verdict in (("", "passed"), ("map: not loaded: libbpf: no memory", "failed")):
        seen = good(scenario)
        seen.first = one_iteration(scenario, 0)
        result_of(seen, "load").problem = problem
        assert judge(scenario, seen, control("outcome")).verdict == verdict


@pytest.mark.parametrize(
    ("expect", "stage", "errname", "program", "verdict"),
    [
        ("{error: EINVAL}", "verify", "EINVAL", "p", "passed"),
        # The same number from elsewhere is another error.
        ("{error: EINVAL}", "map", "EINVAL", "", "failed"),
        ("{error: EINVAL}", "open", "EINVAL", "", "failed"),
        ("{error: EINVAL, stage: map}", "map", "EINVAL", "", "passed"),
        ("{error: EINVAL, stage: map}", "map", "EPERM", "", "failed"),
        ("{error: EINVAL, stage: map}", "relocate", "EINVAL", "", "failed"),
        ("{stage: relocate}", "relocate", "ESRCH", "", "passed"),
        ("{stage: relocate}", "", "", "", "failed"),
        ("{outcome: rejected}", "verify", "EBUSY", "p", "passed"),
        ("{outcome: rejected}", "load", "EBUSY", "p", "failed"),
        ("{outcome: rejected, program: p}", "verify", "EACCES", "p", "passed"),
        ("{outcome: rejected, program: p}", "verify", "EACCES", "other", "failed"),
        ("{outcome: rejected, error: EBUSY}", "verify", "EACCES", "p", "failed"),
    ],
)
def test_a_load_fails_where_it_is_expected_to(
    load: Callable[[str], Scenario],
    expect: str,
    stage: str,
    errname: str,
    program: str,
    verdict: str,
) -> None:
    scenario = load(LOAD_STEP.replace("EXPECT", expect))
    seen = good(scenario)
    seen.first = one_iteration(scenario, 0)
    loaded = result_of(seen, "load")
    loaded.stage, loaded.errname = stage, errname
    if stage:
        loaded.problem = f"{stage}: not loaded"
    if stage == "verify":
        loaded.outcomes["rejected"], loaded.rejected = 1, program
    assert judge(scenario, seen).verdict == verdict


def test_an_attachment_fails_where_it_is_expected_to(load: Callable[[str], Scenario]) -> None:
    scenario = load("""
        summary: An attachment that fails
        extensions: {a: {c: count}}
        steps:
          - load: a
          - attach: {extension: a, program: p, to: "kprobe:nothing"}
            expect: {error: ENOENT}
          - unload: a
        expect: {}
    """)
    for stage, verdict in (("attach", "passed"), ("command", "failed")):
        seen = good(scenario)
        seen.first = one_iteration(scenario, 0)
        attached = result_of(seen, "attach")
        attached.stage, attached.errname = stage, "ENOENT"
        attached.problem = f"{stage}: a has no program p"
        assert judge(scenario, seen).verdict == verdict, stage


def test_what_another_extension_did_wrong_is_said_too(load: Callable[[str], Scenario]) -> None:
    scenario = load("""
        summary: Two extensions
        extensions: {a: {c: count}, b: {c: count}}
        steps:
          - load: a
          - load: b
          - trigger: {run: a.prog}
            expect: {returns: 1}
          - trigger: {run: b.prog}
            expect: {returns: 2}
          - unload: b
          - unload: a
        expect: {}
    """)
    seen = good(scenario)
    seen.first = one_iteration(scenario, 0)
    seen.first.results[0].problem = "relocate: not loaded: libbpf: no such function"
    for result in seen.first.results:
        if result.step.verb == "trigger":
            result.returns = 1
    seen.first.results[-1].problem = "a is not loaded"
    reasons = judge(scenario, seen).reasons
    assert len(reasons) == 2
    assert "libbpf: no such function" in reasons[0]
    assert "run b.prog" in reasons[1]


def test_a_stall_needs_its_report_and_allows_no_other(load: Callable[[str], Scenario]) -> None:
    scenario = load(STALLED)
    seen = good(scenario)
    seen.state = "stalled"
    seen.evidence = [silence("0" * 16, 2, "no answer", 4.0)]
    seen.reports = [report("soft-lockup"), report("rcu-stall")]
    assert judge(scenario, seen).verdict == "passed"
    seen.reports = [report("rcu-stall")]
    assert "soft-lockup" in "\n".join(judge(scenario, seen).reasons)
    seen.reports = [report("soft-lockup"), report("list-corruption")]
    assert "list-corruption" in "\n".join(judge(scenario, seen).reasons)
    seen.reports = [report("soft-lockup")]
    seen.state = "alive"
    assert judge(scenario, seen).verdict == "failed"


@pytest.mark.parametrize(
    ("event", "said", "verdict"),
    [
        ("GUEST_PANICKED", None, "passed"),
        ("guest-reset", None, "passed"),
        ("guest-shutdown", None, "failed"),
        # A program can print what it likes before it switches the machine off.
        ("guest-shutdown", "panic", "failed"),
    ],
)
def test_a_guest_that_switches_itself_off_did_not_crash(
    load: Callable[[str], Scenario], event: str, said: str | None, verdict: str
) -> None:
    scenario = load(STALLED.replace("stalled, reports: [soft-lockup]", "crashed"))
    seen = good(scenario)
    seen.state = "crashed"
    name = event if event.isupper() else "SHUTDOWN"
    data = {"action": "poweroff"} if event.isupper() else {"reason": event, "guest": True}
    seen.evidence = machine.evidence([(name, data, 1.0)], None, "")
    seen.reports = [report(said)] if said else []
    assert judge(scenario, seen).verdict == verdict


def test_steps_that_hold(load: Callable[[str], Scenario]) -> None:
    scenario = load(STEPS)
    found = judge(scenario, good_steps(scenario))
    assert found.verdict == "passed", found.reasons


@pytest.mark.parametrize(("spoil", "says"), SPOILS)
def test_steps_that_do_not_hold(
    load: Callable[[str], Scenario], spoil: Callable[[Observation], None], says: str
) -> None:
    scenario = load(STEPS)
    seen = good_steps(scenario)
    spoil(seen)
    found = judge(scenario, seen)
    assert found.verdict == "failed"
    assert says in "\n".join(found.reasons)


@pytest.mark.parametrize(
    ("bound", "returned", "verdict"),
    [
        ("-1", 4_294_967_295, "passed"),
        ("-1", 1, "failed"),
        ("{at_most: -1}", 4_294_967_286, "passed"),
        ("{at_most: -1}", 0, "failed"),
        ("{at_least: -5}", 4_294_967_290, "failed"),
        ("4294967295", 4_294_967_295, "passed"),
        ("{at_least: 0}", 4_294_967_295, "passed"),
    ],
)
def test_a_negative_number_that_a_program_returns(
    load: Callable[[str], Scenario], bound: str, returned: int, verdict: str
) -> None:
    scenario = load(STEPS.replace("returns: 4", f"returns: {bound}"))
    seen = good_steps(scenario)
    result_of(seen, "trigger").returns = returned
    assert judge(scenario, seen).verdict == verdict


def test_what_failed_after_another_extension_was_rejected_is_reported(
    load: Callable[[str], Scenario],
) -> None:
    scenario = load(TWO)
    seen = good(scenario)
    break_load(seen)
    trigger = result_of(seen, "trigger")
    trigger.returns, trigger.maps = 1, {Ref("b", "counts"): {0: 7}}
    for verb in ("attach", "read"):
        result_of(seen, verb).problem = "a is not loaded"
    seen.first.results[-1].problem = "a is not loaded"
    seen.first.maps = {Ref("b", "counts"): {0: 7}}
    reasons = judge(scenario, seen).reasons
    assert "rejected" in reasons[0]
    assert reasons[1:] == (
        "step 4 (trigger run b.prog): returned value: expected 2, but it is 1",
        "step 4 (trigger run b.prog): b.counts[0]: expected 1, but it is 7",
        "maps: b.counts[0]: expected 1, but it is 7",
    )


def test_packets_are_counted_by_who_receives_them(load: Callable[[str], Scenario]) -> None:
    scenario = load(RECEIVED)
    found = judge(scenario, good_received(scenario))
    assert found.verdict == "passed", found.reasons
    seen = good_received(scenario)
    seen.first.results[1].received = 5
    assert judge(scenario, seen).reasons == (
        "step 2 (blocked): received: expected 0, but it is 5",
        "received: expected 5, but it is 10",
    )
    for number in (1, 2):
        seen = good_received(scenario)
        seen.first.results[number].received = None
        assert len(judge(scenario, seen).reasons) == 2, "what was not counted is not nothing"


def test_the_counters_of_native_programs_are_those_of_the_first_use(
    load: Callable[[str], Scenario],
) -> None:
    scenario = load(REX)
    found = judge(scenario, good_rex(scenario))
    assert found.verdict == "passed", found.reasons


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (spoil_released, "rex: released_spin_lock: expected 1, but it is 2"),
        (spoil_leaked, "rex: leaked_task: expected at most 0, but it is 1"),
        (spoil_no_counters, "rex: released_spin_lock: expected 1, but there is none"),
        (spoil_unread_counters, "rex: released_spin_lock: expected 1, but there is none"),
        (spoil_repaired, "rex: repaired"),
        (spoil_stack, "rex: stacks: expected 1024 bytes of each stack never to be used, but there"),
    ],
)
def test_the_counters_of_native_programs_that_do_not_hold(
    load: Callable[[str], Scenario], spoil: Callable[[Observation], None], says: str
) -> None:
    scenario = load(REX)
    seen = good_rex(scenario)
    spoil(seen)
    found = judge(scenario, seen)
    assert found.verdict == "failed"
    assert says in "\n".join(found.reasons)


def test_a_repair_that_is_expected_is_none_to_complain_of(load: Callable[[str], Scenario]) -> None:
    scenario = load(REX.replace("leaked_task: {at_most: 0}", "repaired: 1"))
    seen = good_rex(scenario)
    seen.rex = {"released_spin_lock": 1, "repaired": 1}
    seen.rex_total = {"released_spin_lock": 2, "repaired": 2}
    assert judge(scenario, seen).verdict == "passed"
    seen.rex["repaired"] = 0
    assert judge(scenario, seen).verdict == "failed"


def test_a_report_on_a_program_and_its_lines(load: Callable[[str], Scenario]) -> None:
    scenario = load(REPORTED)
    seen = good(scenario)
    assert "extension report" in "\n".join(judge(scenario, seen).reasons)
    panic = RexReport("deep", 7, "panicked", 1, "no", "src/lib.rs:9", (0x10,))
    fault = RexReport("deep", 7, "faulted", 1, "page fault at 0x0")
    named = ExtensionReport(panic, None, (Frame(0x10, "panics::deep", "src/lib.rs", 9),))
    seen.extension_reports = [named]
    found = judge(scenario, seen)
    assert found.verdict == "passed", found.reasons
    seen.extension_reports = [named, ExtensionReport(fault)]
    assert "it contains 'faulted'" in "\n".join(judge(scenario, seen).reasons)
    seen.extension_reports = [ExtensionReport(panic, None, (Frame(0x10),))]
    assert "panics::deep" in "\n".join(judge(scenario, seen).reasons)


def test_reports_on_programs_are_counted(load: Callable[[str], Scenario]) -> None:
    text = """
        summary: It takes too long, and each time that is said once
        extension: {rust: panics}
        trigger: {syscall: getpid}
        expect: {extension_report: {count: 2}}
    """
    scenario = load(text)
    seen = good(scenario)
    one = ExtensionReport(RexReport("deep", 7, "terminated", 1, "ran for more than 10 ms"))
    seen.extension_reports = [one, one]
    assert judge(scenario, seen).verdict == "passed"
    for wrong in ([one], [one] * 3):
        seen.extension_reports = wrong
        verdict = judge(scenario, seen)
        assert verdict.verdict == "failed"
        assert f"extension reports: expected 2, but it is {len(wrong)}" in verdict.reasons[0]


def test_too_few_reports_where_the_kernel_counted_more_have_a_reason(
    load: Callable[[str], Scenario],
) -> None:
    scenario = load("""
        summary: It takes too long, and each time that is said once
        extension: {rust: panics}
        trigger: {syscall: getpid}
        expect: {extension_report: {count: 100}}
    """)
    seen = good(scenario)
    one = ExtensionReport(RexReport("deep", 7, "terminated", 1, "ran for more than 10 ms"))
    reason = "; the kernel prints at most 40 in 5 seconds: use outcome for all"

    def said(reports: int, **counts: int) -> str:
        seen.extension_reports = [one] * reports
        seen.rex_total = {"runs": 900, "returned": 800, **counts}  # type: ignore[dict-item]
        return judge(scenario, seen).reasons[0]

    wrong = "extension reports: expected 100, but it is 40"
    assert said(40, terminated=60, panicked=20, faulted=10, overflowed=10) == wrong + reason
    assert said(40, terminated=40) == wrong, "as many as the kernel counted"
    assert said(101, terminated=200) == "extension reports: expected 100, but it is 101"
    assert said(0, panicked=1).endswith(reason)
    seen.rex_total = None
    assert not judge(scenario, seen).reasons[0].endswith(reason)


@pytest.mark.parametrize(("outcomes", "end"), [
    ({}, "it is 0 (no program ran)"),
    ({"overflowed": 1}, "it is 0 (overflowed 1)"),
    ({"panicked": 2, "returned": 3, "faulted": 0}, "it is 0 (returned 3, panicked 2)"),
    ({"terminated": 2}, "it is 2"),
    ({"terminated": 2, "returned": 1}, "it is 2 (returned 1)"),
])  # fmt: skip
def test_a_wrong_outcome_says_what_there_was_instead(
    load: Callable[[str], Scenario], outcomes: dict[str, int], end: str
) -> None:
    text = """
        summary: It takes too long
        extension: {rust: panics}
        steps:
          - load: main
          - trigger: {syscall: getpid}
            expect: {outcome: {terminated: 1}}
          - unload: main
        expect: {outcome: {terminated: 1}}
    """
    scenario = load(text)
    seen = good(scenario)
    seen.first.outcomes = Counter(outcomes)
    trigger = result_of(seen, "trigger")
    trigger.outcomes = Counter(outcomes)
    of_the_step, of_all = judge(scenario, seen).reasons[:2]
    assert (
        of_the_step == f"step 2 ({trigger.step.label}): outcome terminated: expected 1, but {end}"
    )
    assert of_all == f"outcome terminated: expected 1, but {end}"


def test_what_was_not_counted_is_not_called_nothing(load: Callable[[str], Scenario]) -> None:
    scenario = load(SHORT)
    seen = good(scenario)
    seen.first.outcomes.clear()
    seen.first.interrupted = "step 3: the connection broke"
    reasons = judge(scenario, seen).reasons
    assert "outcome returned: expected 5, but it is 0" in reasons


def test_an_oops_wins_over_what_could_not_be_read(load: Callable[[str], Scenario]) -> None:
    scenario = load(SHORT)
    seen = good(scenario)
    seen.infra_error = InfraError("the BPF objects can't be read")
    assert judge(scenario, seen).verdict == "error"
    seen.reports = [report("oops")]
    verdict = judge(scenario, seen)
    assert verdict.verdict == "failed"
    assert "a report: oops" in verdict.reasons[0]
    assert "the BPF objects can't be read" in verdict.reasons[1]


def test_a_crash_wins_over_what_could_not_be_read(load: Callable[[str], Scenario]) -> None:
    scenario = load(SHORT)
    seen = good(scenario)
    seen.infra_error, seen.state = InfraError("the BPF objects can't be read"), "crashed"
    assert judge(scenario, seen).verdict == "failed"


def test_lost_text_is_an_error_unless_something_is_certain(load: Callable[[str], Scenario]) -> None:
    scenario = load(SHORT)
    seen = good(scenario)
    seen.losses = [Loss(7, 1.0, "the console skipped 812 messages")]
    found = judge(scenario, seen)
    assert found.verdict == "error"
    assert "line 7: the console skipped 812 messages" in found.reasons[0]
    assert judge(scenario, seen, control()).verdict == "error"
    seen.reports = [report("oops")]
    assert judge(scenario, seen).verdict == "failed"


@pytest.mark.parametrize(
    ("expected", "count", "verdict"),
    [("0", 0, "passed"), ("0", 1, "failed"), ("{at_least: 1}", 1, "passed"), ("2", 1, "failed")],
)
def test_forgeries_are_held_to_their_bound(
    load: Callable[[str], Scenario], expected: str, count: int, verdict: str
) -> None:
    scenario = load(SHORT.replace("reusable: true", f"reusable: true, forged: {expected}"))
    seen = good(scenario)
    forging(seen, count)
    found = judge(scenario, seen)
    assert found.verdict == verdict
    if verdict == "failed":
        assert "a program wrote it to /dev/kmsg" in found.reasons[0]


def test_forgeries_fail_nothing_that_does_not_ask(load: Callable[[str], Scenario]) -> None:
    scenario = load(SHORT)
    seen = good(scenario)
    forging(seen, 3)
    assert judge(scenario, seen).verdict == "passed"


def test_too_many_forgeries_are_certain(load: Callable[[str], Scenario]) -> None:
    for expected, verdict in (("0", "failed"), ("{at_least: 1}", "error"), ("3", "error")):
        scenario = load(SHORT.replace("reusable: true", f"reusable: true, forged: {expected}"))
        seen = good(scenario)
        forging(seen, 1)
        seen.infra_error = InfraError("the guest is gone")
        assert judge(scenario, seen).verdict == verdict


@pytest.mark.parametrize(
    ("kind", "taint", "verdict"),
    [
        ("warning", "W", "passed"),
        ("warning", "D", "failed"),
        ("warning", "WB", "failed"),
        ("oops", "D", "passed"),
        ("soft-lockup", "L", "passed"),
        ("hung-task", "W", "failed"),
    ],
)
def test_an_allowed_report_explains_its_own_taint_only(
    load: Callable[[str], Scenario], kind: str, taint: str, verdict: str
) -> None:
    scenario = load(ALLOWING.replace("KIND", kind))
    seen = good(scenario)
    seen.taint = taint
    assert judge(scenario, seen).verdict == verdict


@pytest.mark.parametrize("kind", ["kasan", "ubsan", "kfence", "sleeping-in-atomic"])
def test_what_the_kernel_counts_as_a_warning(load: Callable[[str], Scenario], kind: str) -> None:
    scenario = load(ALLOWING.replace("KIND", kind))
    seen = good(scenario)
    seen.counters = {"oops": 0, "warn": 1}
    assert judge(scenario, seen).verdict == "passed"


def test_a_step_without_a_result_is_missed(load: Callable[[str], Scenario]) -> None:
    scenario = load(STEPS)
    seen = good_steps(scenario)
    seen.first.results = seen.first.results[:-1]
    assert judge(scenario, seen).reasons == ("steps: expected results of 5, but there are 4",)


def test_the_results_of_repetitions_are_counted(load: Callable[[str], Scenario]) -> None:
    scenario = load("""
        summary: Again and again
        extensions: {a: {c: count}}
        steps:
          - repeat: {times: 3, steps: [{shell: a}, {repeat: {times: 2, steps: [{shell: b}]}}]}
          - load: a
          - shell: "true"
            expect: {status: 0}
          - unload: a
        expect: {kernel: alive}
    """)
    assert count_steps(scenario.steps) == 1 + 3 * (2 + 2) + 3


def test_a_stall_before_a_step_that_expects_something_is_too_early(
    load: Callable[[str], Scenario],
) -> None:
    scenario = load(STALLED)
    seen = good(scenario)
    seen.state, seen.reports = "stalled", [report("soft-lockup")]
    seen.first.interrupted = "step 3: the connection broke"
    assert judge(scenario, seen).verdict == "passed"
    seen.first.results = seen.first.results[:1]
    seen.first.interrupted = "step 1: the connection broke"
    assert judge(scenario, seen).reasons == (
        "step 3 (wait_for soft-lockup): expected to be done, but step 1: the connection broke",
    )


def test_taint_that_was_not_read_is_not_none(load: Callable[[str], Scenario]) -> None:
    scenario = load(SHORT)
    seen = good(scenario)
    seen.taint = None
    assert judge(scenario, seen).reasons == ("taint: expected to be read, but it could not be",)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (
            REPORTED.replace('contains: ["panicked on CPU", "#0 panics::deep at src/lib.rs"]', "")
            .replace("matches:", "#"),
            "extension report",
        ),
        (REJECTED.replace("contains", "excludes"), "verifier log"),
    ],
)  # fmt: skip
def test_what_a_text_excludes_is_in_no_empty_text(
    load: Callable[[str], Scenario], text: str, what: str
) -> None:
    scenario = load(text)
    wrong = f"{what}: expected the text that is asked for, but there is none"
    assert wrong in judge(scenario, good(scenario)).reasons


def test_no_report_is_well_where_reports_are_counted(load: Callable[[str], Scenario]) -> None:
    scenario = load(REX.replace("outcome:", "extension_report: {count: 0, excludes: x}\n      #"))
    assert judge(scenario, good_rex(scenario)).verdict == "passed"


def test_a_second_use_is_held_to_the_same_numbers(load: Callable[[str], Scenario]) -> None:
    scenario = load(SHORT.replace("{returned: 5}", "{returned: 5}, maps: {counts: {0: 5}}"))
    maps: dict[Ref, dict[int | str, int | None]] = {Ref("main", "counts"): {0: 5}}
    seen = good(scenario)
    assert seen.second is not None
    seen.first.maps, seen.second.maps = dict(maps), dict(maps)
    assert judge(scenario, seen).verdict == "passed"
    seen.second.outcomes["returned"] = 4
    seen.second.maps = {}
    assert judge(scenario, seen).reasons == (
        "second use, outcome returned: expected 5, but it is 4",
        "second use, maps: main.counts[0]: expected 5, but there is none",
    )


def test_a_trigger_in_the_background_has_to_end_before_it_can_hold(
    load: Callable[[str], Scenario],
) -> None:
    scenario = load("""
        summary: Nothing faults while it runs
        extensions: {a: {c: count}}
        steps:
          - load: a
          - trigger: {syscall: getpid, background: true}
            expect: {outcome: {faulted: 0}}
          - unload: a
        expect: {outcome: returned}
    """)
    seen = good(scenario)
    trigger = result_of(seen, "trigger")
    assert "it was not waited for" in "\n".join(judge(scenario, seen).reasons)
    trigger.status = 0
    assert judge(scenario, seen).verdict == "passed"


def test_a_shell_line_that_could_not_be_run_has_no_status(load: Callable[[str], Scenario]) -> None:
    scenario = load(STEPS)
    seen = good_steps(scenario)
    result_of(seen, "shell").problem = "it was stopped"
    assert "expected it to succeed, but it was stopped" in "\n".join(judge(scenario, seen).reasons)
