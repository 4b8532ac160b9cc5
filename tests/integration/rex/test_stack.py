# SPDX-License-Identifier: GPL-2.0-only
"""The stacks of the Rex kernel: its check in every function, and the guard below them."""

from __future__ import annotations

import contextlib
import errno
import json
import re
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection
from harness.rex_guest import FLAVOR, RexGuest, timers_run
from harness.rex_programs import build

from lab.deadline import DeadlineExceeded, scaled
from lab.extension.rust.frames import SECTION, frames_of
from lab.guest.ssh import ConnectionLost
from lab.oracle.rex import counters

pytestmark = pytest.mark.integration

# With KASAN more stays free, and other frames just fit.
RESERVE = 24 << 10 if FLAVOR == "rex-debug" else 8 << 10
LARGEST = (64 << 10) - RESERVE - 24
SPENT = re.compile(rf"overflowed on CPU [01]: less than {RESERVE} bytes of its stack were left$")
TIMES = 1000
CLOCK = ("hrtimer_expire_entry", "counts_others")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return build(tmp_path_factory.mktemp("stack"), "stack.c")


def untouched(shared: RexGuest) -> dict[tuple[int, int], int]:
    """Return the untouched bytes of the kernel's stacks, by CPU and depth."""
    found = counters.snapshot(shared.guest.read_files(counters.FILES))
    assert found is not None
    assert found.untouched is not None
    return dict(found.untouched)


def rose(shared: RexGuest, before: dict[str, int]) -> dict[str, int]:
    return {key: value - before[key] for key, value in shared.counts().items()}


@pytest.mark.parametrize(
    ("program", "outcome", "value"),
    [
        ("recurses", "overflowed", 7),
        (f"takes_{LARGEST}", "returned", 5),
        (f"takes_{LARGEST + 8}", "overflowed", 7),
        (f"calls_with_{LARGEST - 16}", "returned", 5),
        (f"calls_with_{LARGEST}", "overflowed", 7),
        ("says_the_whole_stack", "overflowed", 7),
        ("says_4_gib", "overflowed", 7),
        ("says_all", "overflowed", 7),
        ("says_nothing", "returned", 5),
        ("is_large", "returned", 5),
        ("sinks", "overflowed", 7),
        ("sinks_holding", "overflowed", 7),
        ("sinks_disturbing", "overflowed", 7),
    ],
)
def test_outcome(shared: RexGuest, program: str, outcome: str, value: int) -> None:
    before = shared.counts()
    shared.log()
    assert shared.run(program) == {"load": 0, "run": 0, "retval": value}
    gone = rose(shared, before)
    assert gone["runs"] == gone[outcome] == 1
    assert gone["repaired"] == (1 if program == "sinks_disturbing" else 0)
    log = shared.log()
    assert bool(log) == (outcome == "overflowed")
    if log:
        assert SPENT.search(log[0]), log
        assert " #0 0x" in log[1]
    if program == "sinks_holding":
        assert log[-1].endswith("released: spin_lock 1 rcu 1 ringbuf 1 task 1")
    assert timers_run(shared)
    assert shared.unharmed()


def test_a_report_shows_the_calls_that_led_there(shared: RexGuest) -> None:
    for program, function in (("recurses", "descend"), ("sinks", "sink")):
        shared.log()
        shared.run(program)
        frames = [
            int(line.split()[-1], 16) for line in shared.log() if re.search(r" #\d+ 0x", line)
        ]
        assert len(frames) == 16
        with shared.image.open("rb") as stream:
            symbols = ELFFile(stream).get_section_by_name(".symtab")
            assert isinstance(symbols, SymbolTableSection)
            named = symbols.get_symbol_by_name(function)
        assert named is not None
        (symbol,) = named
        begin, end = symbol["st_value"], symbol["st_value"] + symbol["st_size"]
        assert all(begin <= frame < end for frame in frames)


def test_what_is_checked_leaves_the_reserve_alone(fresh: RexGuest) -> None:
    """A thousand overflows, with a clock that interrupts every 200 us and runs a program."""
    assert untouched(fresh) == {}
    before = fresh.counts()
    result = fresh.run("recurses", TIMES, *CLOCK)
    assert result["retval"] == 7
    assert result["others"] > 10
    assert rose(fresh, before)["overflowed"] == TIMES
    left = untouched(fresh)
    assert set(left) == {(cpu, depth) for cpu in range(2) for depth in range(4)}
    assert min(left.values()) > 4096, left
    assert min(left.values()) < RESERVE + 1000, left  # that it was used is what the canary shows
    assert timers_run(fresh)
    assert fresh.unharmed()


def test_no_neighbour_is_touched_from_the_guard(fresh: RexGuest) -> None:
    """A program without the check uses up its own stack, and no other."""
    done = fresh.guest.run("taskset -c 1 /root/rexrun run /root/image.so sinks_disturbing 20")
    assert json.loads(done.stdout)["retval"] == 7
    left = untouched(fresh)
    assert left.pop((1, 0)) == 0
    assert set(left.values()) == {65536}
    assert fresh.unharmed()


@pytest.mark.parametrize("cpu", [0, 1])
@pytest.mark.parametrize("left", [0, 8, 16, 32])
def test_an_interrupt_that_can_t_be_delivered_comes_again(
    shared: RexGuest, left: int, cpu: int
) -> None:
    """There is no room to push an interrupt's frame: a double fault follows, and none is lost."""
    before = shared.counts()
    words = " ".join((f"waits_with_{left}", str(TIMES), *CLOCK))
    done = shared.guest.run(
        f"taskset -c {cpu} /root/rexrun run /root/image.so {words}", scaled(120)
    )
    result = json.loads(done.stdout)
    assert (result["run"], result["retval"]) == (0, 7)
    assert result["others"] >= TIMES / 2  # the clock that ended them was not lost
    gone = rose(shared, before)
    assert gone["overflowed"] == TIMES
    assert gone["terminated"] == gone["repaired"] == 0
    assert timers_run(shared)
    assert shared.unharmed()


def test_control_without_checks_the_guard_ends_a_program(fresh: RexGuest) -> None:
    fresh.guest.run("echo 16 > /sys/kernel/debug/rex/unprotected")
    before = fresh.counts()
    assert fresh.run("recurses", 10)["retval"] == 7
    assert rose(fresh, before)["overflowed"] == 10
    assert min(untouched(fresh).values()) == 0
    assert fresh.unharmed()


@pytest.mark.parametrize(("knob", "program"), [(48, "recurses"), (32, "sinks")])
def test_without_the_guard_the_kernel_dies(fresh: RexGuest, knob: int, program: str) -> None:
    fresh.guest.run(f"echo {knob} > /sys/kernel/debug/rex/unprotected")
    with contextlib.suppress(ConnectionLost, DeadlineExceeded):
        fresh.guest.run(f"/root/rexrun run /root/image.so {program}", scaled(20))
    console = fresh.guest.machine.console
    hit = "stack guard page was hit"
    assert console.wait_for(
        lambda lines: any(hit in line.text for line in lines), scaled(20), "its end"
    )
    console.wait_for(
        lambda _: fresh.guest.machine.panicked or fresh.guest.machine.ended, scaled(20), "a panic"
    )


def test_checks_are_looked_at_when_a_program_is_loaded(fresh: RexGuest) -> None:
    """So that one that has its checks keeps them."""
    fresh.guest.run("echo 32 > /sys/kernel/debug/rex/unprotected")
    assert fresh.run("recurses", 10)["retval"] == 7
    assert min(untouched(fresh).values()) > 4096
    assert fresh.unharmed()


# Files


class Image(bytearray):
    """An image whose list of frames can be spoilt."""

    def __init__(self, path: Path) -> None:
        super().__init__(path.read_bytes())
        self.path = path
        with path.open("rb") as stream:
            elf = ELFFile(stream)
            index = elf.get_section_index(SECTION)
            assert index is not None
            self.header: int = elf["e_shoff"] + index * elf["e_shentsize"]
            section = elf.get_section(index)
            self.at: int = section["sh_offset"]
            self.size: int = section["sh_size"]
            table = elf.get_section_by_name(".symtab")
            assert isinstance(table, SymbolTableSection)
            self.symbols = {symbol.name: symbol["st_value"] for symbol in table.iter_symbols()}

    def put(self, at: int, value: int, length: int = 8) -> None:
        self[at : at + length] = value.to_bytes(length, "little")

    def entry(self, function: str) -> int:
        """Return the offset of a function's pair."""
        address = self.symbols[function].to_bytes(8, "little")
        return self.index(address, self.at, self.at + self.size)


def no_name(image: Image) -> None:
    at = image.index(b".stack_sizes\0")
    image[at : at + 12] = b".stack_xizes"


SPOILT = [
    ("no sections", lambda i: i.put(40, 0), "does not say how large"),
    ("sections out of the file", lambda i: i.put(40, 1 << 40), "does not say how large"),
    ("sections at the end of all", lambda i: i.put(40, 2**64 - 8), "does not say how large"),
    ("sections misaligned", lambda i: i.put(40, 65), "does not say how large"),
    ("size of headers", lambda i: i.put(58, 8, 2), "does not say how large"),
    ("names nowhere", lambda i: i.put(62, 99, 2), "does not say how large"),
    ("no such section", no_name, "does not say how large"),
    ("out of the file", lambda i: i.put(i.header + 24, 1 << 40), "does not say how large"),
    ("beyond the file", lambda i: i.put(i.header + 32, 1 << 30), "does not say how large"),
    ("larger than all", lambda i: i.put(i.header + 32, 2**64 - 1), "does not say how large"),
    ("nothing in the file", lambda i: i.put(i.header + 4, 8, 4), "does not say how large"),
    ("empty", lambda i: i.put(i.header + 32, 0), "the entry has no room"),
    ("cut in an address", lambda i: i.put(i.header + 32, 4), "end too early"),
    ("cut before a size", lambda i: i.put(i.header + 32, 8), "no size of the frame"),
    ("a size without end", lambda i: i.put(i.at + 8, 2**400 - 1, 50), "no size of the frame"),
    ("before the code", lambda i: i.put(i.at, 8), "not in the code"),
    ("behind the code", lambda i: i.put(i.at, 1 << 20), "not in the code"),
    ("before all", lambda i: i.put(i.at, 2**64 - 1), "not in the code"),
    (
        "large and without room",
        lambda i: i.put(i.symbols["is_large"] + 21, 0x55, 1),
        "has a frame of 2000 bytes and no room for a check",
    ),
    (
        "twice, and large",
        lambda i: i.put(i.entry("is_large"), i.symbols["takes_57320"]),
        "has a frame of \\d+ bytes and no room for a check",
    ),
]


@pytest.mark.parametrize(("change", "said"), [x[1:] for x in SPOILT], ids=[x[0] for x in SPOILT])
def test_an_image_without_its_frames_is_refused(shared: RexGuest, change, said: str) -> None:  # type: ignore[no-untyped-def]
    image = Image(shared.image)
    change(image)
    shared.log()
    assert set(shared.load(bytes(image))) == {errno.ENOEXEC}
    log = shared.log()
    assert re.match(f"rex: load: .*{said}", log[0]), log
    assert shared.unharmed()


def test_only_the_program_without_room_is_refused(shared: RexGuest) -> None:
    """Of a function with a small frame, that it has no check, is an error if it is the entry."""
    image = Image(shared.image)
    image.put(image.symbols["recurses"] + 7, 0x90909090909055, 7)
    shared.log()
    errors = shared.load(bytes(image))
    assert sorted(errors) == [0] * (len(errors) - 1) + [errno.ENOEXEC]
    (line,) = shared.log()
    assert line == "rex: load: the entry has no room for a check of the stack"
    assert shared.unharmed()


def test_pairs_that_overlap_do_no_harm(shared: RexGuest) -> None:
    """One more, some bytes behind another: what was written there is room no more."""
    for by in (0, 1, 8, 21):
        image = Image(shared.image)
        image.put(image.entry("says_nothing"), image.symbols["recurses"] + by)
        errors = shared.load(bytes(image))
        assert set(errors) == {0, errno.ENOEXEC}
        assert errors.count(errno.ENOEXEC) == 1  # says_nothing, whose frame has no size
    assert shared.unharmed()


def test_the_host_sees_the_same_room(shared: RexGuest) -> None:
    image = Image(shared.image)
    frames = {frame.address: frame for frame in frames_of("image", shared.image)}
    assert [name for name, at in image.symbols.items() if at in frames and not frames[at].room] == [
        "sink"
    ]
    assert frames[image.symbols["takes_57320"]].size == 57320
    assert frames[image.symbols["says_all"]].size == 2**63 - 1
    assert set(shared.load(bytes(image))) == {0}
