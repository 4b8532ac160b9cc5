# SPDX-License-Identifier: GPL-2.0-only
"""The host's side of the loader protocol: words out, JSON lines in."""

from __future__ import annotations

from collections import deque
from typing import Any
from urllib.parse import quote

from lab import jsontext
from lab.deadline import Deadline
from lab.errors import InfraError
from lab.guest.ssh import Running, Ssh

PROTOCOL = 1

# The verifier's log of a program that it rejects after 100,000 instructions
# has about 8 MB; the loader prints no longer ones.
MAX_ANSWER = 64 << 20
# An empty list of three bytes in the text takes 64 bytes of memory here. An answer has few
# lists and objects, and a log has no more brackets than this.
MAX_BRACKETS = 1 << 20


class LoaderAnswer(dict[str, Any]):
    """An answer of the loader; `ok` says whether the command succeeded."""

    @property
    def ok(self) -> bool:
        return self.get("ok") is True

    @property
    def problem(self) -> str:
        """The error in one line."""
        return f"{self.get('stage', 'loader')}: {self.get('error', 'unknown error')}"


def command_line(verb: str, arguments: dict[str, Any]) -> str:
    """Return one line of the protocol: values are percent-encoded, None is left out."""
    words = [verb]
    for name, value in arguments.items():
        if value is None:
            continue
        words.append(f"{name}={quote(str(value), safe='/:,._-+*')}")
    return " ".join(words)


def parse_answer(line: bytes) -> LoaderAnswer:
    """Parse an answer from its line. Raises `InfraError` for any other text."""
    if line.count(b"[") + line.count(b"{") > MAX_BRACKETS:
        raise InfraError(f"the loader's answer has more than {MAX_BRACKETS} lists and objects")
    try:
        data = jsontext.parse(line)
    except ValueError as error:
        shown = line[:400].decode(errors="replace")
        raise InfraError("the loader's answer is not JSON", details=shown) from error
    if not isinstance(data, dict) or not isinstance(data.get("ok"), bool):
        raise InfraError("the loader's answer has the wrong form", details=str(data)[:400])
    return LoaderAnswer(data)


class Loader:
    """`kextload serve` in the guest; its end detaches and unloads what it loaded."""

    def __init__(self, ssh: Ssh, deadline: Deadline) -> None:
        self._posted = 0
        self._early: deque[LoaderAnswer] = deque()
        self._running: Running = ssh.start(
            "exec kextload serve", deadline, stdin=True, limit=MAX_ANSWER
        )
        hello = parse_answer(self._running.read_line(deadline))
        if hello.get("protocol") != PROTOCOL:
            raise InfraError(
                f"the guest's loader speaks protocol {hello.get('protocol')}, not {PROTOCOL}",
                hint="the image was built by another version of the lab; its cache entry is stale",
            )

    def call(self, verb: str, deadline: Deadline, **arguments: Any) -> LoaderAnswer:
        """Give one command and wait for its answer.

        Raises `CommandTimeout` if an earlier `post` still keeps the loader busy.
        """
        while self._posted:
            # Answers come in the order of the commands; `collect` returns this one.
            self._early.append(self._read(deadline))
            self._posted -= 1
        self._send(verb, arguments, deadline)
        return self._read(deadline)

    def post(self, verb: str, deadline: Deadline, **arguments: Any) -> None:
        """Give one command without waiting for its answer, which `collect` reads."""
        self._send(verb, arguments, deadline)
        self._posted += 1

    @property
    def busy(self) -> bool:
        """True while a posted command is not answered."""
        return self._posted > 0

    def collect(self, deadline: Deadline) -> LoaderAnswer:
        """Return the answer to the oldest posted command; wait for it if necessary."""
        if self._early:
            return self._early.popleft()
        answer = self._read(deadline)
        self._posted -= 1
        return answer

    def _read(self, deadline: Deadline) -> LoaderAnswer:
        return parse_answer(self._running.read_line(deadline))

    def _send(self, verb: str, arguments: dict[str, Any], deadline: Deadline) -> None:
        self._running.send(command_line(verb, arguments).encode() + b"\n", deadline)

    def close(self) -> None:
        """End the loader: it detaches and unloads what it holds."""
        self._running.close_stdin()
        self._running.close()

    def finish(self, deadline: Deadline) -> None:
        """End the loader and wait until it is gone."""
        self._running.close_stdin()
        self._running.wait(deadline)
