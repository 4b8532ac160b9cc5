# SPDX-License-Identifier: GPL-2.0-only
"""Background work in a guest, in a session of its own.

A job is not a child of the SSH server. If a command ends while the server opens
another one on the same connection, dropbear (2022.83) takes the new channel for
one that has ended, too, and fails an assertion. So only one command at a time
runs on the connection, except for the loader, which stays. A job runs detached
from the connection and leaves its output and status in files.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from lab.deadline import Deadline
from lab.errors import InfraError
from lab.guest.ssh import Completed

FOLDER = "/run"

Execute = Callable[[str, Deadline], Completed]


@dataclass
class Job:
    """A job in the guest; `session` is the id of the session of all its processes."""

    execute: Execute
    number: int
    command: str
    session: int
    keeps_output: bool
    started_at: float = field(default_factory=time.monotonic)

    @classmethod
    def start(
        cls, execute: Execute, number: int, command: str, deadline: Deadline, *, keep: bool
    ) -> Job:
        """Start a shell line; with `keep` its output and status can be waited for.

        Raises `InfraError` if it does not start.
        """
        done = execute(start_line(number, command, keep=keep), deadline)
        if not done.stdout.strip().isdigit():
            raise InfraError(
                f"`{command}` did not start in the background", details=done.stdout + done.stderr
            )
        return cls(execute, number, command, int(done.stdout), keep)

    def wait(self, deadline: Deadline) -> Completed:
        """Wait until the job ends; it must keep its output. Raises the errors of a command."""
        done = self.execute(wait_line(self.number), deadline)
        return Completed(
            self.command,
            done.status,
            done.stdout,
            done.stderr,
            time.monotonic() - self.started_at,
            done.truncated,
        )

    def end(self, deadline: Deadline) -> bool:
        """Kill the job's processes and wait until they are gone.

        Return whether the job had ended before.
        """
        line = end_line(self.number, self.session, keep=self.keeps_output)
        return self.execute(line, deadline).stdout.strip() == "ended"


def start_line(number: int, command: str, *, keep: bool) -> str:
    """Return the line that starts a job and prints its session's id."""
    at = _path(number)
    inner = shlex.quote(f"echo $$ >{at}.session; {command}")
    output = f">{at}.out 2>{at}.err" if keep else ">/dev/null 2>&1"
    status = f"echo $s >{at}.status" + (f"; echo $s >{at}.end" if keep else "")
    return (
        f"mkfifo {at}.session {at}.end; "
        f"{{ setsid sh -c {inner} {output}; s=$?; {status}; }} </dev/null >/dev/null 2>&1 & "
        f"read s <{at}.session; echo $s"
    )


def wait_line(number: int) -> str:
    """Return the line that waits for a job's end, then repeats its output and exit status."""
    at = _path(number)
    return f"read s <{at}.end; cat {at}.out; cat {at}.err >&2; exit $s"


def end_line(number: int, session: int, *, keep: bool) -> str:
    """Return the line that kills a job, and prints `ended` if there was nothing to kill."""
    at = _path(number)
    reap = f"; read s <{at}.end" if keep else ""
    return (
        f"[ -e {at}.status ] && echo ended; kill -s KILL -- -{session} 2>/dev/null; "
        f"while kill -s 0 -- -{session} 2>/dev/null; do usleep 10000; done{reap}"
    )


def _path(number: int) -> str:
    return f"{FOLDER}/kextlab-job-{number}"
