# SPDX-License-Identifier: GPL-2.0-only
"""Test answers of a hostile guest: bounded memory and time, no harm to terminal or disk."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import paramiko
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from lab.deadline import Deadline
from lab.errors import InfraError
from lab.guest import ssh as ssh_module
from lab.guest.loader import MAX_BRACKETS, parse_answer
from lab.guest.ssh import ConnectionLost, Ssh
from lab.plain import bounded, plain
from lab.report.dossier import MAX_TEXT, Dossier
from lab.report.progress import ProgressReport
from lab.report.result import Result, explain
from lab.runner.run import Run
from lab.runner.steps import StepDriver

# Clears the screen, sets the title, writes from right to left, and half a pair.
NASTY = "a\x1b[2Jb\x1b]0;owned\x07c\u202ed\x9b31m\ud800e\r\nf"

# Text


@given(st.text(st.characters()))
def test_no_text_steers_a_terminal(text: str) -> None:
    safe = plain(text)
    assert all(char.isprintable() or char in "\n\t" or ord(char) > 0x9F for char in safe)
    assert not set("\u202e\u2066\x1b\x07\x9b") & set(safe)
    safe.encode()
    assert plain(safe) == safe


def test_ordinary_text_stays_as_it_is() -> None:
    assert plain("Grüße\tan\nalle: 内核 √") == "Grüße\tan\nalle: 内核 √"
    assert plain("\x1b[2J") == "\\x1b[2J"


@given(st.text(), st.integers(2, 50))
def test_bounded_text_keeps_both_ends(text: str, most: int) -> None:
    short = bounded(text, most)
    assert len(short) <= most + 60
    if len(text) > most:
        assert short.startswith(text[: most // 2])
        assert short.endswith(text[-(most // 2) :])


def result(**said: Any) -> Result:
    about = {"item": "x@stock", "scenario": "x.yaml", "summary": "S", "flavor": "stock"}
    return Result(**(about | {"verdict": "failed"} | said))


def test_nothing_that_a_guest_said_reaches_the_terminal_raw(capfd: Any) -> None:
    evidence = ({"source": NASTY, "trust": "console", "summary": NASTY},)
    text = explain(
        result(reasons=(NASTY,), evidence=evidence, extension_reports=NASTY, excerpt=NASTY)
    )
    print(text)
    print(InfraError(NASTY, details=NASTY, hint=NASTY))
    ProgressReport(Console(stderr=False))._print(NASTY)
    assert "\x1b" not in capfd.readouterr().out


def test_a_dossier_is_harmless_and_bounded(tmp_path: Path) -> None:
    flood = NASTY * (MAX_TEXT // 10)
    folder = Dossier(
        result(item="../../x\n/y", reasons=(NASTY,)),
        console=flood,
        verifier_log=flood,
        extension_reports=NASTY,
        steps=[{"output": flood}],
        facts={"cpus": NASTY},
    ).write(tmp_path / "run")
    assert folder.parent == tmp_path / "run"
    for file in folder.iterdir():
        text = file.read_text(encoding="utf-8")
        assert "\x1b" not in text, file.name
        assert len(text) < MAX_TEXT + 200, file.name


# Answers


@pytest.mark.parametrize(
    "line",
    [
        b"[" * 100_000,
        b'{"ok":true,"a":' + b"[" * 50_000 + b"]" * 50_000 + b"}",
        b'{"ok":true,"a":[' + b"[]," * MAX_BRACKETS + b"[]]}",
        b'{"ok":true,"a":' + b"9" * 10_000 + b"}",
        b'{"ok":1}',
        b'{"ok":"true"}',
        b"\xff\xfe",
        b"",
    ],
    ids=["deep", "deep object", "many", "number", "one", "text", "no text", "empty"],
)
def test_no_line_of_the_loader_brings_the_lab_down(line: bytes) -> None:
    with pytest.raises(InfraError):
        parse_answer(line)


@pytest.mark.parametrize("seconds", ["NaN", "Infinity", "-1", "1e999", '"x"', "[]", "null"])
def test_a_duration_that_is_none_is_no_measurement(seconds: str) -> None:
    driver, step = StepDriver.__new__(StepDriver), SimpleNamespace(problem="", answers=[])
    driver._kept, trigger = 0, SimpleNamespace(kind="syscall")
    step.step = SimpleNamespace(expect=None)
    driver._take_shell(0, f'{{"ok":true,"seconds":{seconds}}}', "", 1.0, trigger, step)  # type: ignore[arg-type]
    assert "did not report" in step.problem
    assert step.seconds == 1.0


def test_steps_that_flood_their_output_are_kept_in_part() -> None:
    driver = StepDriver.__new__(StepDriver)
    driver._kept = 0
    results = [SimpleNamespace(step=SimpleNamespace(expect=None), output="") for _ in range(100)]
    for one in results:
        driver._keep("x" * (1 << 20), one)  # type: ignore[arg-type]
    assert sum(len(one.output) for one in results) < 17 << 20
    assert all(one.output for one in results)


def test_output_that_was_dropped_is_not_judged() -> None:
    driver = StepDriver.__new__(StepDriver)
    wants = SimpleNamespace(step=SimpleNamespace(expect=SimpleNamespace(output="x")), path="step 1")
    cut: Any = SimpleNamespace(truncated=True)
    with pytest.raises(InfraError, match="what was dropped"):
        driver._check_whole(cut, wants)  # type: ignore[arg-type]
    wants.step.expect.output = None
    driver._check_whole(cut, wants)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "error", [KeyError("id"), TypeError("x"), RecursionError(), OverflowError()]
)
def test_an_answer_of_the_wrong_form_is_an_error_and_no_traceback(error: Exception) -> None:
    def work() -> None:
        raise error

    run: Any = Run(SimpleNamespace())  # type: ignore[arg-type]
    assert isinstance(run._observed(work).infra_error, InfraError)


# SSH


@contextlib.contextmanager
def server(talk: Callable[[socket.socket], None]) -> Iterator[int]:
    """Run a server on loopback that talks to one client until the client hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with contextlib.suppress(OSError):
                called, _ = listener.accept()
                with called:
                    talk(called)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        thread.join(10)
        assert not thread.is_alive(), "the lab did not hang up"


def flood(called: socket.socket) -> None:
    while True:
        called.sendall(b"x" * 65536)


def silence(called: socket.socket) -> None:
    called.recv(65536)
    called.recv(65536)


def many_lines(called: socket.socket) -> None:
    while True:
        called.sendall(b"not a banner\r\n" * 1000)


def large_packet(called: socket.socket) -> None:
    called.sendall(b"SSH-2.0-x\r\n\x7f\xff\xff\xfc" + b"x" * 60)
    flood(called)


@pytest.mark.parametrize("talk", [flood, silence, many_lines, large_packet])
def test_a_server_that_is_none_costs_its_time_and_no_more(
    talk: Callable[[socket.socket], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    whole = socket.socket.recv

    class Counted(socket.socket):
        def recv(self, *arguments: Any) -> bytes:
            data = whole(self, *arguments)
            read.append(len(data))
            return data

    monkeypatch.setattr(socket, "socket", Counted)
    with server(talk) as port:
        key = paramiko.Ed25519Key.from_private_key(_key())
        ssh = Ssh(port, key, key)
        with pytest.raises(ConnectionLost):
            ssh.connect(Deadline(1.0))
        ssh.close()
    assert sum(read) <= ssh_module.MAX_BANNER + 2 * ssh_module.MAX_PACKET


def _key() -> Any:
    import io

    from lab.guest.identity import fresh

    return io.StringIO(fresh().client_key)


def test_json_of_a_dossier_holds_any_text() -> None:
    assert json.loads(result(reasons=(NASTY,)).to_json())["reasons"] == [NASTY]
