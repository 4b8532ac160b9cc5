# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's own log, compared with the console. Trust: COUNTER, as the guest reads it.

    6,339,5140900,-,caller=T1;text

is a record as /dev/kmsg gives it (Documentation/ABI/testing/dev-kmsg): priority
with facility, number, microseconds, flags, caller; in the text, backslashes and
unprintable characters are `\\xNN`.

The two have different weaknesses. The console can be made quiet, and programs can
write to the serial line. The kernel writes the log, but the guest reads it.
So neither overrules the other: if they differ, nothing is certain.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from lab.errors import InfraError
from lab.oracle.console.forgeries import claims
from lab.oracle.console.lines import Line, Origin, clean
from lab.oracle.evidence import Evidence

_HEAD = re.compile(
    r"(?P<priority>[0-9]{1,4}),(?P<number>[0-9]{1,20}),(?P<time>[0-9]{1,18}),"
    r"[^,;]*(?:,caller=(?P<caller>[CT][0-9]{1,10}))?[^;]*;"
)
_ESCAPE = re.compile(rb"\\x([0-9a-f]{2})")
# The console's buffer for one record cuts records with very many lines.
_MOST_LINES = 16

# A line as both have it: from a program or not, microseconds, caller, text.
_Key = tuple[bool, int | None, str, str]


@dataclass(frozen=True)
class Record:
    """One record: `stamp` in microseconds since the boot, `lines` as the console shows them."""

    number: int
    level: int
    facility: int
    stamp: int
    caller: str
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        return " ".join(self.lines)


@dataclass(frozen=True)
class Comparison:
    """The result of comparing the console with the log."""

    records: int  #: the number of records that were compared
    hidden: tuple[Record, ...] = ()  #: records that are in the log and not on the console
    #: Lines that were believed to begin a report, and are not in the log.
    unknown: tuple[Line, ...] = ()
    #: Lines that were believed to begin a report, and are inside other records.
    inner: tuple[Line, ...] = ()
    #: Lines in a report's form that were taken for a part of another record, and are records
    #: of their own in the log.
    torn: tuple[Line, ...] = ()
    overwritten: int = 0  #: records that were gone when the log was read
    undecided: int = 0  #: reports that are as old as those records

    @property
    def hint(self) -> str:
        """The remedy for a problem; "" if nothing helps."""
        if not self.overwritten:
            return ""
        return "print less, or give the kernel more room: machine: {boot: [log_buf_len=4M]}"

    @property
    def problem(self) -> str:
        """The reason why the console can't be relied on; "" if it can."""
        found = []
        if self.hidden:
            # A line that begins a report is the most useful example.
            first = next((one for one in self.hidden if claims(one.lines[0])), self.hidden[0])
            found.append(
                f"the console does not show {len(self.hidden)} records of the kernel's own log, "
                f"such as {first.text[:200]!r}"
            )
        if self.unknown:
            first_line = self.unknown[0]
            found.append(
                f"the console shows {len(self.unknown)} reports that the kernel's own log does "
                f"not have, such as line {first_line.number}, {first_line.text[:200]!r}: they "
                "were written straight to the serial device, or the log was changed"
            )
        if self.inner:
            first_line = self.inner[0]
            found.append(
                f"the console shows {len(self.inner)} reports inside other records, such as line "
                f"{first_line.number}, {first_line.text[:200]!r}: that text is not the kernel's own"
            )
        if self.torn:
            first_line = self.torn[0]
            found.append(
                f"the console shows {len(self.torn)} reports of the kernel as if they were part of "
                f"other records, such as line {first_line.number}, {first_line.text[:200]!r}: text "
                "was written around them, straight to the serial device"
            )
        if self.overwritten:
            found.append(
                f"{self.overwritten} records of the kernel's log were overwritten before they "
                f"could be compared with the console, which shows {self.undecided} reports of then"
            )
        return "; ".join(found)

    def evidence(self) -> Evidence:
        """Return the comparison as evidence."""
        agree = f"the console shows all {self.records} records of the kernel's own log"
        data = {
            "records": self.records,
            "hidden": [one.text for one in self.hidden[:20]],
            "overwritten": self.overwritten,
        }
        return Evidence("audit", self.problem or agree, data)


def unchecked(why: str) -> Evidence:
    """Return evidence that the console was not compared with the log, and why."""
    summary = f"the console was not compared with the kernel's own log: {why}"
    return Evidence("audit", summary, {"records": 0, "hidden": [], "overwritten": 0})


def parse(text: str) -> Record:
    """Parse a record; raise `InfraError` if it is not one."""
    head = _HEAD.match(text)
    if head is None:
        raise InfraError("the guest's kernel log has an entry that is not a record", details=text)
    raw = text[head.end() :].encode(errors="replace")
    raw = _ESCAPE.sub(lambda found: bytes.fromhex(found[1].decode()), raw)
    priority = int(head["priority"])
    lines = raw.decode("utf-8", errors="replace").split("\n")
    return Record(
        int(head["number"]),
        priority & 7,
        priority >> 3,
        int(head["time"]),
        head["caller"] or "",
        tuple(clean(line.strip("\r")) for line in lines),
    )


def compare(
    records: Sequence[Record],
    lines: Iterable[Line],
    since: int,
    level: int,
    believed: Collection[int],
    *,
    marked: bool,
    omitted: int = 0,
    quoted: Collection[int] = (),
) -> Comparison:
    """Compare a console's lines with the log's records after number `since`.

    The console shows records below `level`; `believed` are the numbers of the lines that
    begin reports, and `quoted` those of lines that were taken for a part of another record
    and have a report's form. `marked` says that the console shows priorities; the reader of
    the log left out `omitted` records.
    """
    shown = [line for line in lines if line.origin is not Origin.TEXT]
    left = Counter(_key_of_line(line, marked) for line in shown)
    begins: Counter[_Key] = Counter()
    inside: Counter[_Key] = Counter()
    hidden = []
    for record in records:
        keys = list(_keys(record, marked))
        head = next((index for index, key in enumerate(keys) if key[3]), 0)
        begins.update(_also_timeless(keys[: head + 1]))
        inside.update(_also_timeless(keys[head + 1 :]))
        due = record.facility == 0 and record.level < level
        # Lines printed while the time was switched off have none.
        if due and not all(_take(left, key, _timeless(key)) for key in keys[:_MOST_LINES]):
            hidden.append(record)
    first = records[0].number if records else since + 1
    gone = max(0, first - since - 1)
    torn = [
        line
        for line in shown
        if line.number in quoted
        and not _take(inside, key := _key_of_line(line, marked))
        and _take(begins, key)
    ]
    unknown: list[Line] = []
    inner: list[Line] = []
    for line in (line for line in shown if line.number in believed):
        key = _key_of_line(line, marked)
        if not _take(begins, key):
            (inner if _take(inside, key) else unknown).append(line)
    # A report older than the log's first record can't be called forged.
    oldest = records[0].stamp if records and gone else 0
    decided = [] if omitted else [line for line in unknown if _age(line) >= oldest]
    return Comparison(
        len(records),
        tuple(hidden),
        tuple(decided),
        tuple(inner),
        tuple(torn),
        gone + omitted,
        len(unknown) - len(decided),
    )


def _take(left: Counter[_Key], *keys: _Key) -> bool:
    """Remove one line from the first key that has any left; return whether there was one."""
    for key in keys:
        if left[key] > 0:
            left[key] -= 1
            return True
    return False


def _timeless(key: _Key) -> _Key:
    return key[0], None, key[2], key[3]


def _also_timeless(keys: list[_Key]) -> list[_Key]:
    return [*keys, *(_timeless(key) for key in keys)]


def _age(line: Line) -> float:
    return float("inf") if line.stamp is None else _microseconds(line.stamp)


def _keys(record: Record, marked: bool) -> Iterable[_Key]:
    for text in record.lines:
        yield marked and record.facility > 0, record.stamp, record.caller, text


def _key_of_line(line: Line, marked: bool) -> _Key:
    stamp = None if line.stamp is None else _microseconds(line.stamp)
    return marked and line.origin is Origin.USER, stamp, line.caller, line.text


def _microseconds(seconds: float) -> int:
    return round(seconds * 1e6)
