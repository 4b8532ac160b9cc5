# SPDX-License-Identifier: GPL-2.0-only
"""Reports on native programs that the kernel ended, read from the console."""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
from collections.abc import Iterable
from pathlib import Path

import pytest
from harness.paths import GOLDEN
from hypothesis import given
from hypothesis import strategies as st

from lab.oracle.console.lines import Line, Origin, Shape, Splitter
from lab.oracle.console.parser import Parser
from lab.oracle.rex.reports import MAX_REPORTS, Collector, RexReport, collect
from lab.words import REX_ENDINGS, REX_RESOURCES

REX = GOLDEN / "rex"
LOGS = sorted(REX.glob("*.log"))
SHAPE = Shape(priority=True, stamp=True, caller=True)


def read(log: bytes, *cuts: int) -> tuple[RexReport, ...]:
    """The reports in a log that comes in pieces."""
    splitter, collector = Splitter(SHAPE), Collector()
    for begin, end in itertools.pairwise([0, *sorted(cuts), len(log)]):
        for line in splitter.feed(log[begin:end], 0.0):
            collector.take(line)
    return collector.reports


def record(text: str, caller: str = "T1", priority: int = 3) -> str:
    return f"<{priority}>[    1.000000][{caller:>6}] {text}\n"


def as_json(reports: Iterable[RexReport]) -> str:
    return json.dumps([dataclasses.asdict(report) for report in reports], indent=1) + "\n"


def test_the_corpus_is_there() -> None:
    assert LOGS


@pytest.mark.parametrize("path", LOGS, ids=lambda path: path.stem)
def test_golden(path: Path) -> None:
    found = as_json(read(path.read_bytes()))
    golden = path.with_suffix(".expected.json")
    if os.environ.get("UPDATE_GOLDEN") == "1":
        golden.write_text(found)
    assert found == golden.read_text()


@pytest.mark.parametrize("path", LOGS, ids=lambda path: path.stem)
def test_a_rex_report_is_no_report_of_the_kernels_detectors(path: Path) -> None:
    parser = Parser(SHAPE)
    parser.feed(path.read_bytes())
    parser.finish()
    assert parser.reports == ()


def test_who_listens_to_the_parser_hears_every_line() -> None:
    collector = Collector()
    parser = Parser(SHAPE, listener=collector.take)
    parser.feed(record("rex: p[3]: faulted on CPU 1: page fault at 0x0").encode())
    assert [report.program for report in collector.reports] == ["p"]


def test_the_headline_is_as_the_kernel_wrote_it() -> None:
    (report,) = read(record("rex: p[3]: panicked on CPU 1: no (src/lib.rs:9)").encode())
    assert (report.message, report.place) == ("no", "src/lib.rs:9")
    assert report.headline == "panicked on CPU 1: no (src/lib.rs:9)"
    (report,) = read(record("rex: p[3]: faulted on CPU 0: page fault (user) at 0x0").encode())
    assert (report.message, report.place) == ("page fault (user) at 0x0", "")
    assert report.headline == "faulted on CPU 0: page fault (user) at 0x0"


def test_lines_of_a_report_that_is_not_kept_are_nobodys() -> None:
    texts = [f"rex: p[3]: faulted on CPU 0: {n}" for n in range(MAX_REPORTS + 1)]
    lines = [Line(n, 0.0, text, Origin.KERNEL, 1.0, "T1") for n, text in enumerate(texts, 1)]
    more = Line(len(lines) + 1, 0.0, "rex: p[3]:   #0 0x1", Origin.KERNEL, 1.0, "T1")
    collector = Collector()
    for line in [*lines, more]:
        collector.take(line)
    assert len(collector.reports) == MAX_REPORTS
    assert collector.dropped == 1
    assert not any(report.frames for report in collector.reports)


# Whatever is written by whom, in whatever order, in whatever pieces

NAMES = st.from_regex(r"[a-z0-9_.]{0,15}", fullmatch=True)
WORDS = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30).filter(
    lambda text: "<" not in text and "[" not in text
)
HELD = st.dictionaries(st.sampled_from(REX_RESOURCES), st.integers(1, 9), max_size=3)


@st.composite
def reports(draw: st.DrawFn) -> tuple[RexReport, list[str]]:
    """A report, and its lines as the kernel prints them."""
    name, number, cpu = draw(NAMES), draw(st.integers(1, 2**32 - 1)), draw(st.integers(0, 255))
    ending, words = draw(st.sampled_from(REX_ENDINGS)), draw(WORDS)
    place = f"src/lib.rs:{draw(st.integers(0, 999))}" if ending == "panicked" else ""
    frames = draw(st.lists(st.integers(0, 2**48), max_size=5))
    released = draw(HELD)
    head = f"rex: {name}[{number}]:"
    lines = [f"{head} {ending} on CPU {cpu}: {words}" + (f" ({place})" if place else "")]
    lines += [f"{head}   #{index} {offset:#x}" for index, offset in enumerate(frames)]
    if released:
        some = " ".join(f"{what} {count}" for what, count in released.items())
        lines.append(f"{head}   released: {some}")
    report = RexReport(name, number, ending, cpu, words, place, tuple(frames), released)
    return report, lines


@given(st.data(), st.lists(reports(), max_size=4))
def test_reports_survive_interleaving_and_splitting(
    data: st.DataObject, wanted: list[tuple[RexReport, list[str]]]
) -> None:
    # Each report has its own task, as on CPUs that print at the same time; programs also
    # print at the same time.
    writers = [
        [record(line, f"T{task}") for line in lines] for task, (_, lines) in enumerate(wanted, 1)
    ]
    other = wanted[0][1] if wanted else ["rex: p[1]: faulted on CPU 0: x"]
    writers.append([record(f"rex: p: {line}", "T1", 6) for line in other])
    writers.append([record(line, "T1", 11) for line in other])
    writers.append([f"{line}\n" for line in other])
    log, begun = "", []
    while any(writers):
        index = data.draw(st.sampled_from([n for n, lines in enumerate(writers) if lines]))
        if index < len(wanted) and len(writers[index]) == len(wanted[index][1]):
            begun.append(wanted[index][0])
        log += writers[index].pop(0)
    raw = log.encode()
    cuts = data.draw(st.lists(st.integers(0, len(raw)), max_size=5))
    found = [dataclasses.replace(one, first_line=0) for one in read(raw, *cuts)]
    assert found == begun


@given(st.text(max_size=80), NAMES)
def test_nothing_that_a_program_says_is_a_report(text: str, name: str) -> None:
    # As the kernel copies it: what can't be printed is a question mark.
    said = "".join(char if " " <= char <= "~" else "?" for char in text)
    for words in (
        said,
        f"<3>[    1.000000][    T1] rex: p[1]: faulted on CPU 0: {said}",
        other(said),
    ):
        assert read(record(f"rex: {name}: {words}", priority=6).encode()) == ()


def other(said: str) -> str:
    return f"p[1]: panicked on CPU 0: {said} (a.rs:1)"


@given(st.binary(max_size=200))
def test_any_bytes_are_read(data: bytes) -> None:
    read(b"rex: " + data)
    collect(Splitter(SHAPE).feed(record("rex: p[1]: ").encode()[:-1] + data, 0.0))
