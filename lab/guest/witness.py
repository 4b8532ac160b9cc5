# SPDX-License-Identifier: GPL-2.0-only
"""The witness: a process in the guest that reads for the oracles and precedes the first step.

It starts before a step can replace a tool or mount over a file, so that neither affects
what it reads. `extensions/loader/witness.c` is the guest's side.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from typing import Any

from lab.deadline import Deadline
from lab.errors import InfraError
from lab.guest.loader import LoaderAnswer, command_line, parse_answer
from lab.guest.ssh import CommandTimeout, ConnectionLost, Running, Ssh

# Bytes of one answer: the files that the oracles read are small.
MAX_ANSWER = 8 << 20

_HINT = "did a step of the scenario end it, or the guest's SSH server?"


class Witness:
    """`kextwitness` in the guest; there is one for each SSH connection."""

    def __init__(self, ssh: Ssh, deadline: Deadline) -> None:
        # The last word that the lab sent it: no other process in the guest knows it.
        self._word = ""
        self._ssh = ssh
        self._running: Running = ssh.start(
            "exec kextwitness", deadline, stdin=True, limit=MAX_ANSWER
        )

    def call(self, verb: str, deadline: Deadline, **arguments: Any) -> LoaderAnswer:
        """Send one command and return the answer.

        Raises `InfraError` if the witness is gone or refuses, and `CommandTimeout`.
        """
        try:
            self._running.send(command_line(verb, arguments).encode() + b"\n", deadline)
            answer = parse_answer(self._running.read_line(deadline))
        except CommandTimeout:
            raise
        except ConnectionLost as error:
            if not self._ssh.alive:
                raise
            # The connection still works, so the kernel runs: only the witness is gone.
            raise InfraError(f"the guest's witness ended: {error.message}", hint=_HINT) from error
        if not answer.ok:
            raise InfraError(f"the guest's witness refused: {answer.problem}", hint=_HINT)
        return answer

    def do(self, words: Sequence[str], deadline: Deadline) -> dict[str, Any]:
        """Return the answer of `kextload WORDS`; a word must not contain a comma."""
        return self.call("do", deadline, words=",".join(words))

    def read_files(self, paths: Sequence[str], deadline: Deadline) -> dict[str, str | None]:
        """Return small files of the guest; None for one that can't be read."""
        files = self.call("read", deadline, paths=",".join(paths)).get("files")
        if not isinstance(files, dict) or set(files) != set(paths):
            raise InfraError("the guest's witness answered a read in an unexpected form")
        return {path: None if files[path] is None else str(files[path]) for path in paths}

    def seal(self, deadline: Deadline) -> dict[str, Any]:
        """Return the input of `oracle/tampering.py`; the answer is certain to be the witness's own.

        Raises `InfraError` if the witness does not know the word that it was sent last time.
        """
        before, self._word = self._word, secrets.token_hex(16)
        answer = self.call("seal", deadline, next=self._word)
        if answer.get("word") != before:
            raise InfraError(
                "something else answers for the guest's witness",
                details=json.dumps(answer)[:400],
                hint="did a step of the scenario trace it, or write into its pipes?",
            )
        return answer

    def close(self) -> None:
        """End the witness."""
        self._running.close_stdin()
        self._running.close()


class NoWitness(ConnectionLost):
    """The witness ended with the connection over which it was started."""

    def __init__(self) -> None:
        super().__init__(
            "the state of the guest can't be read: the process that was started before the "
            "first step to read it is gone",
            hint=_HINT,
        )
