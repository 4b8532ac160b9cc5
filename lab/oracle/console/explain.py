# SPDX-License-Identifier: GPL-2.0-only
"""Find the form of a log, then read the kernel's reports in it as on a console."""

from __future__ import annotations

import io
import itertools
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from lab.errors import UserError
from lab.oracle.console.lines import Shape, has_prefix, shape_of
from lab.oracle.console.log_forms import (
    BARE,
    CONSOLE,
    FORMS,
    NAMES,
    Form,
    State,
    clean,
    form_of_line,
    lines_of,
)
from lab.oracle.console.openings import opening_of
from lab.oracle.console.parser import Parser
from lab.oracle.console.reports import Report

# Bytes of a line that are kept, and how much is read to find the form.
_MAX_LINE = 16384
_SAMPLE_BYTES = 4 << 20
_SAMPLE_LINES = 1000

# A kernel's prefix after text that a program left on the console's line.
_INSIDE = re.compile(r"\[\s{0,5}\d{1,7}\.\d{6}\](?:\[\s*[CT]\d+\])? \S")

# A log is a console's even if lines of another form outnumber the console's by this factor.
_RARE = 20

# Lines with a prefix that show what shape all prefixes have, and the part that must have it.
_SHAPED_LINES = 40
_MOST = 0.95

# Texts that only a kernel prints, in a log whose lines have neither time nor origin.
_KERNELS_WORDS = re.compile(
    r"^(?:Linux version \d|Command line: |Call Trace:|Modules linked in:|RIP: 0010:"
    r"|Hardware name: |CPU: \d+ (?:UID: \d+ )?PID: \d+ Comm: |Kernel panic |BIOS-provided "
    r"|Freeing unused )"
)


@dataclass(frozen=True)
class Explanation:
    """The reports of a log."""

    form: Form
    lines: int  #: the number of lines of the log
    reports: tuple[Report, ...]  #: by their first line
    more: int = 0  #: the number of reports that were left out
    forged: int = 0  #: the number of texts in a report's form that are not the kernel's
    forgeries: tuple[str, ...] = ()  #: the first of them
    losses: tuple[str, ...] = ()  #: the first signs that text of the kernel is missing


def explain(log: bytes | BinaryIO, form: str | None = None) -> Explanation:
    """Return the reports in a log, read in bounded memory.

    `form` is one of `log_forms.NAMES`; it is found from the first lines if it is not given.
    Raises `UserError` if the form is not known.
    """
    lines = _lines(io.BytesIO(log) if isinstance(log, bytes) else log)
    sample = _sample(lines)
    chosen = _named(form) if form else find_form(sample)
    texts = [clean(raw) for raw in sample]
    prefixed = chosen is CONSOLE and any(map(has_prefix, texts))
    parser = Parser(usual_shape(texts) if prefixed else None, prefixed=prefixed)
    state = State()
    number = 0
    for number, raw in enumerate(itertools.chain(sample, lines), 1):
        if chosen.read is None:
            parser.feed(raw + b"\n")
        else:
            parser.feed_lines(lines_of(chosen, clean(raw), number, state))
    parser.finish()
    return Explanation(
        form=chosen,
        lines=number,
        reports=parser.reports,
        more=parser.dropped,
        forged=parser.forged,
        forgeries=tuple(map(str, parser.forgeries)),
        losses=tuple(map(str, parser.losses)),
    )


def usual_shape(texts: list[str]) -> Shape | None:
    """Return the shape of a console's prefixes; None if the sample is small or they differ.

    A few lines of another shape are not the kernel's: it has one.
    """
    shapes = Counter(filter(None, map(shape_of, texts)))
    if shapes.total() < _SHAPED_LINES:
        return None
    shape, count = shapes.most_common(1)[0]
    return shape if count >= _MOST * shapes.total() else None


def find_form(sample: list[bytes]) -> Form:
    """Return the form that most lines of a sample have. Raises `UserError` if none has one."""
    counts: Counter[str] = Counter()
    inside = kernels = 0
    for raw in sample:
        text = clean(raw)
        form = form_of_line(text)
        if form is not None:
            counts[form.name] += 1
        elif _INSIDE.search(text):
            inside += 1
        elif _KERNELS_WORDS.match(text) or opening_of(text):
            kernels += 1
    if not any(map(clean, sample)):
        return BARE  # an empty log has no reports, in whatever form
    if counts:
        # On a console there may be more lines of daemons than of the kernel; in the other
        # forms no line begins as a console's.
        name, best = counts.most_common(1)[0]
        return CONSOLE if _RARE * counts[CONSOLE.name] >= best else _named(name)
    if inside:
        return CONSOLE
    if kernels:
        return BARE
    raise UserError(
        "the form of this log is not known",
        hint=f"give it with --form ({', '.join(NAMES)}); docs/explain.md shows a line of each",
    )


def _named(name: str) -> Form:
    form = next((form for form in (*FORMS, BARE) if form.name == name), None)
    if form is None:
        raise UserError(f"no form is called '{name}'", hint=f"one of {', '.join(NAMES)}")
    return form


def _lines(stream: BinaryIO) -> Iterator[bytes]:
    """Yield the lines of a stream without their ends, each at most `_MAX_LINE` long."""
    while line := stream.readline(_MAX_LINE):
        ended = line.endswith(b"\n")
        yield line.rstrip(b"\r\n")
        while not ended:
            rest = stream.readline(_MAX_LINE)
            ended = not rest or rest.endswith(b"\n")


def _sample(lines: Iterator[bytes]) -> list[bytes]:
    """Return the first lines, until enough of them show a form."""
    sample: list[bytes] = []
    size = known = 0
    for raw in lines:
        sample.append(raw)
        size += len(raw)
        known += form_of_line(clean(raw)) is not None
        if known >= _SAMPLE_LINES or size >= _SAMPLE_BYTES:
            break
    return sample
