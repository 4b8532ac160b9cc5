# SPDX-License-Identifier: GPL-2.0-only
"""The console: stamped, bounded, the same however the bytes arrive, open to a conversation."""

from __future__ import annotations

import os
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.deadline import Deadline, DeadlineExceeded
from lab.vm import console as console_module
from lab.vm.console import Console


class Wire:
    """A console fed by the test."""

    def __init__(self) -> None:
        out_read, self._out_write = os.pipe()
        self.in_read, in_write = os.pipe()
        self._source = os.fdopen(out_read, "rb", buffering=0)
        self._sink = os.fdopen(in_write, "wb", buffering=0)
        self.console = Console(self._source, self._sink)

    def feed(self, data: bytes) -> None:
        os.write(self._out_write, data)

    def end(self) -> Console:
        os.close(self._out_write)
        self.console.join(5)
        self._source.close()
        self._sink.close()
        os.close(self.in_read)
        return self.console


def texts(console: Console) -> list[str]:
    return [line.text for line in console.lines()]


def test_lines_are_split_and_the_unfinished_one_is_seen() -> None:
    wire = Wire()
    wire.feed(b"one\r\ntwo\nthr")
    wire.console.wait_for(lambda lines: len(lines) == 3, Deadline(5), "three lines")
    assert texts(wire.console) == ["one", "two", "thr"]
    wire.feed(b"ee\n")
    assert texts(wire.end()) == ["one", "two", "three"]


def test_a_carriage_return_hides_nothing_before_it() -> None:
    wire = Wire()
    wire.feed(b"INFO: task a\rb:77 blocked\r\n")
    assert texts(wire.end()) == ["INFO: task ab:77 blocked"]


@settings(max_examples=40, deadline=None)
@given(st.text(alphabet="ab\r\n\x1b[0m", max_size=200), st.lists(st.integers(1, 20), max_size=30))
def test_chunks_make_no_difference(text: str, sizes: list[int]) -> None:
    data = text.encode()
    whole, parts = Wire(), Wire()
    if data:
        whole.feed(data)
    rest = data
    for size in sizes:
        if rest[:size]:
            parts.feed(rest[:size])
        rest = rest[size:]
    if rest:
        parts.feed(rest)
    assert texts(whole.end()) == texts(parts.end())


def test_a_flood_keeps_head_and_tail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console_module, "HEAD_LINES", 10)
    wire = Wire()
    total = 10 + console_module.TAIL_LINES + 500
    for number in range(total):
        wire.feed(b"%d\n" % number)
    console = wire.end()
    kept = texts(console)
    assert kept[:10] == [str(number) for number in range(10)]
    assert kept[-1] == str(total - 1)
    assert console.dropped == 500
    assert "[... 500 lines dropped ...]" in console.text()


def test_a_line_without_end_is_cut_into_bounded_pieces() -> None:
    wire = Wire()
    wire.feed(b"x" * (console_module.MAX_LINE * 3))
    assert max(len(text) for text in texts(wire.end())) <= console_module.MAX_LINE


def test_marks_survive_dropped_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console_module, "HEAD_LINES", 2)
    wire = Wire()
    wire.feed(b"a\nb\nc\n")
    wire.console.wait_for(lambda lines: len(lines) == 3, Deadline(5), "three lines")
    mark = wire.console.count
    wire.feed(b"d\ne\n")
    console = wire.end()
    assert [line.text for line in console.lines(since=mark)] == ["d", "e"]


def test_waiting_ends_at_the_deadline_or_when_the_console_closes() -> None:
    wire = Wire()
    with pytest.raises(DeadlineExceeded):
        wire.console.wait_for(lambda lines: False, Deadline(0.05), "nothing")
    wire.end()
    assert wire.console.wait_for(lambda lines: False, Deadline(5), "nothing") is None


def test_a_conversation_sees_what_comes_and_types() -> None:
    wire = Wire()
    wire.feed(b"before\n")
    wire.console.wait_for(lambda lines: lines, Deadline(5), "a line")
    talk = wire.console.talk()
    wire.feed(b"login: ")
    talk.expect("login: ", timeout=5)
    talk.sendline("root")
    assert os.read(wire.in_read, 100) == b"root\n"
    assert "before" not in talk.before
    talk.close()
    wire.end()


def test_stamps_grow() -> None:
    wire = Wire()
    wire.feed(b"a\n")
    wire.console.wait_for(lambda lines: lines, Deadline(5), "a line")
    time.sleep(0.02)
    wire.feed(b"b\n")
    first, second = wire.end().lines()
    assert second.at > first.at
