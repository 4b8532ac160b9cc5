# SPDX-License-Identifier: GPL-2.0-only
"""A guest can't silently hide a report from the console oracle, or forge one."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.oracle.console import parser as console
from lab.oracle.console.explain import explain
from lab.oracle.console.forgeries import MAX_FORGERIES
from lab.oracle.console.lines import MAX_LINE, Line, Origin, Shape, Splitter
from lab.oracle.console.losses import MAX_LOSSES
from lab.oracle.console.parser import MAX_OPEN, Parser, parse
from lab.oracle.console.records import Joiner
from lab.oracle.console.reports import Draft

FULL = Shape(priority=True, stamp=True, caller=True)
DEBIAN = Shape(priority=True, stamp=True, caller=False)


def record(
    *lines: str, caller: str = "T77", level: int = 4, at: float = 5.0, step: float = 0.001
) -> bytes:
    """Return lines with the kernel's prefix; without a caller, as some kernels print them."""
    own = f"[{caller:>6}]" if caller else ""
    return b"".join(
        f"<{level}>[{at + number * step:12.6f}]{own} {text}\r\n".encode()
        for number, text in enumerate(lines)
    )


def read(data: bytes, shape: Shape = FULL) -> Parser:
    parser = Parser(shape)
    parser.feed(data)
    parser.finish()
    return parser


def kinds(data: bytes, shape: Shape = FULL) -> list[str]:
    return [report.kind for report in read(data, shape).reports]


def means(data: bytes, shape: Shape = FULL) -> list[str]:
    return [forgery.means for forgery in read(data, shape).forgeries]


def losses(data: bytes, shape: Shape = FULL) -> list[str]:
    return [loss.why for loss in read(data, shape).losses]


@pytest.mark.parametrize("control", ["\x1b[31m", "\x1b", "\x9b31m", "\x85", "\x7f", "\0"])
def test_no_text_steers_a_terminal(control: str) -> None:
    (found,) = read(record(f"BUG: a{control}b")).reports
    assert all(character.isprintable() for character in found.title)
    journal = f"Nov 29 01:54:08 host kernel: BUG: a{control}b\n" * 2
    assert all(one.title.isprintable() for one in explain(journal.encode()).reports)


# Names of tasks

HUNG = ("INFO: task ", ":77 blocked for more than 20 seconds.")
NAMED = {
    "hung-task": HUNG,
    "soft-lockup": ("watchdog: BUG: soft lockup - CPU#1 stuck for 22s! [", ":77]"),
    "sleeping-in-atomic": ("BUG: scheduling while atomic: ", "/77/0x00000002"),
}
AFTER = ("Call Trace:", " <TASK>", " spinner+0x1/0x2 [mod]", " </TASK>")
NAMES = st.binary(min_size=1, max_size=15).filter(lambda name: b"\0" not in name)


def named(kind: str, name: str, step: float = 0.0, caller: str = "T29", level: int = 0) -> bytes:
    """Return a report about a task, with its record's lines as the kernel prints them."""
    head, tail = NAMED[kind]
    lines = f"{head}{name}{tail}".split("\n")
    first = record(*lines, caller=caller, level=level, step=step)
    return first + record(*AFTER, caller=caller, level=level, at=5.1)


@pytest.mark.parametrize("kind", NAMED)
@pytest.mark.parametrize(
    "name", ["a\nb", "\n", "\na\n", "a\rb", "<4>[1.000000]", "[a]:1]\n", "\n" * 15]
)
@pytest.mark.parametrize("shape", [FULL, DEBIAN], ids=["caller", "no-caller"])
def test_no_name_of_a_task_hides_a_report_about_it(kind: str, name: str, shape: Shape) -> None:
    data = named(kind, name, caller="T29" if shape.caller else "")
    (report,) = read(data, shape).reports
    assert report.kind == kind
    assert report.title.endswith("in spinner")


@pytest.mark.parametrize("kind", NAMED)
def test_lines_of_a_record_may_differ_in_time_where_the_caller_is_known(kind: str) -> None:
    assert kinds(named(kind, "a\nb", step=0.001)) == [kind]


@pytest.mark.parametrize("name", ["a:1]\nBUG: x", "a\nBUG: x", "\nWARNING: y"])
def test_a_name_opens_no_report_of_its_own(name: str) -> None:
    for kind in NAMED:
        assert kinds(named(kind, name)) == [kind]


def test_a_name_inside_a_report_ends_it_at_no_place() -> None:
    data = record("BUG: kernel NULL pointer dereference, address: 0", "Oops: Oops: 0000 [#1] SMP")
    data += record(
        "CPU: 1 UID: 0 PID: 77 Comm: a", "BUG: x Not tainted 6.12.117 #1", at=5.1, step=0
    )
    data += record("RIP: 0010:broken+0x1/0x2", "---[ end trace 0000000000000000 ]---", at=5.2)
    (report,) = read(data).reports
    assert (report.title, report.task) == ("NULL pointer dereference in broken", "a BUG: x:77")
    assert report.complete


@pytest.mark.parametrize("name", ["a\n", "\n", "a\nb", "a b"])
def test_an_oom_kill_is_found_whatever_the_task_is_called(name: str) -> None:
    text = f"{name} invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0".split("\n")
    assert kinds(record(*text, "Mem-Info:", step=0)) == ["oom"]


def test_a_task_that_was_killed_for_memory_is_named() -> None:
    text = ("Out of memory: Killed process 77 (a", "b) total-vm:1kB")
    assert kinds(record(*text, step=0)) == ["oom"]


@pytest.mark.parametrize("name", ["", "\1", "\1\2", "\x1b[1m"])
@pytest.mark.parametrize("kind", NAMED)
def test_a_name_of_which_nothing_can_be_shown_hides_nothing(kind: str, name: str) -> None:
    assert kinds(named(kind, name)) == [kind]


@given(NAMES, st.sampled_from(sorted(NAMED)))
def test_any_name_gives_one_report_of_its_kind(name: bytes, kind: str) -> None:
    text = name.decode("utf-8", errors="replace")
    assert kinds(named(kind, text)) == [kind]


def test_lines_that_are_of_no_record_with_a_name_are_left_alone() -> None:
    heads = ["INFO: task ", "task:", "CPU: 1 UID: 0 PID: 1 Comm: a", "note: ", "short", "BUG: x"]
    joiner = Joiner()
    lines = [Line(n, 0.0, text, stamp=1.0, caller="T1") for n, text in enumerate(heads * 3)]
    taken = [one for line in lines for one in joiner.take(line)]
    assert [*taken, *joiner.flush()] == lines


def test_lines_of_two_callers_are_never_joined() -> None:
    head, tail = HUNG
    data = record(f"{head}a", caller="T29") + record(f"b{tail}", caller="T30")
    assert kinds(data) == []


def test_lines_without_caller_are_joined_only_if_they_have_one_time() -> None:
    head, tail = HUNG
    lines = (f"{head}a", f"b{tail}")
    assert kinds(record(*lines, caller="", step=0), DEBIAN) == ["hung-task"]
    assert kinds(record(*lines, caller="", step=0.001), DEBIAN) == []


# Forgeries

PANIC = "Kernel panic - not syncing: no"
PREFIX = "<0>[    5.000001][    T1] "
FORGED = {
    "kmsg": record(PANIC, level=12),
    "text": f"{PANIC}\r\n".encode(),
    "prefix": f"\x1b[1m<0>\x1b[0m[    5.000000]\x1b[31m[   T77] {PANIC}\r\n".encode(),
    "embedded": record(f"tmpfs: Unknown parameter '{PREFIX}{PANIC}'", level=3),
}
OTHERS = {
    "digits of another script": (
        "prefix",
        "<{0}>[    {1}.{0}{0}{0}{0}{0}{0}][   T{1}] {2}\n".format(
            "\u0660", "\u0665", PANIC
        ).encode(),
    ),
    "a priority with a zero too many": ("prefix", f"<00>[    5.000000][    T1] {PANIC}\n".encode()),
    "another shape": ("prefix", f"[    5.000000] {PANIC}\n".encode()),
    "inside what a program says": ("embedded", record(f"hello {PREFIX}{PANIC}", level=12)),
    "a shorter prefix": ("embedded", record(f"rex: p: <1>{PANIC}")),
    "a report on a program": (
        "embedded",
        record(f"rex: p: {PREFIX}rex: p[1]: panicked on CPU 0: x"),
    ),
    "a panic's message": (
        "embedded",
        record(f"rex: p[3]: panicked on CPU 1: {PREFIX}{PANIC} (a.rs:1)"),
    ),
    "a rule": ("kmsg", record("------------[ cut here ]------------", level=12)),
}


@pytest.mark.parametrize(
    ("wanted", "data"), [*FORGED.items(), *OTHERS.values()], ids=[*FORGED, *OTHERS]
)
def test_a_forgery_is_kept_and_not_believed(wanted: str, data: bytes) -> None:
    assert kinds(data) == []
    assert means(data) == [wanted]


@pytest.mark.parametrize("data", FORGED.values(), ids=FORGED)
def test_a_forgery_changes_nothing_of_a_real_report(data: bytes) -> None:
    real = record("BUG: kernel NULL pointer dereference, address: 0", "Oops: Oops: 0000 [#1] SMP")
    end = record("RIP: 0010:broken+0x1/0x2", "---[ end trace 0000000000000000 ]---", at=5.1)
    (alone,) = read(real + end).reports
    (amid,) = read(data + real + data + end + data).reports
    assert (amid.kind, amid.title, amid.complete) == (alone.kind, alone.title, True)


def test_forgeries_are_bounded_and_all_are_counted() -> None:
    parser = read(FORGED["kmsg"] * (MAX_FORGERIES + 50))
    assert len(parser.forgeries) == MAX_FORGERIES
    assert parser.forged == MAX_FORGERIES + 50


def test_a_forgery_as_evidence_has_the_trust_of_its_writer() -> None:
    (forgery,) = read(FORGED["embedded"]).forgeries
    assert forgery.evidence().to_json()["trust"] == "guest_text"
    assert "line 1" in str(forgery)


# The content of a record, after the prefix at its beginning
WORDS = st.lists(
    st.sampled_from(
        ["<0>", "[    1.000000]", "[    T1]", " ", PANIC, "BUG: x", "\x1b[0m", "a", "'", PREFIX]
    ),
    max_size=12,
).map("".join)


@given(WORDS, st.lists(st.integers(0, 500), max_size=6))
def test_no_text_inside_a_record_is_a_report_in_whatever_pieces(text: str, cuts: list[int]) -> None:
    data = record(f"rex: p: {text}") + record("all is well")
    parser = Parser(FULL)
    bounds = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    for start, end in itertools.pairwise(bounds):
        parser.feed(data[start:end])
    parser.finish()
    assert parser.reports == ()
    assert parser.forgeries == read(data).forgeries


@pytest.mark.parametrize("text", [PANIC, f"a\n{PANIC}\nb", f"{PANIC}\nBUG: x"])
def test_a_quoted_text_with_newlines_opens_no_report(text: str) -> None:
    data = record(*f"tmpfs: Unknown parameter 'x\n{text}'".split("\n"), level=3, step=0)
    assert kinds(data) == []
    assert set(means(data)) == {"embedded"}


@pytest.mark.parametrize("last", ["b'", "'"])
def test_a_quote_inside_a_quoted_text_opens_no_report(last: str) -> None:
    opening = "BUG: kernel NULL pointer dereference, address: 'x"
    data = record("tmpfs: Unknown parameter 'a", opening, last, level=3, step=0)
    assert kinds(data) == []
    assert means(data) == ["embedded"]


def test_two_reports_with_short_names_behind_each_other_are_two() -> None:
    head, tail = HUNG
    data = record(f"{head}a{tail}", f"{head}b{tail}")
    assert kinds(data) == ["hung-task"] * 2
    assert means(data) == []


def test_an_open_quote_hides_no_report_behind_it() -> None:
    for step in (0, 0.001):
        assert kinds(record("odd: 'quote", *OOPS, step=step)) == ["page-fault"]
    assert kinds(record("odd: 'quote") + record("BUG: it's 'x'", at=6)) == ["other-splat"]


def test_a_name_that_would_open_a_report_is_a_forgery_too() -> None:
    assert means(named("soft-lockup", "a:1]\nBUG: x")) == ["embedded"]


# Changes on the way

OOPS = ("BUG: kernel NULL pointer dereference, address: 0", "RIP: 0010:broken+0x1/0x2")


def stripped(data: bytes) -> bytes:
    """Return the lines without the time."""
    return b"\n".join(
        line.partition(b"[")[0] + b"[" + line.split(b"[", 2)[2] if line else line
        for line in data.split(b"\n")
    )


def test_the_kernel_is_heard_when_it_shows_no_time_any_more() -> None:
    data = record("fine") + stripped(record(*OOPS))
    assert kinds(data) == ["page-fault"]
    lines = list(Splitter(FULL).feed(data, 0.0))
    assert [line.shaped for line in lines] == [True, False, False]
    assert {line.origin for line in lines} == {Origin.KERNEL}


def test_the_kernel_is_heard_when_it_shows_the_time_of_late() -> None:
    timeless = Shape(priority=True, stamp=False, caller=True)
    assert kinds(stripped(record("fine")) + record(*OOPS), timeless) == ["page-fault"]
    nothing = Shape(priority=False, stamp=False, caller=False)
    assert kinds(b"fine\n[    5.000000] BUG: x\n", nothing) == ["other-splat"]


def test_the_kernel_is_heard_without_time_where_there_is_no_caller() -> None:
    data = record("fine", caller="") + "".join(f"<1>{text}\n" for text in OOPS).encode()
    assert kinds(data, DEBIAN) == ["page-fault"]
    assert [one.kind for one in parse(data)] == ["page-fault"]
    assert kinds(data + b"text <1>BUG: no\n", DEBIAN) == ["page-fault"]


def test_a_program_stays_one_when_the_time_is_gone() -> None:
    data = stripped(record("fine")) + stripped(record(PANIC, level=12))
    assert kinds(data) == []
    assert means(data) == ["kmsg"]


# Losses


@pytest.mark.parametrize(
    ("why", "data"),
    [
        ("skipped 812 messages", b"** 812 printk messages dropped **\r\n"),
        ("skipped 3 messages", b"guest # ** 3 printk messages dropped **\r\n"),
        ("beginning is missing", record("---[ end trace 0000000000000000 ]---")),
        ("beginning is missing", record("---[ end Kernel panic - not syncing: x ]---")),
        (
            "beginning is missing",
            record("RIP: 0010:f+0x1/0x2", "Call Trace:", " <TASK>", " </TASK>"),
        ),
        (
            "beginning is missing",
            record("CPU: 1 UID: 0 PID: 7", "Hardware name: Q", "RIP: 0010:f+0x1/0x2", " </TASK>"),
        ),
        ("longer than any record", record("x" * (MAX_LINE + 1))),
        (
            "mixed",
            "".join(
                a + b
                for a, b in zip(
                    f"<4>[    5.000000][    C1] {PANIC} at some length",
                    f"<4>[    5.000000][    C0] {PANIC} at some length",
                    strict=True,
                )
            ).encode()
            + b"\n",
        ),
    ],
)
def test_what_is_lost_is_told(why: str, data: bytes) -> None:
    assert any(why in loss for loss in losses(record("fine") + data)), losses(data)


@given(st.lists(st.integers(1, 3), min_size=26, max_size=26))
def test_bytes_of_two_writers_are_told_however_they_are_mixed(turns: list[int]) -> None:
    writers = [record("hello there", caller=caller).decode() for caller in ("C0", "C1")]
    data = ""
    for index, count in enumerate(turns):
        data += writers[index % 2][:count]
        writers[index % 2] = writers[index % 2][count:]
    found = losses((data + writers[0] + writers[1]).encode())
    assert found == ["the line is damaged: two writers' bytes are mixed"]


@pytest.mark.parametrize(
    "text", ["[[ 1.5 2.5]\n", "[[1.000000 2]]\n", "[[127.0.0.1]]\n", "<<4>>\n", "[    5.000000]\n"]
)
def test_what_programs_print_is_no_mixture(text: str) -> None:
    assert losses(text.encode()) == []


def test_a_line_without_end_hides_no_report_and_no_loss() -> None:
    real = record(*OOPS)
    assert kinds(b"x" * (3 * MAX_LINE) + real) == ["page-fault"]
    assert losses(b"x" * (3 * MAX_LINE) + real) == []
    forged = record("calm").rstrip() + b"x" * (3 * MAX_LINE) + real
    assert losses(forged) == ["the line is damaged: longer than any record"]


def test_the_first_report_that_is_not_kept_is_a_loss() -> None:
    one = b"".join(record("BUG: x", at=5.0 + 3 * number) for number in range(console.MAX_REPORTS))
    assert losses(one) == []
    assert losses(one + record("BUG: x", at=9000)) == ["1 reports after the first 200"]


def test_losses_are_bounded() -> None:
    assert len(read(b"** 1 printk messages dropped **\n" * 500).losses) == MAX_LOSSES


@pytest.mark.parametrize(
    "lines", [(), ("SURPRISE: at foo+0x1/0x2", "---[ end trace 0000000000000000 ]---")]
)
def test_a_rule_with_no_known_report_behind_it_is_one_before_the_console_ends(
    lines: tuple[str, ...],
) -> None:
    parser = Parser(FULL)
    parser.feed(record("------------[ cut here ]------------", *lines))
    assert [(one.kind, one.title) for one in parser.reports] == [
        ("other-splat", "report cut short")
    ]
    parser.finish()
    assert len(parser.reports) == 1


def test_registers_that_were_asked_for_are_no_torn_report() -> None:
    asked = ("sysrq: Show Regs", "CPU: 1 UID: 0 PID: 1", "RIP: 0010:f+0x1/0x2", "Call Trace:")
    trace = ("Call Trace:", " <IRQ>", " f+0x1/0x2", "RIP: 0010:f+0x1/0x2", " g+0x1/0x2", " </TASK>")
    nmi = ("NMI backtrace for cpu 1", "RIP: 0010:f+0x1/0x2", " <TASK>", " </TASK>")
    for lines in ((*asked, " </TASK>"), trace, nmi):
        assert losses(record(*lines)) == []


# Cost


@pytest.mark.parametrize("callers", [500, 4000])
def test_many_callers_with_open_reports_cost_no_more_for_each_line(
    callers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared = 0
    over = Parser._over

    def counting(self: Parser, draft: Draft, line: Line) -> bool:
        nonlocal compared
        compared += 1
        return over(self, draft, line)

    monkeypatch.setattr(Parser, "_over", counting)
    data = b"".join(record("BUG: x", caller=f"T{number}") for number in range(callers))
    parser = Parser(FULL)
    parser.feed(data)
    assert compared <= MAX_OPEN * callers
    assert len(parser.reports) <= console.MAX_REPORTS + MAX_OPEN


def test_a_request_for_every_cpus_backtrace_is_bounded() -> None:
    parser = Parser(FULL)
    for number in range(40):
        parser.feed(record("BUG: x", f"Sending NMI from CPU 0 to CPUs {number}000-{number}999:"))
    assert len(parser._awaited) <= console.MAX_AWAITED


# Logs that failed at the first try; the names state the right result.


def test_a_report_behind_one_of_ubsan_is_a_report_of_its_own() -> None:
    data = record(
        "------------[ cut here ]------------",
        "UBSAN: array-index-out-of-bounds in mod.c:3:2",
        "Call Trace:",
        " <TASK>",
        " reader+0x1/0x2 [mod]",
        " </TASK>",
        "kernel BUG at mod.c:44!",
        "Oops: invalid opcode: 0000 [#1] PREEMPT SMP",
        "RIP: 0010:buggy+0x1/0x2 [mod]",
        "---[ end trace 0000000000000000 ]---",
    )
    assert kinds(data) == ["ubsan", "bug"]


def test_a_log_of_unknown_shape_is_read_the_same() -> None:
    others = [data for name, (_, data) in OTHERS.items() if name != "another shape"]
    for data in (*FORGED.values(), *others):
        assert parse(record("fine") + data) == []
    for kind in NAMED:
        assert [one.kind for one in parse(named(kind, "a\nb"))] == [kind]
