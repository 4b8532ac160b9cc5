# SPDX-License-Identifier: GPL-2.0-only
"""Modules are followed in a fake guest: the requests, the notes and the sentences."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest

from lab.errors import InfraError
from lab.guest.ssh import Completed
from lab.runner.residue import _PER_CPU, Residue, arguments, insert_line, split_parts

SECTIONS = "/sys/module/pf/sections/.text:0xffffffffa0000000\n"
LEAK = """\
==kextlab== /sys/kernel/debug/slab/kmalloc-1k/alloc_traces
     12 0xffffffffa0000048 age=1 pid=2
        0xffffffffa0000048

==kextlab== /proc/vmallocinfo
"""
STARTED = (
    "  insmod-6 [001] d..1. 4.58: timer_start: timer=ffff888002f5a000 function=0xffffffffa0000000 "
    "expires=1\n"
)


class Kernel:
    """A kernel with these options."""

    def __init__(self, *options: str) -> None:
        self.options = options

    def has(self, option: str) -> bool:
        return option in self.options


class Guest:
    """Answers each command by a text in it; a list has one answer for each time."""

    def __init__(self, **answers: str | list[str]) -> None:
        self.answers = answers
        self.asked: list[str] = []
        # Words of the commands that are killed.
        self.broken: tuple[str, ...] = ()
        # Words of the commands that print more than the lab takes.
        self.long: tuple[str, ...] = ()

    def run(self, line: str, _deadline: Any) -> Completed:
        self.asked.append(line)
        if any(word in line for word in self.broken):
            return Completed(line, 137, "", "Killed", 0.0)
        for word, answer in self.answers.items():
            if word in line:
                text = answer if isinstance(answer, str) else answer[0]
                if isinstance(answer, list) and len(answer) > 1:
                    answer.pop(0)
                return Completed(line, 0, text, "", 0.0, any(one in line for one in self.long))
        return Completed(line, 0, "", "", 0.0, any(one in line for one in self.long))


@pytest.fixture(autouse=True)
def symbols(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {".text": [(0, 16, "tick"), (48, 64, "pf_write")]}
    monkeypatch.setattr("lab.runner.residue.module_symbols", lambda _path: known)


def follow(guest: Guest) -> Residue:
    found = Residue(guest)  # type: ignore[arg-type]
    found.begin()
    found.inserted("pf", Path("pf.ko"), SECTIONS)
    found.removed("pf")
    return found


def test_a_kernel_is_asked_for_what_it_can() -> None:
    every = Kernel("CONFIG_SLUB_DEBUG", "CONFIG_MEM_ALLOC_PROFILING", "CONFIG_DEBUG_OBJECTS")
    assert arguments(every) == (  # type: ignore[arg-type]
        "slub_debug=U",
        "sysctl.vm.mem_profiling=1",
        "debug_objects",
    )
    assert arguments(Kernel()) == ()  # type: ignore[arg-type]


@pytest.mark.parametrize("chosen", ["slub_debug=P", "slab_debug", "slub_debug=FZ,kmalloc-64"])
def test_what_a_scenario_chose_itself_is_left(chosen: str) -> None:
    assert arguments(Kernel("CONFIG_SLUB_DEBUG"), [chosen]) == ()  # type: ignore[arg-type]


def test_a_kernel_that_tracks_by_itself_is_left() -> None:
    kernel = Kernel("CONFIG_SLUB_DEBUG", "CONFIG_SLUB_DEBUG_ON")
    assert arguments(kernel) == ()  # type: ignore[arg-type]


def test_a_load_that_fails_stays_one() -> None:
    line = insert_line("/root/pf.ko", ["text=a b"], "pf")
    assert "; if insmod /root/pf.ko 'text=a b'; then" in line
    assert line.endswith("(exit $status); fi")
    assert "/sys/module/pf/sections/" in line


def test_a_module_that_left_nothing_is_quiet() -> None:
    found = follow(Guest())
    evidence = found.settle()
    assert (found.found, found.missing) == ([], [])
    assert (
        evidence.summary == "the look at modules found no memory, timer or work item that is left"
    )


def test_memory_that_is_left_is_said_in_words() -> None:
    found = follow(Guest(drop_caches=LEAK))
    found.settle(leak_expected=True)
    assert found.found == ["12 objects of 1 KiB, allocated in pf_write (pf), are not freed"]


def test_memory_that_is_freed_late_is_waited_for() -> None:
    found = follow(Guest(drop_caches=[LEAK, LEAK, ""]))
    found.settle()
    assert found.found == []


def test_what_modules_of_the_guests_own_hold_is_no_news() -> None:
    found = follow(Guest(instances="modules\n", drop_caches=LEAK))
    found.settle()
    assert found.found == []


def test_a_timer_that_is_armed_is_found_at_the_unload() -> None:
    memory = struct.pack("<8Q", 0, 1, 9, 0xFFFFFFFFA0000000, 0, 0, 0, 0).hex()
    peeked = json.dumps({"ok": True, "memory": [memory]})
    guest = Guest()
    guest.answers = {"kextload peek": peeked, "mkdir": "", "drop_caches": "", "trace": STARTED}
    found = follow(guest)
    assert found.found == ["a timer of pf (function tick) is still armed"]
    found.settle()
    assert found.found == ["a timer of pf (function tick) is still armed"]


def test_what_a_kernel_gives_no_view_of_is_said() -> None:
    guest = Guest()
    guest.answers = {"mkdir": "no-slab\nno-pages\n"}
    found = follow(guest)
    assert found.missing == [
        "slab objects (no CONFIG_SLUB_DEBUG, or no slub_debug=U)",
        "pages (no CONFIG_MEM_ALLOC_PROFILING, or switched off)",
    ]
    assert "not checked on this kernel: slab objects" in found.settle().summary


def test_memory_that_cannot_be_read_is_not_passed_over() -> None:
    guest = Guest()
    guest.answers = {"kextload peek": '{"ok":false}', "mkdir": "", "trace": STARTED}
    found = follow(guest)
    assert found.missing == ["timers and work items (/proc/kcore cannot be read)"]


@pytest.mark.parametrize("word", ["mkdir", "timer_list", "drop_caches"])
def test_a_command_that_is_killed_is_an_infra_error_and_no_clean_module(word: str) -> None:
    guest = Guest()
    guest.broken = (word,)
    with pytest.raises(InfraError, match="what modules left could not be read"):
        follow(guest).settle()


def test_memory_of_which_too_much_is_printed_is_an_infra_error() -> None:
    guest = Guest(drop_caches=LEAK)
    guest.long = ("drop_caches",)
    with pytest.raises(InfraError, match="what modules left could not be read"):
        follow(guest).settle()


def test_of_traces_that_are_too_long_the_rest_is_not_passed_over() -> None:
    guest = Guest(drop_caches=f"{LEAK}==kextlab== {_PER_CPU}\n")
    guest.long = ("timer_list", "drop_caches")
    found = follow(guest)
    found.settle(leak_expected=True)
    assert found.found == ["12 objects of 1 KiB, allocated in pf_write (pf), are not freed"]
    assert found.missing == [
        "timers that were started early (too many started after them)",
        "per-CPU memory (too much was freed to follow it)",
    ]


def test_per_cpu_memory_of_which_all_trace_was_overwritten_is_not_passed_over() -> None:
    found = follow(Guest(drop_caches=f"==kextlab== {_PER_CPU}\noverrun: 7\n"))
    found.settle()
    assert found.missing == ["per-CPU memory (too much was freed to follow it)"]


def test_parts_are_told_apart() -> None:
    assert split_parts("noise\n==kextlab== /a\n1\n2\n==kextlab== /b\n") == {
        "/a": "1\n2",
        "/b": "",
    }
