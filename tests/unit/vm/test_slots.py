# SPDX-License-Identifier: GPL-2.0-only
"""Test slots for guests: a waiting run names the holders, and waits while one of them lives."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import events
from lab.errors import InfraError, Stopped
from lab.vm import slots

FORMER = 4_194_305  # above the kernel's largest pid
INIT = 1


@pytest.fixture(autouse=True)
def one_slot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slots, "capacity", lambda _memory: 1)
    monkeypatch.setattr(slots, "TELL_SECONDS", 0.0)
    monkeypatch.setattr(sys, "argv", ["/x/lab/__main__.py", "run", "a b.yaml"])


@contextlib.contextmanager
def held(folder: Path, *said: str | None) -> Iterator[None]:
    """Slots that are held, each with this text in its file; None: what the lab writes."""
    with contextlib.ExitStack() as stack:
        for number, text in enumerate(said):
            taken = slots._take(folder, 64, "slot")
            assert taken is not None
            assert taken[1] == number
            stack.callback(slots._release, taken[0])
            if text is not None:
                (folder / f"slot-{number}").write_bytes(text.encode("latin-1"))
        yield


def waits(folder: Path) -> list[str]:
    """Wait for a slot until the first notice; return the notices."""
    stop, heard = threading.Event(), list[str]()

    def hear(event: events.Event) -> None:
        assert isinstance(event, events.Notice)
        heard.append(event.text)
        stop.set()

    with pytest.raises(Stopped, match="no guest was started"), slots.slot(folder, 64, stop, hear):
        pass
    return heard


def by(pid: int, command: str) -> str:
    return json.dumps({"pid": pid, "command": command})


def test_who_gets_a_slot_at_once_hears_nothing_and_gives_it_back(tmp_path: Path) -> None:
    for _ in range(2):
        with slots.slot(tmp_path, 64, None, lambda event: pytest.fail(str(event))) as number:
            assert number == 0
            said = json.loads((tmp_path / "slot-0").read_text())
            assert said == {"pid": os.getpid(), "command": "lab run 'a b.yaml'"}
        assert (tmp_path / "slot-0").read_text() == ""


@pytest.mark.parametrize(("text", "holder"), [
    (None, "this one"),
    (by(INIT, "lab soak --minutes 60"), "process 1 (lab soak --minutes 60)"),
    (by(INIT, "x" * 200), f"process 1 ({'x' * 80}...)"),
    (by(INIT, "a\n\x1b[2J"), "process 1 (a??[2J)"),
    (by(FORMER, "lab soak"), "another process"),
    (by(1 << 80, "lab soak"), "another process"),
    (by(-1, "lab soak"), "another process"),
    ("", "another process"),
    ("\xff\xfe", "another process"),
    ("[1]", "another process"),
    ('{"pid": null, "command": ""}', "another process"),
])  # fmt: skip
def test_a_waiting_run_names_the_holders(tmp_path: Path, text: str | None, holder: str) -> None:
    with held(tmp_path, text):
        assert waits(tmp_path) == [
            f"guest: waiting for the only slot (one per core, if memory allows), held by {holder}"
        ]


def test_holders_are_named_once_and_in_the_same_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slots, "capacity", lambda _memory: 4)
    soak = by(INIT, "lab soak")
    with held(tmp_path, None, soak, "", soak):
        (told,) = waits(tmp_path)
    assert told.startswith("guest: waiting for one of 4 slots")
    assert told.endswith("held by process 1 (lab soak), another process and this one")


def test_a_short_wait_is_not_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slots, "TELL_SECONDS", 60.0)
    monkeypatch.setattr(slots, "WAIT_SECONDS", 0.0)
    with (
        held(tmp_path, ""),
        pytest.raises(InfraError, match="no guest was started"),
        slots.slot(tmp_path, 64, None, lambda event: pytest.fail(str(event))),
    ):
        pass


def test_a_wait_goes_on_while_a_holder_lives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slots, "WAIT_SECONDS", 0.01)
    stop, asked = threading.Event(), list[int]()
    holder = slots._holder

    def looked(folder: Path, number: int) -> tuple[int, str] | None:
        asked.append(number)
        if len(asked) == 5:
            stop.set()
        return holder(folder, number)

    monkeypatch.setattr(slots, "_holder", looked)
    with held(tmp_path, by(INIT, "lab soak")):
        with pytest.raises(Stopped), slots.slot(tmp_path, 64, stop):
            pass
        (tmp_path / "slot-0").write_text(by(FORMER, "lab soak"))
        with pytest.raises(InfraError) as raised, slots.slot(tmp_path, 64):
            pass
    assert len(asked) >= 5
    assert not isinstance(raised.value, Stopped)


def test_a_file_that_cannot_be_written_is_no_reason_not_to_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_descriptor: int, _length: int) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(os, "ftruncate", full)
    with slots.slot(tmp_path, 64) as number:
        assert number == 0
