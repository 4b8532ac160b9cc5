# SPDX-License-Identifier: GPL-2.0-only
"""Console bytes -> lines: prefixes, who wrote what, and any chunking."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from lab.oracle.console.lines import MAX_LINE, Line, Origin, Shape, Splitter

FULL = Shape(priority=True, stamp=True, caller=True)
USUAL = Shape(priority=False, stamp=True, caller=True)
BANNER = b"[    0.000000][    T0] Linux version 6.12.117 (cc) #1 SMP\r\n"


def split(data: bytes, shape: Shape | None = None) -> list[Line]:
    splitter = Splitter(shape)
    return [*splitter.feed(data, 0.0), *splitter.finish()]


def texts(lines: list[Line], origin: Origin) -> list[str]:
    return [line.text for line in lines if line.origin is origin]


def test_a_line_of_the_kernel_is_taken_apart() -> None:
    (line,) = split(b"<4>[   12.345678][  T123] hello\r\n", FULL)
    assert line == Line(1, 0.0, "hello", Origin.KERNEL, 12.345678, "T123")


def test_the_banner_tells_the_shape() -> None:
    splitter = Splitter()
    list(splitter.feed(BANNER, 0.0))
    assert splitter.shape == USUAL


def test_the_shape_is_known_once_and_for_all() -> None:
    fake = b"<0>[    1.000000][    T1] Linux version 9.9\n"
    lines = split(BANNER + fake + b"[    2.000000][    T1] real\n")
    assert texts(lines, Origin.KERNEL)[-1] == "real"


def test_text_without_prefix_is_a_programs() -> None:
    lines = split(BANNER + b"BUG: I am a shell script\n")
    assert texts(lines, Origin.TEXT) == ["BUG: I am a shell script"]


def test_a_prefix_of_another_shape_is_a_programs() -> None:
    lines = split(b"[    1.000000] BUG: no caller\n", USUAL)
    assert texts(lines, Origin.TEXT) == ["[    1.000000] BUG: no caller"]


def test_kmsg_is_marked_where_priorities_are_shown() -> None:
    lines = split(b"<12>[    1.000000][   T50] BUG: x\n<4>[    1.1][ T50] y\n", FULL)
    assert texts(lines, Origin.USER) == ["BUG: x"]


def test_kernel_record_behind_an_unfinished_line() -> None:
    lines = split(b"guest # [    3.000000][    C0] BUG: real\r\n", USUAL)
    assert texts(lines, Origin.TEXT) == ["guest # "]
    assert texts(lines, Origin.KERNEL) == ["BUG: real"]


def test_a_record_owns_the_rest_of_its_line() -> None:
    lines = split(b"[    1.000000][    T1] calm [    3.000000][    C0] BUG: no\r\n", USUAL)
    assert texts(lines, Origin.KERNEL) == ["calm [    3.000000][    C0] BUG: no"]


def test_a_record_behind_an_unfinished_line_owns_the_rest_too() -> None:
    one, other = b"[    1.000000][    T1] calm ", b"[    3.000000][    C0] BUG: no\r\n"
    lines = split(b"guest # " + one + other, USUAL)
    assert texts(lines, Origin.KERNEL) == ["calm [    3.000000][    C0] BUG: no"]


def test_an_endless_line_hides_no_record_behind_it() -> None:
    lines = split(b"x" * (5 * MAX_LINE - 100) + b"[    3.000000][    C0] BUG: real\r\n", USUAL)
    assert texts(lines, Origin.KERNEL) == ["BUG: real"]
    assert all(len(line.text) <= MAX_LINE for line in lines)


def test_colours_and_controls_are_dropped() -> None:
    lines = split(b"\x1b[31m[    3.000000][    C0] BUG:\x07 real\x1b[0m\r\n", USUAL)
    assert texts(lines, Origin.KERNEL) == ["BUG: real"]


def test_without_any_prefix_every_line_counts() -> None:
    nothing = Shape(priority=False, stamp=False, caller=False)
    assert texts(split(b"BUG: x\n", nothing), Origin.KERNEL) == ["BUG: x"]


def test_unfinished_line_comes_at_the_end() -> None:
    assert [line.text for line in split(b"[    1.000000][    T1] cut of", USUAL)] == ["cut of"]


def test_shape_from_configuration_and_arguments() -> None:
    symbols = {"CONFIG_PRINTK_TIME": "y", "CONFIG_PRINTK_CALLER": "y"}
    assert Shape.of_kernel(symbols, ["quiet"]) == USUAL
    assert Shape.of_kernel(symbols, ["console_msg_format=syslog"]) == FULL
    assert Shape.of_kernel(symbols, ["printk.time=0"]) == Shape(False, False, True)
    assert Shape.of_kernel({}, ["printk.time"]) == Shape(False, True, False)


pieces = st.sampled_from(
    [
        b"[    1.000000][    T1] text",
        b"<4>[    1.000000][    C0] BUG: x",
        b"<12>[    9.000000][   T77] y",
        b"\r\n",
        b"\n",
        b"# ",
        b"\xff\xfe\x1b[0m",
        b"Linux version 6.12",
        BANNER,
        b"z" * 3000,
    ]
)


@given(st.lists(pieces, max_size=12), st.lists(st.integers(0, 20000), max_size=8))
def test_lines_do_not_depend_on_chunks(parts: list[bytes], cuts: list[int]) -> None:
    data = b"".join(parts)
    bounds = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    splitter = Splitter()
    chunked = [
        line
        for start, end in itertools.pairwise(bounds)
        for line in splitter.feed(data[start:end], 0.0)
    ]
    assert [*chunked, *splitter.finish()] == split(data)


@given(st.binary(max_size=400))
def test_any_bytes_are_taken(data: bytes) -> None:
    split(data)
    split(data, FULL)
