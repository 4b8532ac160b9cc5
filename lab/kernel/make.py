# SPDX-License-Identifier: GPL-2.0-only
"""Run the kernel's make: count its steps, follow its progress, and report compiler errors."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from lab import deadline
from lab.errors import InfraError, LabError, UserError
from lab.host import process

# Kbuild's line for each object: `  CC      init/main.o`, `  AS [M]  ...`.
_OBJECT = re.compile(r"^  (?:CC|AS)(?: \[M\])? +(\S+)$")
# The same in the commands that `make -n` would run.
_PLANNED = re.compile(r"echo '  (?:CC|AS)(?: \[M\])? ")
_PLANNED_LINK = re.compile(r"echo '  LD +vmlinux(?:\.o)?'")
_LINK = re.compile(r"^  LD +(?:vmlinux\.o|vmlinux)$")

_ERROR = re.compile(
    r"^(?:[^\s:]+:\d+:(?:\d+:)? (?:fatal )?error: .*"  # compiler, assembler
    r"|[^\s:]+:\d+: (?:Error|undefined reference|multiple definition).*"
    r"|(?:\S*ld|collect2)(?:\.\w+)?: .*"
    r"|.*: undefined reference to .*"
    r"|ERROR: modpost: .*|FAILED: .*|.*: (?:error|fatal error): .*|.*objtool: .*error.*"
    r"|error: .*)$"
)
# gcc's quotation below an error: `   12 |  foo(;`, and the pointer under it.
_QUOTED = re.compile(r"^\s*(?:\d+ )?\|")
_STOPPED = re.compile(r"^make(?:\[\d+\])?: \*\*\* (.*)$")
_MOST_ERROR_LINES = 40
# Compilers that a killed make left behind finish their object within this time.
_LEFTOVERS_SECONDS = 300.0


@dataclass
class Follower:
    """A reader of make's output that counts objects and keeps errors and the last lines."""

    on_object: Callable[[int, str], None]
    on_link: Callable[[], None]
    done: int = 0
    linking: bool = False
    tail: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    _quoting: bool = False

    def line(self, line: str) -> None:
        self.tail = [*self.tail[-14:], line]
        if match := _OBJECT.match(line):
            self._quoting = False
            if not self.linking:
                self.done += 1
                self.on_object(self.done, match[1])
        elif _LINK.match(line):
            if not self.linking:
                self.linking = True
                self.on_link()
        elif _ERROR.match(line):
            self._quoting = True
            self._keep(line)
        elif self._quoting and _QUOTED.match(line):
            self._keep(line)
        else:
            self._quoting = False

    def _keep(self, line: str) -> None:
        if len(self.errors) < _MOST_ERROR_LINES:
            self.errors.append(line)

    def report(self) -> str:
        """Return the errors, or the last lines if no error was recognized."""
        if self.errors:
            return "\n".join(self.errors)
        stopped = [line for line in self.tail if not _STOPPED.match(line)]
        return "\n".join(stopped or self.tail)


@dataclass(frozen=True)
class Make:
    """The kernel's make in one tree, with variables that make its result reproducible."""

    tree: Path
    log: Path
    release_suffix: str
    jobs: int
    ccache: Path | None = None

    def arguments(self, jobs: int) -> list[str]:
        """Return the options and variables of every call."""
        compiler = ["CC=ccache gcc"] if self.ccache and shutil.which("ccache") else []
        return [f"-j{jobs}", "ARCH=x86_64", f"LOCALVERSION={self.release_suffix}", *compiler]

    @property
    def environment(self) -> dict[str, str]:
        values = {
            "LC_ALL": "C",
            "MAKEFLAGS": "",
            "KBUILD_BUILD_USER": "lab",
            "KBUILD_BUILD_HOST": "kextlab",
            "KBUILD_BUILD_VERSION": "1",
            "KBUILD_BUILD_TIMESTAMP": "Thu Jan  1 00:00:00 UTC 1970",
        }
        if self.ccache:
            # In depend mode ccache takes the headers from the compiler, without a second
            # preprocessing. A miss then costs 10 % more time instead of 33 %.
            # Objects have paths relative to the tree, so another tree can use them.
            values |= {
                "CCACHE_DIR": os.environ.get("CCACHE_DIR", str(self.ccache)),
                "CCACHE_BASEDIR": str(self.tree),
                "CCACHE_NOHASHDIR": "1",
                "CCACHE_DEPEND": "1",
                # Check content, not time: reinstalling the same compiler changes nothing.
                "CCACHE_COMPILERCHECK": "content",
                "CCACHE_INODECACHE": "1",
            }
        return values

    def run(self, *targets: str, what: str, extra: dict[str, str] | None = None) -> None:
        """Run targets without progress. Raises `UserError` with the compiler's errors."""
        self.follow(Follower(lambda done, name: None, lambda: None), *targets, what=what, env=extra)

    def planned(self, *targets: str) -> int:
        """Return the number of objects that a run would build, by `make -n`, which takes 5 s.

        The number is exact in a new tree. In a partly built tree it is about a dozen too high,
        because make can't know that generated headers will not change. It leaves out objects
        of the boot code, which are built after the kernel itself.
        """
        count = 0
        linking = False

        def line(text: str) -> None:
            nonlocal count, linking
            linking = linking or bool(_PLANNED_LINK.search(text))
            count += 0 if linking else len(_PLANNED.findall(text))

        # Use one job, because several would mix their lines.
        process.stream_lines(
            ["make", "-n", *self.arguments(1), *targets],
            line,
            cwd=self.tree,
            env=self.environment,
        )
        return count

    def follow(
        self, follower: Follower, *targets: str, what: str, env: dict[str, str] | None = None
    ) -> None:
        """Run targets; pass each line to `follower` and append it to the log.

        Raises `UserError` with the compiler's errors.
        """
        argv = ["make", "--output-sync=target", *self.arguments(self.jobs), *targets]
        with self._alone() as lock, self.log.open("a") as log:
            log.write(f"+ {' '.join(argv)}\n")
            child = process.spawn(
                argv,
                cwd=self.tree,
                env={**self.environment, **(env or {})},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=(lock,),
            )
            assert child.stdout is not None
            try:
                for raw in child.stdout:
                    line = raw.decode(errors="replace").rstrip("\n")
                    log.write(line + "\n")
                    follower.line(line)
                status = child.wait()
            except BaseException:
                process.kill_session(child)
                child.wait()
                raise
        if status != 0:
            raise self._failure(what, status, follower)

    def _failure(self, what: str, status: int, follower: Follower) -> LabError:
        text = follower.report()
        hint = f"the whole output is in {self.log}"
        if "No space left on device" in text:
            return InfraError(f"{what}: the disk is full", details=text, hint=hint)
        if status < 0 or "Killed signal" in text:
            return InfraError(
                f"{what}: make or a compiler was killed", details=text, hint=f"memory? {hint}"
            )
        return UserError(f"{what} failed", details=text, hint=hint)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[int]:
        """Hold a lock that every process of make inherits.

        When the lab is killed, make dies with it, but its compilers end a little later. They must
        not write into the tree while the next make works there. The lock is free once the last
        of them has ended.
        """
        path = self.tree.with_name(".make.lock")
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)

        def taken() -> bool:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return True

        try:
            deadline.scaled(_LEFTOVERS_SECONDS).poll(taken, "end of an earlier make")
            yield descriptor
        except deadline.DeadlineExceeded as error:
            raise InfraError(
                f"compilers of an earlier run still work in {self.tree}",
                hint=f"`fuser {path}` names them",
            ) from error
        finally:
            os.close(descriptor)


def drop_torn(tree: Path) -> int:
    """Remove files that a killed command may have left half-written; return their number.

    Kbuild writes `.x.o.cmd` after `x.o`. So a target newer than its command file is not
    complete, yet make would take it for up to date.
    """
    dropped = 0
    for folder, _, names in os.walk(tree):
        for name in names:
            if not (name.startswith(".") and name.endswith(".cmd")):
                continue
            target = os.path.join(folder, name[1:-4])
            try:
                if os.stat(target).st_mtime_ns > os.stat(os.path.join(folder, name)).st_mtime_ns:
                    os.unlink(target)
                    dropped += 1
            except OSError:
                continue
    return dropped
