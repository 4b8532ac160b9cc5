# SPDX-License-Identifier: GPL-2.0-only
"""Read YAML as plain data that knows the position of each of its keys and values.

The scalars are those of YAML 1.2's core schema: `on`, `off`, `yes` and `no` are
text, and `true` and `false` are the only booleans, as keys and as values. Two
things are refused, with a hint on what to write instead: scalars that YAML readers
read differently (`010`, which is 8 or 10), and features that would make the
position of an error ambiguous (anchors, aliases, merge keys, tags).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import yaml
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)

# Such a file has a page or two: a larger file is an accident or an attack.
MAX_BYTES = 1 << 20
MAX_DEPTH = 40


class Mark(NamedTuple):
    """A position in a file; line and column count from 1."""

    line: int
    column: int


START = Mark(1, 1)


class Map(dict[Any, Any]):
    """A mapping with the positions of itself (`mark`), its keys and its values."""

    def __init__(self, mark: Mark = START) -> None:
        super().__init__()
        self.mark = mark
        self.keys_at: dict[Any, Mark] = {}
        self.values_at: dict[Any, Mark] = {}

    def put(self, key: Any, value: Any, key_at: Mark, value_at: Mark) -> None:
        self[key] = value
        self.keys_at[key] = key_at
        self.values_at[key] = value_at


class Seq(list[Any]):
    """A sequence with the positions of itself (`mark`) and its items."""

    def __init__(self, mark: Mark = START) -> None:
        super().__init__()
        self.mark = mark
        self.items_at: list[Mark] = []

    def put(self, value: Any, value_at: Mark) -> None:
        self.append(value)
        self.items_at.append(value_at)


@dataclass(frozen=True)
class Flaw:
    """An error in the text, with its position."""

    mark: Mark
    message: str


_INT = re.compile(r"[-+]?(0|[1-9][0-9]*)\Z")
_OCTAL = re.compile(r"0o[0-7]+\Z")
_HEX = re.compile(r"0x[0-9a-fA-F]+\Z")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z")
_ENDLESS = re.compile(r"([-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))\Z")
_LEADING_ZERO = re.compile(r"[-+]?0[0-9_]+\Z")
_MAX_DIGITS = 40


def parse(text: str, *, noun: str = "document", reuse: str = "") -> tuple[Any, list[Flaw]]:
    """Return the document in `text` and all its flaws.

    `noun` is the word for the document in errors, and `reuse` how its format repeats values
    without aliases (`a parameter`), if it does. The data is None if the text is not YAML at
    all. Otherwise it is complete, except for the parts that the flaws name (the first of
    duplicate keys is kept).
    """
    if len(text) > MAX_BYTES:
        return None, [Flaw(START, f"the file is larger than {MAX_BYTES >> 10} KiB")]
    builder = _Builder(noun, reuse)
    try:
        # The C parser is not used: some of its marks differ, and files are small.
        return builder.document(yaml.parse(text, Loader=yaml.SafeLoader)), builder.flaws
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        said = error.problem or error.context or "cannot be read"
        return None, [*builder.flaws, Flaw(_mark(mark) if mark else START, _plain(said))]
    except yaml.reader.ReaderError as error:
        flaw = Flaw(
            _mark_of_offset(text, error.position),
            f"the character {_codepoint(error.character)} is not allowed in YAML",
        )
        return None, [*builder.flaws, flaw]
    except _TooDeepError as error:
        flaw = Flaw(error.mark, f"nested more than {MAX_DEPTH} levels deep")
        return None, [*builder.flaws, flaw]


def decode(data: bytes) -> tuple[str | None, list[Flaw]]:
    """Return the text of a file, or None and a flaw if it is not UTF-8.

    A byte order mark is allowed, and removed.
    """
    try:
        return data.decode("utf-8-sig"), []
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8", "replace")
        mark = _mark_of_offset(before, len(before))
        return None, [Flaw(mark, f"the byte 0x{data[error.start]:02x} is not UTF-8")]


def locate(data: Any, loc: tuple[Any, ...], start: Mark = START, *, key: bool = False) -> Mark:
    """Return the position of the value at path `loc`, or of its key if `key` is set.

    Elements of the path that the data doesn't have are skipped, because validation
    puts names of types between keys. So the position is that of the deepest element
    that exists.
    """
    mark = data.mark if isinstance(data, Map | Seq) else start
    for element in loc:
        if isinstance(data, Map) and element in data:
            mark = data.keys_at[element] if key else data.values_at[element]
            data = data[element]
        elif isinstance(data, Seq) and isinstance(element, int) and 0 <= element < len(data):
            mark = data.items_at[element]
            data = data[element]
    return mark


def transform(data: Any, scalar: Callable[[Any, Mark], Any], at: Mark = START) -> Any:
    """Return a copy of `data` with `scalar(value, mark)` for each scalar value.

    All positions are kept.
    """
    if isinstance(data, Map):
        changed = Map(data.mark)
        for key, value in data.items():
            place = data.values_at[key]
            changed.put(key, transform(value, scalar, place), data.keys_at[key], place)
        return changed
    if isinstance(data, Seq):
        items = Seq(data.mark)
        for value, place in zip(data, data.items_at, strict=True):
            items.put(transform(value, scalar, place), place)
        return items
    return scalar(data, at)


class _TooDeepError(Exception):
    def __init__(self, mark: Mark) -> None:
        super().__init__()
        self.mark = mark


class _Builder:
    """A builder of the data from the parser's events, which collects flaws as it goes."""

    def __init__(self, noun: str, reuse: str) -> None:
        self.flaws: list[Flaw] = []
        self._noun = noun
        self._instead = f", or use {reuse}" if reuse else ""

    def document(self, events: Iterator[Event]) -> Any:
        data: Any = None
        documents = 0
        for event in events:
            if isinstance(event, DocumentStartEvent):
                documents += 1
                if documents > 1:
                    self._flaw(event, f"a second document: one file holds one {self._noun}")
                    break
            elif isinstance(event, StreamEndEvent):
                break
            elif isinstance(event, ScalarEvent | MappingStartEvent | SequenceStartEvent):
                data = self._value(event, events, 0)
        if documents == 0:
            self.flaws.append(Flaw(START, "the file is empty"))
        return data

    # The stubs of PyYAML do not say what an event holds, hence `Any`.
    def _value(self, event: Any, events: Iterator[Event], depth: int) -> Any:
        if depth > MAX_DEPTH:
            raise _TooDeepError(_mark(event.start_mark))
        if isinstance(event, AliasEvent):
            self._flaw(event, f"the alias '*{event.anchor}': write the value out{self._instead}")
            return None
        if event.anchor is not None:
            self._flaw(event, f"the anchor '&{event.anchor}': aliases are not part of the format")
        if event.tag is not None and event.tag != "!":
            self._flaw(event, f"the tag '{event.tag}': values have no tags in this format")
            event.tag = None
        if isinstance(event, MappingStartEvent):
            return self._mapping(event, events, depth)
        if isinstance(event, SequenceStartEvent):
            return self._sequence(event, events, depth)
        return self._scalar(event)

    def _mapping(self, start: Event, events: Iterator[Any], depth: int) -> Map:
        mapping = Map(_mark(start.start_mark))
        for event in events:
            if isinstance(event, MappingEndEvent):
                break
            key_at = _mark(event.start_mark)
            key = self._value(event, events, depth + 1)
            value_event = next(events)
            value = self._value(value_event, events, depth + 1)
            if isinstance(event, AliasEvent):
                continue  # the alias is reported already
            if isinstance(key, Map | Seq | bool | float) or key is None:
                self._flaw(event, "a key has to be text or a whole number")
            elif key == "<<" and event.style is None:
                self._flaw(event, f"the merge key '<<': write the keys out{self._instead}")
            elif key in mapping:
                first = mapping.keys_at[key].line
                self._flaw(event, f"the key '{key}' is here twice, first in line {first}")
            else:
                mapping.put(key, value, key_at, _mark(value_event.start_mark))
        return mapping

    def _sequence(self, start: Event, events: Iterator[Event], depth: int) -> Seq:
        sequence = Seq(_mark(start.start_mark))
        for event in events:
            if isinstance(event, SequenceEndEvent):
                break
            sequence.put(self._value(event, events, depth + 1), _mark(event.start_mark))
        return sequence

    def _scalar(self, event: Any) -> Any:
        text: str = event.value
        if event.style is not None or event.tag == "!":
            return text  # quoted, or a block: always text
        if text in ("", "~", "null", "Null", "NULL"):
            return None
        if text in ("true", "True", "TRUE", "false", "False", "FALSE"):
            return text[0] in "tT"
        if _LEADING_ZERO.match(text):
            self._flaw(
                event,
                f"'{_short(text)}' is octal to some readers and decimal to others: "
                "write it without the leading zero, as 0o… for octal, or in quotes for text",
            )
            return text
        if _ENDLESS.match(text):
            self._flaw(event, f"'{text}' is not a number that can be counted or waited for")
            return text
        return self._number(event, text)

    def _number(self, event: Event, text: str) -> Any:
        kinds = ((_INT, 10), (_OCTAL, 8), (_HEX, 16))
        base = next((base for pattern, base in kinds if pattern.match(text)), 0)
        if not base and not _FLOAT.match(text):
            return text
        if len(text) > _MAX_DIGITS:
            self._flaw(event, f"the number has more than {_MAX_DIGITS} characters")
            return 0
        if base:
            return int(text.lower().replace("0o", "").replace("0x", ""), base)
        number = float(text)
        if number in (float("inf"), float("-inf")):
            self._flaw(event, f"the number {text} is too large")
            return 0.0
        return number

    def _flaw(self, event: Event, message: str) -> None:
        self.flaws.append(Flaw(_mark(event.start_mark), message))


def _mark(mark: Any) -> Mark:
    return Mark(mark.line + 1, mark.column + 1)


def _mark_of_offset(text: str, offset: int) -> Mark:
    before = text[:offset]
    line = before.count("\n")
    return Mark(line + 1, offset - (before.rfind("\n") + 1) + 1)


def _codepoint(character: Any) -> str:
    return f"U+{ord(character) if isinstance(character, str) else character:04X}"


def _plain(said: str) -> str:
    # The parser's messages name its tokens. These are reworded because users meet them.
    known = {
        "mapping values are not allowed here": "a ':' where none can be (put text that holds ': ' "
        "in quotes, and check the indentation)",
        "found character '\\t' that cannot start any token": "a tab: YAML is indented with spaces",
        "could not find expected ':'": "a key without its ':'",
        "found unexpected end of stream": "the text ends inside quotes or brackets",
    }
    return known.get(said, f"not YAML: {said}")


def _short(text: str) -> str:
    return text if len(text) <= 20 else text[:19] + "…"
