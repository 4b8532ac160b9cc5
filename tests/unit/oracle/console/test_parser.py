# SPDX-License-Identifier: GPL-2.0-only
"""The console oracle on what no log of the corpus has: mixes, cuts, kinds of other kernels."""

from __future__ import annotations

import itertools

import pytest
from harness.paths import GOLDEN
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.oracle.console.lines import Shape
from lab.oracle.console.parser import Parser, parse
from lab.oracle.console.reports import Report, evidence
from lab.words import ReportKind

CORPUS = GOLDEN / "console"
USUAL = Shape(priority=False, stamp=True, caller=True)


def log(*lines: str, caller: str = "T1", start: float = 5.0) -> bytes:
    """Lines as the kernel prints them, a millisecond apart."""
    return b"".join(
        f"[{start + number / 1000:12.6f}][{caller:>6}] {text}\r\n".encode()
        for number, text in enumerate(lines)
    )


def kinds(data: bytes) -> list[str]:
    return [report.kind for report in parse(data, USUAL)]


def only(data: bytes) -> Report:
    (report,) = parse(data, USUAL)
    return report


OOPS = (
    "BUG: kernel NULL pointer dereference, address: 0000000000000008",
    "#PF: supervisor read access in kernel mode",
    "Oops: Oops: 0000 [#1] PREEMPT SMP",
    "CPU: 1 UID: 0 PID: 77 Comm: two words Tainted: G           O       6.12.117 #1",
    "RIP: 0010:broken_thing+0x1d/0x30",
    "Call Trace:",
    " <TASK>",
    " caller_of_it+0x10/0x20",
    " </TASK>",
    "---[ end trace 0000000000000000 ]---",
)


# Kinds that the corpus can't have: this lab's stock kernel lacks the detector,
# or an older kernel words it otherwise.
@pytest.mark.parametrize(
    ("lines", "kind", "title"),
    [
        (
            ["BUG: KASAN: slab-out-of-bounds in reader+0x12/0x30 [mod]", "Read of size 4 at addr"],
            "kasan",
            "KASAN: slab-out-of-bounds in reader",
        ),
        (
            ["BUG: KFENCE: use-after-free read in reader+0x12/0x30", ""],
            "kfence",
            "KFENCE: use-after-free read in reader",
        ),
        (
            ["------------[ cut here ]------------", "UBSAN: shift-out-of-bounds in a.c:1:2"],
            "ubsan",
            "UBSAN: shift-out-of-bounds",
        ),
        (["UBSAN: negation-overflow in a.c:1:2"], "ubsan", "UBSAN: negation-overflow"),
        (
            ["WARNING: possible circular locking dependency detected", "6.12.117 #1 Not tainted"],
            "lockdep",
            "lockdep: possible circular locking dependency detected",
        ),
        (["WARNING: sh/12 still has locks held!"], "lockdep", "lockdep: still has locks held"),
        (["[ BUG: Invalid wait context ]"], "lockdep", "lockdep: Invalid wait context"),
        (
            ["BUG: sleeping function called from invalid context at kernel/a.c:12"],
            "sleeping-in-atomic",
            "sleeping function called in atomic context",
        ),
        (
            ["BUG: unable to handle kernel paging request at ffffc90000000000"],
            "page-fault",
            "page fault",
        ),
        (
            ["general protection fault, probably for non-canonical address 0x1: 0000 [#1] SMP"],
            "general-protection",
            "general protection fault",
        ),
        (["divide error: 0000 [#1] PREEMPT SMP"], "oops", "divide error"),
        (["Oops: control protection: 0003 [#1] SMP"], "oops", "control protection"),
        (["NMI watchdog: Watchdog detected hard LOCKUP on cpu 3"], "hard-lockup", "hard lockup"),
        (["BUG: soft lockup - CPU#3 stuck for 22s! [a:1]"], "soft-lockup", "soft lockup"),
        (
            ["rcu: INFO: rcu_sched detected expedited stalls on CPUs/tasks: { 1-... }"],
            "rcu-stall",
            "RCU stall",
        ),
        (
            ["INFO: task a b:12 blocked in I/O wait for more than 22 seconds."],
            "hung-task",
            "hung task",
        ),
        (
            ["Memory cgroup out of memory: Killed process 12 (a) total-vm:1kB"],
            "oom",
            "out of memory",
        ),
        (["BUG: Bad page state in process sh  pfn:0a1b2"], "other-splat", "Bad page state"),
        (["BUG: KCSAN: data-race in a / b"], "other-splat", "KCSAN: data-race"),
        (["BUG: something new"], "other-splat", "something new"),
        (["kernel BUG at mm/slub.c:1!"], "bug", "kernel BUG"),
        (["Oops: Oops: 0002 [#1] PREEMPT SMP"], "page-fault", "page fault"),
        (["------------[ cut here ]------------"], "other-splat", "report cut short"),
    ],
)  # fmt: skip
def test_opening_gives_kind_and_title(lines: list[str], kind: ReportKind, title: str) -> None:
    report = only(log(*lines))
    assert (report.kind, report.title) == (kind, title)


@pytest.mark.parametrize(
    "text",
    [
        "DEBUG: none",
        "ladybug BUG: none",
        "cp: cannot stat 'Oops: 0000 [#1]'",
        "kextlab: WARNING: CPU: 1 PID: 1 at x",
        "warning: process `a' used the deprecated sysctl system call",
        "traps: trap[55] general protection fault ip:401664 sp:7ffde82eaa60 error:0",
        "trap[53]: segfault at 0 ip 0000000000401683 sp 00007fff7ada6b50 error 4",
        "faults: loading out-of-tree module taints kernel.",
        "rcu: Hierarchical RCU implementation.",
        "rcu: \tRCU CPU stall warnings timeout set to 8 (rcu_cpu_stall_timeout).",
        "INFO: NMI handler (perf_event_nmi_handler) took too long to run: 9.798 msecs",
        "INFO: lockdep is turned off.",
        "Uhhuh. NMI received for unknown reason 21 on CPU 0.",
        "workqueue: do_free_init hogged CPU for >10000us 4 times",
        "sched: DL replenish lagged too much",
        "clocksource: timekeeping watchdog on CPU1: Marking clocksource 'tsc' as unstable",
        "panic=-1 is on the command line",
        "WARNING: can't access registers at asm_sysvec_apic_timer_interrupt+0x16/0x20",
        "watchdog: Delayed init of the lockup detector failed: -19",
        "oom_reaper: reaped process 52 (tail), now anon-rss:0kB",
    ],
)
def test_harmless_line_gives_no_report(text: str) -> None:
    assert kinds(log(text)) == []


def test_oops_is_read_in_full() -> None:
    report = only(log(*OOPS, caller="T77"))
    assert report.kind == "page-fault"
    assert report.kinds == {"page-fault", "oops"}
    assert report.title == "NULL pointer dereference in broken_thing"
    assert (report.cpu, report.task, report.caller) == (1, "two words:77", "T77")
    assert report.complete
    assert report.lines[-1].startswith("---[ end trace")


def test_two_cpus_at_once_are_told_apart() -> None:
    one = log(*OOPS, caller="T77").splitlines(keepends=True)
    other = log(*[line.replace("broken", "other") for line in OOPS], caller="C0")
    mixed = [
        line for pair in zip(one, other.splitlines(keepends=True), strict=True) for line in pair
    ]
    found = parse(b"".join(mixed), USUAL)
    assert [report.function for report in found] == ["broken_thing", "other_thing"]
    assert all(len(report.lines) == len(OOPS) for report in found)


def test_back_to_back_reports_are_two() -> None:
    assert kinds(log(*OOPS, *OOPS)) == ["page-fault", "page-fault"]


def test_second_oops_inside_the_first_is_a_report_of_its_own() -> None:
    assert kinds(log(*OOPS[:6], *OOPS)) == ["page-fault", "page-fault"]


def test_report_cut_off_by_the_end_is_there_and_says_so() -> None:
    report = only(log(*OOPS[:5]))
    assert report.title == "NULL pointer dereference in broken_thing"
    assert not report.complete


def test_report_ends_when_the_kernel_goes_on_much_later() -> None:
    report = only(log(*OOPS[:8]) + log("unrelated", start=60.0))
    assert "unrelated" not in report.text
    assert not report.complete


def test_reports_are_visible_while_they_come() -> None:
    parser = Parser(USUAL)
    assert parser.feed(log(*OOPS[:3]), at=7.5) == []
    (report,) = parser.reports
    assert (report.kind, report.complete, report.at) == ("page-fault", False, 7.5)


def test_kind_of_a_cut_report_is_open_until_a_line_tells() -> None:
    parser = Parser(USUAL)
    parser.feed(log("------------[ cut here ]------------", "some text"))
    assert [report.kind for report in parser.reports] == ["other-splat"]
    parser.feed(log("WARNING: CPU: 0 PID: 1 at a.c:1 checker+0x1/0x2", start=5.002))
    assert [report.title for report in parser.reports] == ["WARNING in checker"]


def test_list_corruption_is_no_mere_warning() -> None:
    data = log(
        "------------[ cut here ]------------",
        "list_del corruption. prev->next should be ffff888003240000, but was 0000000000000000.",
        "WARNING: CPU: 0 PID: 1 at lib/list_debug.c:62 __list_del_entry_valid_or_report+0x1/0x2",
        "RIP: 0010:__list_del_entry_valid_or_report+0x1/0x2",
        " <TASK>",
        " remover+0x1/0x2",
        " </TASK>",
        "---[ end trace 0000000000000000 ]---",
    )
    assert only(data).title == "list corruption (list_del) in remover"
    assert kinds(data) == ["list-corruption"]


STALL = (
    "watchdog: BUG: soft lockup - CPU#1 stuck for 22s! [test:9]",
    "CPU: 1 UID: 0 PID: 9 Comm: test Not tainted 6.12.117 #1",
    "RIP: 0010:bpf_prog_0123456789abcdef_body+0x10/0x20",
    "Call Trace:",
    " <TASK>",
    " bpf_loop+0x5a/0xb0",
    " bpf_prog_fedcba9876543210_main+0x30/0x40",
    " trace_call_bpf+0x10/0x20",
    " </TASK>",
)


def test_a_stalled_program_is_named_by_its_main_function() -> None:
    # Where the loop was interrupted, and whether bpf_loop was inlined, is chance.
    inlined = [line for line in STALL if "bpf_loop" not in line]
    in_helper = [line for line in STALL if "_body" not in line]
    for lines in (STALL, inlined, in_helper):
        assert only(log(*lines, caller="C1")).title == "soft lockup in bpf program main"


def test_a_program_that_ran_inside_another_is_named_itself() -> None:
    lines = [*STALL[:-1], " bpf_prog_00112233445566aa_outermost+0x1/0x2", " </TASK>"]
    assert only(log(*lines, caller="C1")).title == "soft lockup in bpf program main"


def test_an_oops_in_a_program_is_named_by_the_program() -> None:
    lines = [*OOPS]
    lines[4] = "RIP: 0010:bpf_prog_0123456789abcdef_body+0x10/0x20"
    assert only(log(*lines)).title == "NULL pointer dereference in bpf program body"


def test_backtrace_that_a_detector_asked_for_belongs_to_its_report() -> None:
    sent = "Sending NMI from CPU 0 to CPUs 1:"
    data = (
        log("watchdog: Watchdog detected hard LOCKUP on cpu 1", sent, caller="C0")
        + log("NMI backtrace for cpu 1", "RIP: 0010:spinner+0x1/0x2", caller="C1", start=5.01)
        + log("unrelated", caller="C1", start=5.02)
    )
    report = only(data)
    assert report.title == "hard lockup in spinner"
    assert "unrelated" not in report.text


def test_backtrace_that_a_person_asked_for_is_no_finding() -> None:
    parser = Parser(USUAL)
    parser.feed(
        log("sysrq: Show backtrace of all active CPUs")
        + log("NMI backtrace for cpu 1", "RIP: 0010:worker_of_mine+0x1/0x2", caller="C1")
    )
    parser.finish()
    assert parser.reports == ()
    assert [(trace.cpu, trace.function) for trace in parser.backtraces] == [(1, "worker_of_mine")]


def test_a_program_that_prints_an_oops_is_marked_and_believed_in_nothing() -> None:
    parser = Parser(USUAL)
    parser.feed("".join(f"{line}\n" for line in OOPS).encode())
    parser.finish()
    assert parser.reports == ()
    assert len(parser.forgeries) == 2


def test_a_program_cannot_blind_the_parser_by_chatter() -> None:
    chatter = b"".join(b"BUG: no %d\n" % number for number in range(5000))
    real = log(*OOPS).splitlines(keepends=True)
    data = b"".join(line + chatter[:200] for line in real)
    assert kinds(chatter + data) == ["page-fault"]


def test_priorities_tell_kmsg_from_the_kernel() -> None:
    full = Shape(priority=True, stamp=True, caller=True)
    forged = b"".join(b"<12>" + line for line in log(*OOPS).splitlines(keepends=True))
    real = b"".join(b"<4>" + line for line in log(*OOPS).splitlines(keepends=True))
    assert parse(forged, full) == []
    (report,) = parse(real, full)
    assert report.marked


def test_lines_since_a_mark_can_be_parsed_alone() -> None:
    lines = log(*OOPS).decode().splitlines()
    assert [report.kind for report in parse(["Oops: Oops: 0000 [#1]", *lines])] == ["page-fault"]
    assert parse(["Killed", "BUG: not by the kernel"], USUAL) == []


def test_a_flood_of_reports_is_bounded() -> None:
    parser = Parser(USUAL)
    for number in range(400):
        parser.feed(log("WARNING: CPU: 0 PID: 1 at a.c:1 f+0x1/0x2", "x" * 100, start=5.0 + number))
    parser.feed(log(*["long" for _ in range(5000)], start=405.0))
    parser.finish()
    assert len(parser.reports) == 200
    assert parser.dropped == 200
    assert max(len(report.lines) for report in parser.reports) <= 600


def test_report_as_evidence() -> None:
    found = evidence(only(log(*OOPS)))
    assert found.kind == "report"
    assert found.to_json()["trust"] == "console"
    assert found.data["kind"] == "page-fault"


LOGS = ["oops-twice.log", "hard-lockup-for-ever.log", "warn-garbage.log", "panic-cut.log"]


@settings(max_examples=25, deadline=None)
@given(
    name=st.sampled_from(LOGS),
    cuts=st.lists(st.integers(0, 40000), max_size=30),
)
def test_reports_do_not_depend_on_chunks(name: str, cuts: list[int]) -> None:
    data = (CORPUS / name).read_bytes()
    bounds = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    parser = Parser()
    for start, end in itertools.pairwise(bounds):
        parser.feed(data[start:end])
    parser.finish()
    assert list(parser.reports) == parse(data)


@settings(max_examples=60, deadline=None)
@given(cut=st.integers(0, 30000), name=st.sampled_from(LOGS))
def test_a_log_cut_anywhere_gives_the_reports_that_ended(cut: int, name: str) -> None:
    data = (CORPUS / name).read_bytes()
    lines = data[:cut].count(b"\n")
    # Two lines more, because the next one is what ends a report.
    ended = [
        report.title
        for report in parse(data)
        if report.first_line + len(report.lines) + 2 < lines and report.complete
    ]
    assert set(ended) <= {report.title for report in parse(data[:cut])}
