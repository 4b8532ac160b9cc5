# SPDX-License-Identifier: GPL-2.0-only
"""Timers and work items: the trace shows the starts, and memory those still armed."""

from __future__ import annotations

import struct

import pytest
from harness.paths import GOLDEN

from lab.oracle.modules import pending
from lab.oracle.modules.layout import Layouts
from lab.oracle.modules.pending import Candidate, Kind

RESIDUE = GOLDEN / "residue"
TEXT = 0xFFFFFFFFA0000000
TIMER = 0xFFFF888002F5A000
KERNEL = 0xFFFFFFFF810782F0

EVENTS = """\
          insmod-66      [001] d..1.     4.58: timer_start: timer=ffff888002f5a000 \
function=tick [pf] expires=1 [timeout=9] bucket_expiry=1 cpu=1 idx=3 flags=I
          insmod-66      [001] d..1.     4.59: timer_start: timer=ffff888002f5a000 \
function=tick [pf] expires=2 [timeout=9] bucket_expiry=2 cpu=1 idx=3 flags=I
          insmod-66      [001] d..1.     4.60: timer_start: timer=ffff888002f5b020 \
function=delayed_work_timer_fn expires=1 [timeout=9] bucket_expiry=1 cpu=1 idx=3 flags=I
          insmod-66      [001] d..1.     4.61: workqueue_queue_work: work struct=ffff888002f5c000 \
function=0xffffffffa0000020 workqueue=events req_cpu=8 cpu=1
"""


@pytest.fixture
def layouts() -> Layouts:
    found = Layouts()
    found.add("pf", {".text": TEXT}, {".text": [(0, 16, "tick"), (32, 16, "chore")]})
    found.remove("pf")
    return found


def timer(function: int, *, previous: int = 1) -> bytes:
    return struct.pack("<8Q", 0, previous, 99, function, 0, 0, 0, 0)


def work(function: int, *, state: int = 1, previous: int = 1) -> bytes:
    """Return the memory of a delayed work item, or of a plain one and what follows it."""
    return struct.pack("<8Q", state, 1, 1, function, 0, previous, 99, KERNEL)


def test_what_was_started_is_read_from_the_trace_once() -> None:
    assert pending.candidates(EVENTS) == [
        Candidate("timer", TIMER, "tick"),
        Candidate("delayed work item", 0xFFFF888002F5B000, ""),
        Candidate("work item", 0xFFFF888002F5C000, "0xffffffffa0000020"),
    ]


def test_a_recorded_trace_has_the_delayed_work_and_the_per_cpu_memory() -> None:
    trace = (RESIDUE / "trace.txt").read_text()
    assert Candidate("delayed work item", 0xFFFFFFFFA0003980, "") in pending.candidates(trace)
    (one,) = pending.per_cpu(trace)
    assert (one.bytes, one.stack) == (64, ("0xffffffffa00001cb",))
    assert pending.overrun(trace) == 0


def test_per_cpu_memory_that_was_freed_is_forgotten() -> None:
    line = (
        "  insmod-66 [001] d..2. 4.5: percpu_{}_percpu: call_site=0xffffffffa00001cb {}ptr=0331d0"
    )
    taken, given = line.format("alloc", "size=64 "), line.format("free", "")
    assert len(pending.per_cpu(taken)) == 1
    assert pending.per_cpu(f"{taken}\n{given}\n") == []
    assert len(pending.per_cpu(f"{taken}\n{given}\n{taken}\n")) == 1


@pytest.mark.parametrize(
    ("kind", "printed", "memory", "words"),
    [
        ("timer", "tick", timer(TEXT), "a timer of pf (function tick) is still armed"),
        (
            "timer",
            "0xffffffffa0000000",
            timer(TEXT),
            "a timer of pf (function tick) is still armed",
        ),
        (
            "delayed work item",
            "",
            work(TEXT + 32),
            "a delayed work item of pf (function chore) is still armed",
        ),
        (
            "work item",
            "chore",
            work(TEXT + 32),
            "a work item of pf (function chore) is still armed",
        ),
    ],
)
def test_what_waits_for_code_that_is_gone_is_armed(
    layouts: Layouts, kind: Kind, printed: str, memory: bytes, words: str
) -> None:
    assert str(pending.armed(Candidate(kind, TIMER, printed), memory, layouts)) == words


@pytest.mark.parametrize(
    ("kind", "printed", "memory"),
    [
        ("timer", "tick", timer(TEXT, previous=0)),  # deleted, or it ran
        ("timer", "tick", timer(TEXT + 32)),  # other memory lies there now
        ("timer", "schedule", timer(KERNEL)),  # the kernel's own
        ("delayed work item", "", work(TEXT + 32, state=0)),
        ("delayed work item", "", work(TEXT + 32, previous=0)),
        ("delayed work item", "", work(KERNEL)),
        ("work item", "chore", work(TEXT + 32, state=4)),
        ("work item", "tick", work(TEXT + 32)),
        ("timer", "tick", b"\0" * 8),
        ("timer", "tick", None),
    ],
)
def test_what_does_not_wait_is_not_armed(
    layouts: Layouts, kind: Kind, printed: str, memory: bytes | None
) -> None:
    assert pending.armed(Candidate(kind, TIMER, printed), memory, layouts) is None


def test_a_timer_of_a_module_that_was_loaded_again_is_not_reported(layouts: Layouts) -> None:
    layouts.add("pf", {".text": TEXT}, {".text": [(0, 16, "tick")]})
    assert pending.armed(Candidate("timer", TIMER, "tick"), timer(TEXT), layouts) is None


def test_high_resolution_timers_are_in_the_kernels_own_list(layouts: Layouts) -> None:
    text = (
        " #0: <00000000a2b3c4d5>, tick_nohz_handler, S:01\n"
        " # expires at 4720000000-4720000000 nsecs [in 3141592 to 3141592 nsecs]\n"
        " #1: <00000000a2b3c4d6>, 0xffffffffa0000000, S:01\n"
    )
    found = pending.high_resolution(text, layouts)
    assert pending.sentences(found) == [
        "a high-resolution timer of pf (function tick) is still armed"
    ]


def test_lost_events_are_counted() -> None:
    stats = "entries: 9\noverrun: 3\ncommit overrun: 7\ndropped events: 2\nread events: 4\n"
    assert pending.overrun(stats) == 5
