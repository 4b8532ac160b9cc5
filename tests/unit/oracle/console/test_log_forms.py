# SPDX-License-Identifier: GPL-2.0-only
"""Logs in all known forms give the same reports as the console."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from harness.paths import GOLDEN
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.errors import UserError
from lab.oracle.console.explain import Explanation, explain
from lab.oracle.console.lines import Line, Origin, Splitter
from lab.oracle.console.log_forms import NAMES

CORPUS = GOLDEN / "console"
# A form without origins believes a program's text in the form of a report.
LOGS = sorted(log for log in CORPUS.glob("*.log") if "fakes" not in log.stem)
BOOTED = datetime(2026, 11, 29, 1, 54, 8, tzinfo=UTC)


def lines_of(log: Path) -> list[Line]:
    splitter = Splitter()
    data = log.read_bytes()
    return [*splitter.feed(data, 0.0), *splitter.finish()]


def when(line: Line) -> datetime:
    return BOOTED + timedelta(seconds=line.stamp or 0.0)


def program(line: Line) -> bool:
    return line.origin is Origin.TEXT


# Each renders a line in its form; the first few have the caller.


def console(line: Line) -> str:
    return line.text if program(line) else f"[{line.stamp:12.6f}][{line.caller:>6}] {line.text}"


def dmesg_callers(line: Line) -> str:
    return f"[{line.stamp:12.6f}] [{line.caller:>7}] {line.text}"


def kmsg(line: Line) -> str:
    text = re.sub(r"[\\\x80-\xff]", lambda one: f"\\x{ord(one[0]):02x}", line.text)
    stamp = round((line.stamp or 0.0) * 1e6)
    return f"4,{line.number},{stamp},-,caller={line.caller};{text}\n SUBSYSTEM=x"


def netconsole(line: Line) -> str:
    return "6.12.0," + kmsg(line).partition("\n")[0]


def fragments(line: Line) -> str:
    head, _, text = kmsg(line).partition("\n")[0].partition(";")
    half, size = len(text) // 2, len(text)
    return f"{head},ncfrag=0/{size};{text[:half]}{head},ncfrag={half}/{size};{text[half:]}"


def syslog(line: Line) -> str:
    return f"{when(line):%b %e %H:%M:%S} host kernel: {console(line)}"


def busybox(line: Line) -> str:
    return syslog(line).replace("host kernel:", "host kern.warn kernel:")


# These do not.


def short(line: Line) -> str:
    source = "sh[12]" if program(line) else "kernel"
    return f"{when(line):%b %d %H:%M:%S} host {source}: {line.text}"


def precise(line: Line) -> str:
    return short(line).replace(" host", f".{when(line):%f} host", 1)


def iso(line: Line) -> str:
    return f"{when(line):%Y-%m-%dT%H:%M:%S%z} host kernel: {line.text}"


def full(line: Line) -> str:
    return f"{when(line):%a %Y-%m-%d %H:%M:%S} UTC host kernel: {line.text}"


def unix(line: Line) -> str:
    return f"{when(line).timestamp():.6f} host kernel: {line.text}"


def monotonic(line: Line) -> str:
    return f"[{line.stamp:12.6f}] host kernel: {line.text}"


def dmesg(line: Line) -> str:
    return f"[{line.stamp:12.6f}] {line.text}"


def raw(line: Line) -> str:
    return f"<4>[{line.stamp:12.6f}] {line.text}"


def decoded(line: Line) -> str:
    return f"kern  :warn  : [{line.stamp:12.6f}] {line.text}"


def ctime(line: Line) -> str:
    return f"[{when(line):%a %b %e %H:%M:%S %Y}] {line.text}"


def iso_dmesg(line: Line) -> str:
    return f"{when(line):%Y-%m-%dT%H:%M:%S,%f}+00:00 {line.text}"


def as_json(line: Line) -> str:
    stamp = str(round((line.stamp or 0.0) * 1e6))
    entry = {"MESSAGE": line.text, "_TRANSPORT": "kernel", "__MONOTONIC_TIMESTAMP": stamp}
    return json.dumps(entry)


Render = Callable[[Line], str]
WITH_CALLER: dict[str, Render] = {
    "console": console, "dmesg with callers": dmesg_callers, "kmsg": kmsg,
    "netconsole": netconsole, "fragments": fragments, "syslog": syslog, "busybox": busybox,
}  # fmt: skip
WITHOUT_CALLER: dict[str, Render] = {
    "short-precise": precise, "short-iso": iso, "short-full": full, "short-unix": unix,
    "short-monotonic": monotonic, "dmesg": dmesg, "dmesg -r": raw, "dmesg -x": decoded,
    "dmesg iso": iso_dmesg, "journal json": as_json, "short": short, "dmesg -T": ctime,
}  # fmt: skip


def kernels(log: Path) -> list[Line]:
    return [line for line in lines_of(log) if not program(line) and line.stamp is not None]


def rendered(lines: list[Line], render: Render, end: str = "\n") -> bytes:
    return "".join(render(line) + end for line in lines).encode()


def facts(explanation: Explanation) -> list[tuple[str, str, str, int | None, bool]]:
    return [
        (report.kind, report.title, report.task, report.cpu, report.complete)
        for report in explanation.reports
    ]


# One log of each kind of report, and of how they mix.
TIMED = [
    CORPUS / f"{name}.log"
    for name in (
        "atomic-leaked", "benign-boot", "bpf-soft-lockup", "double-fault", "hard-lockup-for-ever",
        "hung-task-mutex", "list-poison", "oom", "oops-both-cpus", "oops-twice", "panic-cut",
        "rcu-stall-then-all", "slub-double-free", "warn-bare", "wq-lockup",
    )
]  # fmt: skip


@pytest.mark.parametrize("name", WITH_CALLER)
def test_form_with_callers_gives_the_consoles_reports(name: str) -> None:
    for log in TIMED:
        lines = kernels(log)
        wanted = facts(explain(rendered(lines, console)))
        assert facts(explain(rendered(lines, WITH_CALLER[name]))) == wanted, log.stem


@pytest.mark.parametrize("name", WITHOUT_CALLER)
def test_form_without_callers_gives_the_reports_of_a_console_without(name: str) -> None:
    for log in TIMED:
        lines = kernels(log)
        wanted = facts(explain(rendered(lines, dmesg)))
        found = facts(explain(rendered(lines, WITHOUT_CALLER[name])))
        if name in ("short", "dmesg -T"):
            # A second is too coarse to always find the end of a report without an end marker.
            assert [one[:2] for one in found] == [one[:2] for one in wanted], log.stem
        else:
            assert found == wanted, log.stem


@pytest.mark.parametrize("name", [*WITH_CALLER, *WITHOUT_CALLER])
def test_form_is_found(name: str) -> None:
    lines = kernels(CORPUS / "oops-twice.log")
    data = rendered(lines, {**WITH_CALLER, **WITHOUT_CALLER}[name])
    expected = {
        "console": "console", "dmesg": "console", "dmesg -r": "console", "kmsg": "kmsg",
        "netconsole": "kmsg", "fragments": "kmsg", "short-monotonic": "monotonic",
        "journal json": "journal-json", "dmesg -T": "dmesg", "dmesg -x": "dmesg",
        "dmesg iso": "dmesg", "dmesg with callers": "dmesg",
    }  # fmt: skip
    assert explain(data).form.name == expected.get(name, "journal")


@pytest.mark.parametrize("log", LOGS, ids=lambda log: log.stem)
def test_a_log_of_the_corpus_is_read_as_the_console_is(log: Path) -> None:
    expected = json.loads(log.with_suffix(".expected.json").read_text())
    found = explain(log.read_bytes())
    assert found.form.name in ("console", "bare")
    assert [one.title for one in found.reports] == [one["title"] for one in expected["reports"]]
    assert found.lines == log.read_bytes().count(b"\n")


def test_lines_are_counted_as_the_file_has_them() -> None:
    lines = kernels(CORPUS / "oops-twice.log")
    data = b"Nov 29 01:54:00 host sshd[1]: hello\n" * 7 + rendered(lines, precise)
    wanted = [report.first_line + 7 for report in explain(rendered(lines, dmesg)).reports]
    assert [report.first_line for report in explain(data).reports] == wanted


def test_what_a_program_says_in_a_journal_is_not_the_kernels() -> None:
    lines = kernels(CORPUS / "oops-null-read.log")
    data = rendered(lines, precise).replace(b" host kernel: ", b" host logger[12]: ")
    assert explain(data).reports == ()
    forged = rendered(lines, kmsg).replace(b"4,", b"12,", 1)
    assert len(explain(b"12" + forged[2:]).reports) == 1
    assert explain(re.sub(rb"(?m)^4,", b"12,", rendered(lines, kmsg))).reports == ()
    users = rendered(lines, decoded).replace(b"kern  :", b"user  :")
    assert explain(users).reports == ()


def test_further_lines_of_a_journals_message_belong_to_it() -> None:
    margin = " " * len("Nov 29 01:54:08 host kernel: ")
    log = (
        "Nov 29 01:54:08 host kernel: usb 1-1: quiet\n"
        "Nov 29 01:54:08 host sh[1]: first\n"
        f"{margin}BUG: said by sh\n"
        "Nov 29 01:54:09 host kernel: veth0: first\n"
        f"{margin}BUG: said by the kernel\n"
    )
    (report,) = explain(log.encode()).reports
    assert (report.title, report.first_line) == ("said by the kernel", 5)


def test_relative_times_of_dmesg_are_read() -> None:
    lines = kernels(CORPUS / "warn.log")
    log = "[Nov29 01:54] Linux version 6.12.0\n" + "".join(
        f"[  +0.000100] {line.text}\n" for line in lines
    )
    assert [report.title for report in explain(log.encode()).reports] == ["WARNING in fault_warn"]


def test_bare_text_of_a_kernel_is_read_and_other_text_is_refused() -> None:
    lines = kernels(CORPUS / "oops-null-read.log")
    bare = explain("".join(f"{line.text}\n" for line in lines).encode())
    assert bare.form.name == "bare"
    assert bare.reports[0].title == "NULL pointer dereference in fault_null_read"
    with pytest.raises(UserError, match="form of this log is not known"):
        explain(b"root:x:0:0:root:/root:/bin/sh\nnobody:x:1:1::/:/bin/false\n")
    with pytest.raises(UserError, match="no form is called 'dmseg'"):
        explain(b"", "dmseg")


def test_an_empty_log_has_no_report() -> None:
    assert explain(b"").reports == explain(b"\n\n").reports == ()


@pytest.mark.parametrize("name", [*WITH_CALLER, *WITHOUT_CALLER])
def test_ends_of_lines_do_not_matter(name: str) -> None:
    render = {**WITH_CALLER, **WITHOUT_CALLER}[name]
    lines = kernels(CORPUS / "warn.log")
    assert facts(explain(rendered(lines, render, "\r\n"))) == facts(
        explain(rendered(lines, render))
    )


class Endless(io.RawIOBase):
    """A log that never holds more than one line."""

    def __init__(self, head: bytes, line: bytes, count: int) -> None:
        self.rest, self.line, self.count = head, line, count

    def readline(self, limit: int | None = -1) -> bytes:
        if not self.rest:
            if not self.count:
                return b""
            self.count -= 1
            self.rest = self.line
        size = len(self.rest) if limit is None or limit < 0 else limit
        end = self.rest.find(b"\n", 0, size)
        size = end + 1 if end >= 0 else size
        taken, self.rest = self.rest[:size], self.rest[size:]
        return taken


def test_a_line_without_end_does_not_hide_what_follows() -> None:
    lines = kernels(CORPUS / "warn.log")
    head = b"[    1.000000] " + b"x" * 200_000 + b"\n" + rendered(lines, dmesg)
    stream = Endless(head, b"[   99.000000] usb 1-1: quiet\n", 3000)
    found = explain(stream)  # type: ignore[arg-type]
    assert [report.title for report in found.reports] == ["WARNING in fault_warn"]
    assert found.lines == 1 + len(lines) + 3000


@settings(max_examples=60, deadline=None)
@given(
    data=st.binary(max_size=400),
    name=st.sampled_from([*WITH_CALLER, *WITHOUT_CALLER]),
    at=st.integers(0, 60),
)
def test_garbage_between_lines_does_no_harm(data: bytes, name: str, at: int) -> None:
    lines = kernels(CORPUS / "oops-null-read.log")
    render = {**WITH_CALLER, **WITHOUT_CALLER}[name]
    before, after = rendered(lines[:at], render), rendered(lines[at:], render)
    explain(before + data + b"\n" + after)


@settings(max_examples=60, deadline=None)
@given(data=st.binary(max_size=2000), form=st.sampled_from([None, *NAMES]))
def test_any_bytes_are_read_or_refused(data: bytes, form: str | None) -> None:
    try:
        explain(data, form)
    except UserError:
        assert form is None


@settings(max_examples=30, deadline=None)
@given(
    log=st.sampled_from(TIMED),
    name=st.sampled_from([*WITH_CALLER]),
    start=st.integers(0, 400),
    size=st.integers(1, 400),
)
def test_a_part_of_a_log_gives_the_same_in_each_form(
    log: Path, name: str, start: int, size: int
) -> None:
    lines = kernels(log)[start : start + size]
    if lines:
        wanted = facts(explain(rendered(lines, console), "console"))
        form = {"dmesg with callers": "dmesg", "syslog": "journal", "busybox": "journal"}
        chosen = form.get(name, "console" if name == "console" else "kmsg")
        assert facts(explain(rendered(lines, WITH_CALLER[name]), chosen)) == wanted


@pytest.mark.parametrize("name", [*WITH_CALLER, *WITHOUT_CALLER])
def test_benign_logs_give_no_report_in_any_form(name: str) -> None:
    for log in ("benign-boot", "benign-sysrq", "benign-segfaults", "benign-module-refused"):
        lines = kernels(CORPUS / f"{log}.log")
        found = explain(rendered(lines, {**WITH_CALLER, **WITHOUT_CALLER}[name]))
        assert found.reports == (), log
