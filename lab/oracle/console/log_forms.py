# SPDX-License-Identifier: GPL-2.0-only
"""Logs in common forms -> the lines that the console's parser takes.

| form          | a line                                                          |
|---------------|-----------------------------------------------------------------|
| `console`     | `<4>[    5.000000][   T77] text`, each part optional; also      |
|               | `dmesg`, `dmesg -r`, pstore, netconsole                         |
| `dmesg`       | `kern  :warn  : [Sat Nov 29 01:54:08 2026] text` and the other  |
|               | times and decodings of dmesg, `[    5.000000] [   T77] text`    |
| `journal`     | `Nov 29 01:54:08 host kernel: text`, all short forms of         |
|               | journalctl, and files of syslog daemons                         |
| `monotonic`   | `[    5.000000] host kernel: text`, journalctl's short-monotonic |
| `journal-json`| journalctl's JSON, an object a line                             |
| `kmsg`        | `4,1234,5000000,-;text`, records of /dev/kmsg; netconsole's     |
|               | extended form, with `ncfrag=`                                   |
| `bare`        | `text`: no time, no origin                                      |

A text alone does not prove who wrote it, but the form helps: a line of a program in a
journal, or one of another facility than the kernel's, is not the kernel's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from lab import jsontext
from lab.oracle.console import lines
from lab.oracle.console.lines import Line, Origin

_CALLER = r"\[\s*(?P<caller>[CT]\d{1,10})\]"
_MONTHS = {
    name: number
    for number, name in enumerate(
        ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), 1
    )
}


@dataclass(frozen=True)
class Record:
    """A kernel's record, or a line of a program. Its text may have several lines."""

    text: str
    stamp: float | None = None
    caller: str = ""
    origin: Origin = Origin.KERNEL


@dataclass
class State:
    """The state of a form from line to line."""

    stamp: float = 0.0
    last: Record | None = None
    margin: int = 0
    fragments: dict[str, bytes] = field(default_factory=dict)


# Return the records of a line, or None for a line of another form.
Reader = Callable[[str, State], "list[Record] | None"]


def _seconds(date: str, clock: str) -> float:
    """Return seconds for a date and a time of day. Only differences have a meaning."""
    hours, minutes, seconds = clock.replace(",", ".").split(":")
    numbers = [int(number) for number in re.findall(r"\d+", date)]
    month = next(
        (_MONTHS[word] for word in re.findall(r"[a-z]{3}", date.lower()) if word in _MONTHS), 0
    )
    year = next((number for number in numbers if number > 31), 0)
    rest = [number for number in numbers if number <= 31]
    if not month and len(rest) > 1:
        month, rest = rest[0], rest[1:]
    days = (year % 100 * 12 + month) * 31 + (rest[0] if rest else 0)
    return ((days * 24 + int(hours)) * 60 + int(minutes)) * 60 + float(seconds)


# The serial console and similar logs: the console's own parser reads the bytes.
_CONSOLE = re.compile(
    r"^(?:<\d{1,3}>)?\[\s{0,5}(?:\d{1,7}\.\d{6}\](?! \[\s*[CT]\d+\] )|[CT]\d+\] )|^<\d{1,3}>\S"
)

_CTIME = r"\[\S{2,6} \S{3,6}\s+\d{1,2} \d\d:\d\d:\d\d \d{4}\]"
_DMESG = re.compile(
    r"^(?:(?P<facility>[a-z0-9]+)\s*:(?P<level>[a-z]+)\s*: ?)?"
    rf"(?:(?P<ctime>{_CTIME}) ?|\[(?P<day>\S{{3,5}}\d{{1,2}}) (?P<minute>\d\d:\d\d)\] ?"
    r"|\[\s*\+(?P<passed>\d+\.\d+)\] ?|\[\s*(?P<stamp>\d+\.\d+)(?: <\s*\d+\.\d+>)?\] ?"
    r"|\[ *<\s*(?P<delta>\d+\.\d+)>\] ?"
    r"|(?P<iso>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d,\d{6}[+-]\d\d:?\d\d) )?"
    rf"(?:{_CALLER} )?(?P<text>.*)$"
)


def _dmesg(line: str, state: State) -> list[Record] | None:
    found = _DMESG.match(line)
    if found is None:
        return None
    times = ("ctime", "day", "passed", "stamp", "delta", "iso")
    timed = any(found[name] for name in times)
    decoded = found["level"] in _LEVELS
    if not timed and not decoded:
        return None
    if found["stamp"] and not (decoded or found["caller"] or "<" in line[: found.start("text")]):
        return None
    if found["ctime"]:
        *date, clock, year = found["ctime"].strip("[]").split()
        state.stamp = _seconds(f"{' '.join(date)} {year}", clock)
    elif found["day"]:
        state.stamp = _seconds(re.sub(r"(\d+)$", r" \1", found["day"]), f"{found['minute']}:00")
    elif found["iso"]:
        date_part, _, clock = found["iso"].partition("T")
        state.stamp = _seconds(date_part, clock[:15])
    elif found["stamp"]:
        state.stamp = float(found["stamp"])
    elif found["passed"] or found["delta"]:
        state.stamp += float(found["passed"] or found["delta"])
    of_kernel = not decoded or found["facility"] == "kern"
    origin = Origin.KERNEL if of_kernel else Origin.USER
    return [Record(found["text"], state.stamp if timed else None, found["caller"] or "", origin)]


_LEVELS = frozenset({"emerg", "alert", "crit", "err", "warn", "notice", "info", "debug"})

# Times of journalctl's short forms and of syslog daemons; the priority of a network's
# syslog may come before them.
_WHEN = (
    r"(?P<date>[A-Z][a-z]{2}\s+\d{1,2}|(?:[A-Z][a-z]{2} )?\d{4}-\d\d-\d\d|[A-Z]{3}\s+\d{1,2})[ T]"
    r"(?P<clock>\d\d:\d\d:\d\d(?:\.\d{1,9})?)(?:Z|[+-]\d\d:?\d\d| [A-Z]{2,5}| [+-]\d\d)?"
)
_SOURCE = (
    r"(?P<host>[\w.:-]*[\w-]) (?:[a-z0-9]+\.[a-z]+ )?(?P<name>[^\s:\[]+(?: [^\s:\[]+)?)"
    r"(?:\[(?P<pid>\d+)\])?(?:: ?| - - - | - - )(?P<text>.*)$"
)
_JOURNAL = re.compile(
    rf"^(?:<\d{{1,3}}>(?:1 )?)?(?:{_WHEN}|(?P<unix>\d{{9,11}}\.\d{{6}})) {_SOURCE}"
)
_MONOTONIC = re.compile(rf"^\[\s*(?P<stamp>\d+\.\d{{6}})\] {_SOURCE}")
_INNER = re.compile(
    rf"^(?:<\d{{1,3}}>)?\[\s*(?P<stamp>\d+\.\d{{6}})\](?: ?{_CALLER})? ?(?P<text>.*)$"
)
# rsyslog writes control characters in octal.
_OCTAL = re.compile(r"#0([01][0-7])")


def _journal(line: str, state: State) -> list[Record] | None:
    found = _JOURNAL.match(line)
    if found is None:
        return _continued(line, state)
    stamp = float(found["unix"]) if found["unix"] else _seconds(found["date"], found["clock"])
    return [_of_source(found, stamp, state)]


def _monotonic(line: str, state: State) -> list[Record] | None:
    found = _MONOTONIC.match(line)
    if found is None:
        return _continued(line, state)
    return [_of_source(found, float(found["stamp"]), state)]


def _of_source(found: re.Match[str], stamp: float, state: State) -> Record:
    """Return the record after a journal's prefix."""
    of_kernel = found["name"].lower() == "kernel" and not found["pid"]
    record = Record(found["text"], stamp, "", Origin.KERNEL if of_kernel else Origin.TEXT)
    inner = _INNER.match(record.text) if of_kernel else None
    if inner:
        # The kernel's time has more digits than the daemon's.
        record = replace(
            record,
            text=inner["text"],
            stamp=float(inner["stamp"]),
            caller=inner["caller"] or "",
        )
    if of_kernel:
        text = _OCTAL.sub(lambda octal: chr(int(octal[1], 8)), record.text)
        record = replace(record, text=text)
    state.last, state.margin = record, found.start("text")
    return record


def _continued(line: str, state: State) -> list[Record] | None:
    """Return a further line of a message, which journalctl indents; else no record."""
    if state.last is None or not line[: state.margin].isspace():
        return None
    return [replace(state.last, text=line[state.margin :])]


_DIGITS = re.compile(r"[0-9]{1,20}")


def _journal_json(line: str, _state: State) -> list[Record] | None:
    if not line.startswith("{"):
        return None
    try:
        entry = jsontext.parse(line)
    except ValueError:
        return None
    if not isinstance(entry, dict) or "MESSAGE" not in entry:
        return None
    message = entry["MESSAGE"]
    if isinstance(message, list):
        message = bytes(one for one in message if isinstance(one, int) and 0 <= one < 256).decode(
            "utf-8", errors="replace"
        )
    stamp = entry.get("_SOURCE_MONOTONIC_TIMESTAMP") or entry.get("__MONOTONIC_TIMESTAMP")
    seconds = int(str(stamp)) / 1e6 if _DIGITS.fullmatch(str(stamp)) else None
    of_kernel = entry.get("_TRANSPORT") == "kernel"
    return [Record(str(message or ""), seconds, "", Origin.KERNEL if of_kernel else Origin.TEXT)]


_KMSG_HEAD = (
    r"(?:[0-9][\w.+~-]*,)?(?P<priority>\d{1,5}),(?P<sequence>\d{1,20}),(?P<stamp>\d{1,20}),"
    r"[-c+](?P<fields>(?:,[^,;]*)*);"
)
_KMSG = re.compile(rf"^{_KMSG_HEAD}(?P<text>.*)$")
_FRAGMENT = re.compile(r"ncfrag=(?P<offset>\d+)/(?P<length>\d+)")
_ESCAPE = re.compile(r"\\x([0-9a-f]{2})")
# A guest controls how many records it never finishes.
_MAX_FRAGMENTS = 64


def _kmsg(line: str, state: State) -> list[Record] | None:
    if line.startswith(" ") and "=" in line:
        return []  # a key of the record before
    found = _KMSG.match(line)
    if found is None:
        return None
    text: str | None = found["text"]
    if _FRAGMENT.search(found["fields"]):
        text = _joined(line, found["sequence"], state)
    if text is None:
        return []
    caller = re.search(r",caller=([CT]\d+)", found["fields"])
    of_kernel = int(found["priority"]) < 8
    text = _ESCAPE.sub(lambda escape: chr(int(escape[1], 16)), text)
    stamp = int(found["stamp"]) / 1e6
    origin = Origin.KERNEL if of_kernel else Origin.USER
    return [Record(text, stamp, caller[1] if caller else "", origin)]


def _joined(line: str, sequence: str, state: State) -> str | None:
    """Return the whole text of a record that netconsole sent in fragments, once it is there.

    Only the last fragment has a newline, so a line may hold several. All have the same
    head except for the position.
    """
    same = line[: line.index("ncfrag=")]
    heads = list(re.finditer(re.escape(same) + _FRAGMENT.pattern + "[^;]*;", line))
    text = state.fragments.pop(sequence, b"")
    length = 0
    for index, found in enumerate(heads):
        end = heads[index + 1].start() if index + 1 < len(heads) else len(line)
        length = int(found["length"])
        text = text[: int(found["offset"])] + line[found.end() : end].encode()
    if len(text) >= length:
        return text.decode(errors="replace")
    if len(state.fragments) < _MAX_FRAGMENTS:
        state.fragments[sequence] = text
    return None


@dataclass(frozen=True)
class Form:
    """A form of logs. `read` is None where the console's parser reads the bytes itself."""

    name: str
    title: str
    read: Reader | None = None


CONSOLE = Form("console", "console or dmesg")
BARE = Form("bare", "text without time and origin")
# The more special forms come first: the first one that accepts a line wins.
FORMS: tuple[Form, ...] = (
    Form("kmsg", "records of /dev/kmsg or of extended netconsole", _kmsg),
    Form("journal-json", "journal as JSON", _journal_json),
    Form("journal", "journal or syslog", _journal),
    Form("monotonic", "journal with monotonic times", _monotonic),
    CONSOLE,
    Form("dmesg", "dmesg with other times", _dmesg),
)
NAMES: tuple[str, ...] = (*(form.name for form in FORMS), BARE.name)


def form_of_line(text: str) -> Form | None:
    """Return the form that a line alone shows, or None."""
    for form in FORMS:
        if form is CONSOLE:
            known = bool(_CONSOLE.match(text))
        else:
            known = form.read is not None and bool(form.read(text, State()))
        if known and (form.name != "monotonic" or _is_monotonic(text)):
            return form
    return None


def _is_monotonic(text: str) -> bool:
    found = _MONOTONIC.match(text)
    return found is not None and (found["name"] == "kernel" or found["pid"] is not None)


def clean(raw: bytes) -> str:
    """Return a line's text without its end, colours and control characters."""
    return lines.clean(raw.decode("utf-8", errors="replace").rstrip("\r\n"))


def lines_of(form: Form, text: str, number: int, state: State) -> Iterator[Line]:
    """Yield the lines of the records in one line of a log of a form.

    A line that is not a record of that form was written by a program.
    """
    records = form.read(text, state) if form.read else None
    if records is None:
        records = [Record(text, origin=Origin.TEXT)]
    for record in records:
        for part in record.text.split("\n"):
            stripped = lines.clean(part)
            yield Line(number, 0.0, stripped, record.origin, record.stamp, record.caller)
