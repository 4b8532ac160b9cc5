# SPDX-License-Identifier: GPL-2.0-only
"""Run programs on the host: until they end, or as children that die with the lab."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from lab.errors import InfraError

# The limit of the output of a tool, in bytes; the middle of a longer one is dropped.
MAX_OUTPUT = 4 << 20


@dataclass(frozen=True)
class Finished:
    """A program that ended. `status` is its exit status, or a negative signal number."""

    argv: tuple[str, ...]
    status: int
    stdout: str
    stderr: str

    @property
    def ok(self) -> bool:
        return self.status == 0

    @property
    def command(self) -> str:
        """The command as one line of shell."""
        return shlex.join(self.argv)


class ToolFailed(InfraError):
    """A program ended with a status other than 0."""

    def __init__(self, result: Finished, *, hint: str = "") -> None:
        super().__init__(
            f"{Path(result.argv[0]).name} failed with status {result.status}: {result.command}",
            hint=hint,
            details=clip(result.stderr or result.stdout, 8000),
        )
        self.result = result


def clip(text: str, limit: int) -> str:
    """Return the text; if it is longer than `limit` characters, its middle is dropped."""
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]}\n[... {len(text) - limit} characters left out ...]\n{text[-half:]}"


def run(
    argv: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: str | None = None,
    timeout: float | None = None,
    check: bool = True,
    hint: str = "",
) -> Finished:
    """Run a program until it ends and return its status and output.

    `env` is added to the lab's own environment; `timeout` is in seconds.
    Raises `ToolFailed` on a status other than 0 (unless `check` is false) and
    `InfraError` if it does not start or does not end in time. In that case the
    program and all other processes of its session are killed.
    """
    words = tuple(str(word) for word in argv)
    child = spawn(
        words,
        cwd=cwd,
        env=env,
        stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        out, err = child.communicate(stdin.encode() if stdin is not None else None, timeout)
    except subprocess.TimeoutExpired:
        kill_session(child)
        out, err = child.communicate()
        raise InfraError(
            f"{words[0]} did not end within {timeout} s",
            details=clip(err.decode(errors="replace"), 4000),
            hint=hint,
        ) from None
    except BaseException:
        kill_session(child)
        child.wait()
        raise
    result = Finished(
        words,
        child.returncode,
        clip(out.decode(errors="replace"), MAX_OUTPUT),
        clip(err.decode(errors="replace"), MAX_OUTPUT),
    )
    if check and not result.ok:
        raise ToolFailed(result, hint=hint)
    return result


def bare_environment(**variables: str) -> dict[str, str]:
    """Return the environment of a compiler: only the search path and these variables.

    Compilers and make read include folders, flags and more from the user's variables,
    which no key of the cache covers.
    """
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", **variables}


def in_environment(variables: Mapping[str, str]) -> list[str]:
    """Return the words to put before a command, to run it in exactly this environment."""
    return ["env", "-i", *(f"{name}={value}" for name, value in variables.items())]


# The kernel sends the parent-death signal when the *thread* that forked ends.
# Therefore one thread that lives as long as the process starts every child.
_spawner = ThreadPoolExecutor(max_workers=1, thread_name_prefix="lab-spawner")

# Between fork and the wrapper's prctl the lab may already be dead, and then no
# signal comes: the shell checks that its parent is still the lab.
_GUARD = '[ "$PPID" = "$0" ] || exit 125; exec "$@"'


def spawn(
    argv: Sequence[str],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: int | IO[Any] = subprocess.DEVNULL,
    stdout: int | IO[Any] = subprocess.DEVNULL,
    stderr: int | IO[Any] = subprocess.DEVNULL,
    pass_fds: Sequence[int] = (),
    own_session: bool = True,
) -> subprocess.Popen[bytes]:
    """Start a program that is killed when this process dies, SIGKILL included.

    Raises `InfraError` if it can't be started.
    """
    full_env = {**os.environ, **env} if env else None
    guarded = [
        "setpriv", "--pdeathsig", "KILL", "--",
        "sh", "-c", _GUARD, str(os.getpid()), *argv,
    ]  # fmt: skip

    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            guarded,
            cwd=cwd,
            env=full_env,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            pass_fds=tuple(pass_fds),
            start_new_session=own_session,
        )

    try:
        return _spawner.submit(start).result()
    except OSError as error:
        raise InfraError(
            f"cannot start {argv[0]}: {error}", hint="`lab doctor` lists what is missing"
        ) from error


def kill_session(child: subprocess.Popen[bytes]) -> None:
    """Kill a child that `spawn` started in its own session, with all processes of the session."""
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        child.kill()


def stream_lines(
    argv: Sequence[str | Path],
    on_line: Callable[[str], None],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> int:
    """Run a program, pass each line of both output streams to `on_line`, return its status."""
    child = spawn(
        [str(word) for word in argv],
        cwd=cwd,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert child.stdout is not None
    try:
        for line in child.stdout:
            on_line(line.decode(errors="replace").rstrip("\n"))
        return child.wait()
    except BaseException:
        kill_session(child)
        child.wait()
        raise
