# SPDX-License-Identifier: GPL-2.0-only
"""Kernel reports about what a module left are recognised and described."""

from __future__ import annotations

import json

import pytest
from harness.paths import GOLDEN

from lab.oracle.console.parser import Report, Shape, parse
from lab.oracle.modules.layout import Layouts, parse_sections
from lab.oracle.modules.reports import causes

RESIDUE = GOLDEN / "residue"
SHAPE = Shape(priority=True, stamp=True, caller=True)


@pytest.fixture
def layouts() -> Layouts:
    found = Layouts()
    symbols = json.loads((RESIDUE / "symbols.json").read_text())
    found.add("leaks", parse_sections((RESIDUE / "sections.txt").read_text()), symbols)
    found.remove("leaks")
    return found


def report(kind: str, *lines: str) -> Report:
    return Report(kind, "a report", lines, 1)  # type: ignore[arg-type]


def test_armed_timers_in_memory_that_is_freed_are_named(layouts: Layouts) -> None:
    reports = parse((RESIDUE / "odebug.log").read_bytes(), SHAPE)
    found = causes(reports, layouts)
    assert [(cause.text, cause.leak) for cause in found] == [
        ("a timer of leaks (function chore) is still armed", True),
        ("a timer of leaks (function tick) is still armed", True),
        ("a high-resolution timer of leaks (function beat) is still armed", True),
    ]


def test_a_timer_of_delayed_work_without_its_function_is_named_as_such(layouts: Layouts) -> None:
    line = (
        "ODEBUG: free active (active state 0) object: 00000000bdb0b76a object type: timer_list "
        "hint: delayed_work_timer_fn+0x0/0x20"
    )
    (cause,) = causes([report("warning", line)], layouts)
    assert cause.text == "a delayed work item, in memory that was freed, is still armed"


def test_other_words_of_debug_objects_stay_reports(layouts: Layouts) -> None:
    line = (
        "ODEBUG: init active (active state 0) object: 00000000bdb0b76a object type: timer_list "
        "hint: 0xffffffffa0000000"
    )
    assert causes([report("warning", line)], layouts) == []


def test_what_a_modules_own_calls_left_is_named_by_file_and_line(layouts: Layouts) -> None:
    reports = parse((RESIDUE / "allocation-profiling.log").read_bytes(), SHAPE)
    found = causes(reports, layouts)
    assert {cause.leak for cause in found} == {True}
    assert [cause.text for cause in found][:2] == [
        "8 KiB, allocated in take_pages (leaks) at leaks/leaks.c:101, are not freed",
        "64 KiB, allocated in take_large (leaks) at leaks/leaks.c:69, are not freed",
    ]
    assert len(found) == len(reports)


def test_a_cache_that_is_destroyed_with_objects_in_it_is_named(layouts: Layouts) -> None:
    first = report(
        "other-splat",
        "BUG pf_cache (Tainted: G           O      ): Objects remaining on __kmem_cache_shutdown()",
    )
    second = report(
        "warning",
        "kmem_cache_destroy pf_cache: Slab cache still has objects when called from 0xffffffffa0",
    )
    words = "objects of the slab cache pf_cache, which was destroyed, are not freed"
    assert [cause.text for cause in causes([first, second], layouts)] == [words, words]


@pytest.mark.parametrize(
    ("caller", "words"),
    [
        (" call_timer_fn+0x20/0x110", " (by a timer)"),
        (" __hrtimer_run_queues+0x20/0x110", " (by a high-resolution timer)"),
        (" process_one_work+0x20/0x110", " (by a work item)"),
        (" do_syscall_64+0x20/0x110", ""),
    ],
)
def test_a_call_of_code_that_is_gone_is_the_cause_of_the_crash(
    layouts: Layouts, caller: str, words: str
) -> None:
    seen = report(
        "page-fault",
        "BUG: unable to handle page fault for address: ffffffffa0000000",
        "RIP: 0010:0xffffffffa0000000",
        "Call Trace:",
        caller,
    )
    (cause,) = causes([seen], layouts)
    assert not cause.leak
    assert cause.text == (f"code of the unloaded module leaks was called: function tick{words}")


def test_use_of_data_that_is_gone_is_the_cause_of_the_crash(layouts: Layouts) -> None:
    seen = report(
        "page-fault",
        "BUG: unable to handle page fault for address: ffffffffa0003f08",
        "RIP: 0010:__run_timers+0x11/0x2a0",
    )
    (cause,) = causes([seen], layouts)
    assert cause.text.startswith("data of the unloaded module leaks was used: precise")


def test_what_is_not_mapped_is_gone_while_the_unload_goes_on(layouts: Layouts) -> None:
    layouts.add("leaks", {}, {})
    absent, written = (
        report(
            "page-fault",
            "BUG: unable to handle page fault for address: ffffffffa0003f08",
            "#PF: supervisor read access in kernel mode",
            f"#PF: error_code({code}",
            "RIP: 0010:ftrace_ops_trampoline+0xe/0x70",
        )
        for code in ("0x0000) - not-present page", "0x0003) - permissions violation")
    )
    assert [cause.report for cause in causes([absent, written], layouts)] == [absent]


def test_a_fault_in_a_module_that_is_there_is_no_such_cause(layouts: Layouts) -> None:
    seen = report(
        "page-fault",
        "BUG: unable to handle page fault for address: 0000000000000010",
        "RIP: 0010:pf_write+0x11/0x20 [pf]",
    )
    assert causes([seen], layouts) == []
