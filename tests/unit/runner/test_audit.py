# SPDX-License-Identifier: GPL-2.0-only
"""Compare the console with the kernel's own log and the settings of the baseline."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.deadline import Deadline, DeadlineExceeded
from lab.errors import InfraError
from lab.guest.ssh import ConnectionLost
from lab.oracle.console import kmsg, settings
from lab.oracle.console.kmsg import Comparison, Record
from lab.oracle.console.lines import Line, Shape, Splitter
from lab.oracle.console.parser import Parser
from lab.oracle.rex.reports import Collector, collect
from lab.runner import audit
from lab.runner.watch import Watch
from lab.vm.console import Console

FULL = Shape(priority=True, stamp=True, caller=True)
PANIC = "Kernel panic - not syncing: no"
HEALTHY = dict.fromkeys(settings.FILES, "1\n") | {"/proc/sys/kernel/printk": "8\t4\t1\t7\n"}


def escaped(text: str) -> str:
    """Return text as /dev/kmsg gives it."""
    return "".join(
        chr(byte) if 32 <= byte < 127 and byte != 92 else f"\\x{byte:02x}" for byte in text.encode()
    )


def in_log(number: int, text: str, priority: int = 4, caller: str = "T7") -> str:
    return f"{priority},{number},{number * 1000},-,caller={caller};{escaped(text)}"


def on_console(number: int, text: str, priority: int = 4, caller: str = "T7") -> bytes:
    return b"".join(
        f"<{priority}>[{number / 1000:12.6f}][{caller:>6}] ".encode() + line + b"\r\n"
        for line in text.encode().split(b"\n")
    )


def compare(
    log: Sequence[str], console: bytes, since: int = 0, level: int = 8, omitted: int = 0
) -> Comparison:
    parser, lines = Parser(FULL), list(Splitter(FULL).feed(console, 0.0))
    parser.feed(console)
    collected = collect(lines)
    believed = {one.first_line for one in parser.reports} | {one.first_line for one in collected}
    records = [kmsg.parse(text) for text in log]
    quoted = parser.quoted
    return kmsg.compare(
        records, lines, since, level, believed, marked=True, omitted=omitted, quoted=quoted
    )


# The log against the console


def test_a_record_is_taken_apart() -> None:
    text = "12,339,5140900,c,caller=C1;a\\x0ab\\x5cx\\x1b[1m"
    assert kmsg.parse(text) == Record(339, 4, 1, 5140900, "C1", ("a", "b\\x"))
    assert kmsg.parse("6,1,0,-;a; b").lines == ("a; b",)
    assert kmsg.parse("6,1,0,-;a\ud800").lines == ("a?",)


@pytest.mark.parametrize("text", ["", "a", "1,2;x", "x,1,1,-;y", "1,1,-1,-;y"])
def test_what_is_no_record_is_an_infra_error(text: str) -> None:
    with pytest.raises(InfraError, match="not a record"):
        kmsg.parse(text)


@given(
    st.lists(
        st.tuples(
            st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40),
            st.sampled_from([0, 4, 7, 12]),
        ),
        max_size=8,
    )
)
def test_a_console_that_shows_all_agrees(texts: list[tuple[str, int]]) -> None:
    log = [in_log(number, text, priority) for number, (text, priority) in enumerate(texts, 1)]
    console = b"".join(
        on_console(number, text, priority) for number, (text, priority) in enumerate(texts, 1)
    )
    found = compare(log, console)
    assert (found.hidden, found.unknown, found.overwritten) == ((), (), 0)
    assert found.problem == ""


STALL = "BUG: workqueue lockup - pool 1"


def test_a_report_that_text_was_written_around_is_not_lost() -> None:
    """Root writes what opens a quote before the kernel's record, and what ends it behind."""
    console = on_console(2, "x: 'a") + on_console(2, STALL) + on_console(2, "b'")
    found = compare([in_log(2, STALL)], console, since=1)
    assert [line.text for line in found.torn] == [STALL]
    assert "as if they were part of other records" in found.problem


def test_a_report_in_a_record_of_many_lines_is_nobodys_report() -> None:
    """The kernel quotes text that has the form of a report."""
    text = f"x: 'a\n{STALL}\nb'"
    found = compare([in_log(2, text)], on_console(2, text), since=1)
    assert (found.torn, found.problem) == ((), "")


def test_what_the_console_does_not_show_is_hidden() -> None:
    log = [in_log(1, "fine"), in_log(2, PANIC), in_log(3, "a program's", 12)]
    found = compare(log, on_console(1, "fine"))
    assert [record.text for record in found.hidden] == [PANIC]
    assert PANIC in found.problem
    assert found.evidence().to_json()["trust"] == "counter"


@pytest.mark.parametrize(
    "console",
    [
        on_console(1, f"calm {on_console(2, PANIC).decode()}"[:-2]),
        on_console(2, PANIC, priority=12),
        on_console(2, PANIC, caller="T8"),
        on_console(3, PANIC),
        f"{PANIC}\n".encode(),
    ],
    ids=["inside another record", "as a program's", "of another caller", "at another time", "bare"],
)
def test_a_record_must_stand_on_the_console_as_it_is(console: bytes) -> None:
    assert len(compare([in_log(2, PANIC)], console, since=1).hidden) == 1


def test_a_record_that_is_too_quiet_for_the_console_is_not_hidden() -> None:
    log = [in_log(1, "debug", 7), in_log(2, "warning", 4)]
    assert len(compare(log, b"", level=7).hidden) == 1
    assert len(compare(log, b"", level=4).hidden) == 0


def test_a_record_that_came_while_there_was_no_time_is_not_hidden() -> None:
    assert compare([in_log(1, PANIC)], f"<4>[    T7] {PANIC}\n".encode()).hidden == ()


def test_a_report_that_the_log_does_not_have_is_unknown() -> None:
    console = on_console(1, "fine") + on_console(2, PANIC) + on_console(3, "no report")
    found = compare([in_log(1, "fine")], console)
    assert [line.text for line in found.unknown] == [PANIC]
    assert "does not have" in found.problem
    rex = on_console(2, "rex: p[1]: panicked on CPU 0: x")
    assert len(compare([in_log(1, "fine")], rex + on_console(1, "fine")).unknown) == 1


def test_a_copy_of_a_report_is_one_too_many() -> None:
    assert len(compare([in_log(1, PANIC)], 2 * on_console(1, PANIC)).unknown) == 1
    as_program = compare([in_log(1, PANIC, 12)], on_console(1, PANIC, 0))
    assert len(as_program.unknown) == 1


def test_a_report_inside_another_record_is_no_report() -> None:
    text = f"tmpfs: Unknown parameter x\n{PANIC}"
    found = compare([in_log(1, text)], on_console(1, text))
    assert [line.text for line in found.inner] == [PANIC]
    assert "not the kernel's own" in found.problem
    assert compare([in_log(1, f"\n{PANIC}")], on_console(1, f"\n{PANIC}")).problem == ""


def test_what_was_overwritten_is_said_and_what_is_as_old_is_left_open() -> None:
    console = on_console(3, PANIC) + on_console(9, PANIC) + on_console(8, "fine")
    found = compare([in_log(8, "fine")], console, since=2)
    assert (found.overwritten, found.undecided, len(found.unknown)) == (5, 1, 1)
    assert "5 records of the kernel's log were overwritten" in found.problem
    left_out = compare([in_log(3, "fine")], on_console(3, "fine"), since=2, omitted=4)
    assert left_out.overwritten == 4


# Settings


def test_settings_that_differ_are_named() -> None:
    now = HEALTHY | {"/proc/consoles": None, "/proc/sys/kernel/printk": "1\t4\t1\t7\n"}
    first, second = settings.changes(HEALTHY, now)
    assert first == "/proc/sys/kernel/printk was '8 4 1 7' and is '1 4 1 7'"
    assert second == "/proc/consoles was '1' and is missing"
    assert settings.changes(HEALTHY, now, {"/proc/sys/kernel/printk", "/proc/consoles"}) == []
    assert [settings.console_level(one) for one in (HEALTHY, now, {})] == [8, 1, 8]


def test_a_level_that_an_oops_raised_hides_nothing() -> None:
    printk = "/proc/sys/kernel/printk"
    assert settings.changes(HEALTHY, HEALTHY | {printk: "15\t4\t1\t7\n"}) == []
    for other in ("15\t7\t1\t7\n", "7\t4\t1\t7\n", "", None):
        assert len(settings.changes(HEALTHY, HEALTHY | {printk: other})) == 1


# The fence


class Guest:
    """A guest whose kernel writes to the console what the tests say."""

    def __init__(self) -> None:
        reading, writing = os.pipe()
        self.source: Any = os.fdopen(reading, "rb")
        self.kernel: Any = os.fdopen(writing, "wb", buffering=0)
        self.console = Console(self.source)
        self.machine = SimpleNamespace(console=self.console, age=0.0)
        self.number, self.log = 100, list[str]()
        self.files: dict[str, str | None] = dict(HEALTHY)
        self.form, self.takes = "<13>[    5.000000][    T7] {}\n", True

    def say(self, number: int, text: str, priority: int = 4, *, shown: bool = True) -> None:
        self.log.append(in_log(number, text, priority))
        if shown:
            self.kernel.write(on_console(number, text, priority))

    def kernel_log(self, word: str, since: int | None, paths: Any, _limit: Any) -> dict[str, Any]:
        self.number += 100
        fence = in_log(self.number, f"kextlab: fence {word}", 13)
        if self.takes:
            self.kernel.write(self.form.format(f"kextlab: fence {word}").encode())
        records = [one for one in self.log if since is not None and kmsg.parse(one).number > since]
        answer = {"records": [*records, fence], "omitted": 0, "files": self.files}
        return answer | ({"fence": self.number} if self.takes else {})

    def close(self) -> None:
        self.kernel.close()
        self.console.join(5)
        self.source.close()


@pytest.fixture
def guest(monkeypatch: pytest.MonkeyPatch) -> Iterator[Guest]:
    monkeypatch.setattr(audit, "scaled", lambda _seconds: Deadline(60))
    # Each number is used once, and none is left out.
    monkeypatch.setattr(kmsg, "compare", without_gaps(kmsg.compare))
    one = Guest()
    yield one
    one.close()


def without_gaps(compare: Any) -> Any:
    def comparing(
        records: Sequence[Record], lines: Any, since: int, *rest: Any, **more: Any
    ) -> Any:
        return compare(records, lines, records[0].number - 1 if records else since, *rest, **more)

    return comparing


@pytest.fixture
def seen(guest: Guest) -> Watch:
    one = Watch(guest, SimpleNamespace(), FULL)  # type: ignore[arg-type]
    one.begin()
    return one


def test_a_console_that_shows_all_is_relied_on(guest: Guest, seen: Watch) -> None:
    guest.say(250, PANIC)
    seen.check_console()
    assert [one.kind for one in seen.evidence] == ["audit"]
    assert [one.kind for one in seen.reports()] == ["panic"]


def test_a_report_that_was_kept_from_the_console_is_an_infra_error(
    guest: Guest, seen: Watch
) -> None:
    guest.say(250, PANIC, shown=False)
    with pytest.raises(InfraError, match=r"does not show 1 records .*no'"):
        seen.check_console()


def test_a_report_that_is_only_on_the_console_becomes_a_forgery(guest: Guest, seen: Watch) -> None:
    guest.kernel.write(on_console(250, PANIC) + on_console(250, "rex: p[1]: faulted on CPU 0: x"))
    with pytest.raises(InfraError, match="shows 2 reports that"):
        seen.check_console()
    assert (seen.reports(), seen.rex_reports()) == ([], ())
    found, count = seen.forgeries()
    assert ([one.means for one in found], count) == (["serial", "serial"], 2)


def test_a_report_from_before_the_first_fence_stands(guest: Guest) -> None:
    one = Watch(guest, SimpleNamespace(), FULL)  # type: ignore[arg-type]
    guest.kernel.write(on_console(90, PANIC))
    one.begin()
    one.check_console()
    assert [report.kind for report in one.reports()] == ["panic"]


@pytest.mark.parametrize(
    ("form", "says"),
    [
        ("<13>[    T7] {}\n", "it has no time"),
        ("<5>[    5.000000][    T7] {}\n", "it is marked as kernel"),
        ("<13>[    5.000000] {}\n", "it is marked as text"),
        ("<4>[    5.000000][    T7] calm <13>[    5.000000][    T7] {}\n", "not a record of its"),
        ("{}\n", "it is not a record of its own|it is marked as text"),
    ],
)
def test_a_fence_must_arrive_as_the_kernel_writes_it(
    guest: Guest, seen: Watch, form: str, says: str
) -> None:
    guest.form = form
    for check in (seen.fence, seen.check_console):
        with pytest.raises(InfraError, match=says):
            check()


def test_a_fence_may_follow_a_programs_unfinished_line(guest: Guest, seen: Watch) -> None:
    guest.form = "guest # " + guest.form
    seen.check_console()


def test_a_setting_that_has_changed_is_named_at_once(guest: Guest, seen: Watch) -> None:
    guest.form = ""
    guest.files["/proc/sys/kernel/printk"] = "1\t4\t1\t7\n"
    with pytest.raises(InfraError, match="kernel/printk was '8 4 1 7' and is '1 4 1 7'"):
        seen.check_console()


def test_a_setting_that_the_scenario_changed_is_excused(guest: Guest, seen: Watch) -> None:
    guest.files["/proc/sys/kernel/printk"] = "4\t4\t1\t7\n"
    guest.say(250, "not to be shown", shown=False)
    seen.check_console({"/proc/sys/kernel/printk"})
    guest.files = dict(HEALTHY)
    seen.check_console((), 4)


def test_a_console_that_stays_silent_is_not_taken_for_a_quiet_one(
    guest: Guest, seen: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "scaled", lambda _seconds: Deadline(0.05))
    guest.form = ""
    with pytest.raises(DeadlineExceeded, match="on the console"):
        seen.fence()
    guest.takes = False
    with pytest.raises(InfraError, match="does not accept"):
        seen.fence()
    guest.takes = True
    guest.close()
    guest.kernel = SimpleNamespace(write=lambda _data: None, close=lambda: None)
    with pytest.raises(ConnectionLost, match="closed"):
        seen.fence()


GOOD = {"records": [], "omitted": 0, "fence": 7, "files": {}}


@pytest.mark.parametrize(
    "wrong",
    [
        {"records": None},
        {"records": [in_log(1, "a"), 7]},
        {"omitted": None},
        {"omitted": float("inf")},
        {"fence": "7"},
        {"files": []},
        {"files": {"/proc/sys/kernel/printk": 8}},
        {"files": {"/proc/sys/kernel/printk": ["8"]}},
    ],
)
def test_an_answer_of_another_form_is_an_infra_error(
    guest: Guest, seen: Watch, wrong: dict[str, Any]
) -> None:
    answer = GOOD | wrong
    guest.kernel_log = lambda *_arguments: answer  # type: ignore[method-assign]
    with pytest.raises(InfraError, match=r"another form|not a record"):
        seen.check_console()


def test_a_watch_that_did_not_begin_compares_nothing(guest: Guest) -> None:
    one = Watch(guest, SimpleNamespace(), FULL)  # type: ignore[arg-type]
    one.check_console()
    assert one.evidence == []


def test_the_parser_hears_what_the_audit_hears(
    guest: Guest, seen: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[Line] = []
    monitor = Collector()
    monkeypatch.setattr(monitor, "take", heard.append)
    seen._rex = monitor
    guest.say(250, "a\nb")
    seen.fence()
    assert [line.text for line in heard[:2]] == ["a", "b"]
