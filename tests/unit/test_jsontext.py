# SPDX-License-Identifier: GPL-2.0-only
"""JSON of strangers: whatever it is, it is a value or a `ValueError`."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from lab import jsontext
from lab.errors import InfraError, UserError
from lab.guest.guest import Guest
from lab.guest.loader import parse_answer
from lab.guest.ssh import Completed
from lab.oracle.console.explain import explain

DEEP = "[" * 100_000
WRONG = [
    "",
    "{",
    DEEP,
    '{"ok":true,"a":' + DEEP,
    "[" * 40 + "]" * 40,
    "9" * 5000,
    "NaN",
    "[Infinity]",
    "[1e999]",
]


@pytest.mark.parametrize("text", WRONG, ids=range(len(WRONG)))
def test_what_is_no_json_is_refused_in_one_way(text: str) -> None:
    for form in (text, text.encode()):
        with pytest.raises(ValueError, match=r"JSON|number|digits|Expecting|Extra"):
            jsontext.parse(form)
    with pytest.raises(InfraError):
        parse_answer(text.encode())
    guest: Any = SimpleNamespace(
        run=lambda *_rest: Completed("x", 0, text, "", 0.0), _witness=None, _witness_lost=False
    )
    with pytest.raises(InfraError):
        Guest._tell(guest, ("bpf-objects",))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r'"a\ud800b"', "a?b"),
        (r'{"\uDFFF": "\ud83d\ude00"}', {"?": "\U0001f600"}),
        (r'"\\ud800"', r"\ud800"),
    ],
)
def test_every_text_can_be_written_to_a_file(text: str, value: Any) -> None:
    assert jsontext.parse(text) == jsontext.parse(text.encode()) == value


def test_what_may_be_nested_is() -> None:
    text = "[" * jsontext.MAX_DEPTH + "]" * jsontext.MAX_DEPTH
    assert str(jsontext.parse(text)) == text


def test_values_are_those_of_json() -> None:
    assert jsontext.parse(b'{"a": [1, -2.5, null, true, "\\u00e4"]}') == {
        "a": [1, -2.5, None, True, "ä"]
    }


@pytest.mark.parametrize("text", [DEEP, '{"a":' * 2500, '{"MESSAGE":' + "[" * 8000])
def test_a_log_of_deep_json_is_in_no_known_form(text: str) -> None:
    with pytest.raises(UserError, match="form of this log"):
        explain(text.encode())


def test_a_time_of_too_many_digits_is_none() -> None:
    log = b'{"MESSAGE":"BUG: x","_TRANSPORT":"kernel","__MONOTONIC_TIMESTAMP":"%s"}' % (b"9" * 5000)
    assert [report.stamp for report in explain(log).reports] == [None]
