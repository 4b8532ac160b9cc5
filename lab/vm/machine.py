# SPDX-License-Identifier: GPL-2.0-only
"""One virtual machine: start it, watch it from outside, stop it."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO

from lab.deadline import Deadline, DeadlineExceeded
from lab.errors import InfraError
from lab.host.process import kill_session, spawn
from lab.vm import argv, migrate, registers
from lab.vm.channel import Channel
from lab.vm.clock import FasterClock
from lab.vm.console import Console, Line
from lab.vm.qmp import Qmp, QmpEvent, QmpFailed
from lab.vm.registers import CpuRegisters

QEMU = "qemu-system-x86_64"

# From fork to the QMP greeting; QEMU needs a tenth of a second on an idle host.
LAUNCH_SECONDS = 20.0


class LaunchError(InfraError):
    """QEMU did not start; the error has its status, whole command and output."""

    def __init__(self, status: int | None, command: str, output: str) -> None:
        ended = f"status {status}" if status is not None else "no answer on QMP"
        super().__init__(
            f"QEMU did not start ({ended})",
            details=f"{output.rstrip()}\ncommand: {command}",
            hint="`lab doctor` checks QEMU and the accelerator",
        )


@dataclass(frozen=True)
class Boot:
    """The origin of a machine that boots: kernel, initramfs, arguments."""

    kernel: Path
    initrd: Path
    arguments: tuple[str, ...]
    # The file of the machine's memory while it runs, if it is to be saved.
    memory: Path | None = None


@dataclass(frozen=True)
class Restore:
    """The origin of a fork: a saved machine's memory, state and console so far."""

    memory: Path
    state: Path
    console: tuple[Line, ...]


class Machine:
    """A running QEMU; it is a context manager that leaves nothing behind."""

    def __init__(self, shape: argv.Shape, origin: Boot | Restore, *, gdb: bool = False) -> None:
        self.shape = shape
        self.origin = origin
        self.events: list[QmpEvent] = []
        self.changed = threading.Condition()
        self.started_at = 0.0
        # Seconds that each part of the start took, in order.
        self.parts: dict[str, float] = {}
        self.gdb_socket: Path | None = None
        self._want_gdb = gdb
        self._stack = contextlib.ExitStack()
        self._stderr: list[bytes] = []
        self.command: tuple[str, ...] = ()
        self.console: Console
        self.channel: Channel
        self.qmp: Qmp
        self._child: subprocess.Popen[bytes]
        self._errors: threading.Thread

    # Life

    def start(self) -> Machine:
        """Start QEMU and connect to its QMP. Raises `LaunchError`."""
        try:
            with self._stack.pop_all() as stack:
                self._start(stack)
                self._stack = stack.pop_all()
        except BaseException:
            self._stack = contextlib.ExitStack()
            raise
        return self

    def _start(self, stack: contextlib.ExitStack) -> None:
        ours, theirs = socket.socketpair()
        stack.callback(ours.close)
        near, far = socket.socketpair()
        stack.callback(near.close)
        with contextlib.ExitStack() as handed:
            # Closed on this side when QEMU has them.
            handed.enter_context(theirs)
            handed.enter_context(far)
            fds = [theirs.fileno(), far.fileno()]
            inherited = argv.Descriptors(*fds)
            state_fd = -1
            origin = self.origin
            if isinstance(origin, Restore):
                memory_fd = _opened(handed, origin.memory, os.O_RDWR)
                state_fd = _opened(handed, origin.state, os.O_RDONLY)
                fds += [memory_fd, state_fd]
                words = argv.fork_command(QEMU, self.shape, inherited, memory_fd=memory_fd)
            else:
                if self._want_gdb:
                    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="kextlab-gdb-"))
                    self.gdb_socket = Path(folder) / "gdb.sock"
                words = argv.command(
                    QEMU,
                    self.shape,
                    inherited,
                    boot=origin.kernel,
                    initrd=origin.initrd,
                    command_line=" ".join(origin.arguments),
                    memory=origin.memory,
                    gdb_socket=self.gdb_socket,
                )
            self.command = tuple(words)
            self.started_at = time.monotonic()
            self._child = spawn(
                self.command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=tuple(fds),
            )
        stack.callback(self._reap)
        console_in, console_out, errors = (
            self._child.stdin,
            self._child.stdout,
            self._child.stderr,
        )
        assert console_in is not None
        assert console_out is not None
        assert errors is not None
        history = self.origin.console if isinstance(self.origin, Restore) else ()
        self.console = Console(console_out, console_in, history)
        self.channel = Channel(near, self._wake)
        stack.callback(self.channel.close)
        self._errors = threading.Thread(
            target=self._drain, args=(errors,), name="qemu-stderr", daemon=True
        )
        self._errors.start()
        self.qmp = Qmp(self._on_event)
        try:
            self.qmp.connect(ours, LAUNCH_SECONDS)
        except QmpFailed as error:
            status = self.wait_for_exit(2.0)
            raise LaunchError(status, shlex.join(self.command), self.stderr) from error
        stack.callback(self.qmp.close)
        threading.Thread(target=self._watch, name="qemu-exit", daemon=True).start()
        self.mark("QEMU")
        if isinstance(self.origin, Restore):
            migrate.restore(self, state_fd)
            self.mark("load")

    def stop(self) -> None:
        """End the machine; this does no harm if it has ended already."""
        stack, self._stack = self._stack.pop_all(), contextlib.ExitStack()
        if self.running:
            # Nothing in the guest needs an orderly shutdown, and SIGKILL is quick.
            kill_session(self._child)
        stack.close()

    def __enter__(self) -> Machine:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    # State

    @property
    def running(self) -> bool:
        return self._child.poll() is None

    @property
    def exit_status(self) -> int | None:
        """QEMU's exit status, None while it runs."""
        return self._child.poll()

    @property
    def pid(self) -> int:
        """QEMU's process id."""
        return self._child.pid

    @property
    def age(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self.started_at

    def mark(self, part: str) -> None:
        """Record the duration of a part of the start that has just ended."""
        self.parts[part] = self.age - sum(self.parts.values())

    @property
    def stderr(self) -> str:
        """The output of QEMU itself."""
        return b"".join(self._stderr).decode(errors="replace")

    @property
    def panicked(self) -> bool:
        """True if QEMU reported a panic of the guest."""
        return self._had("GUEST_PANICKED")

    @property
    def ended(self) -> bool:
        """True if the guest restarted or powered off, or QEMU is gone."""
        return self._had("SHUTDOWN") or not self.running

    def _had(self, name: str) -> bool:
        return any(event.name == name for event in self.events)

    def wait_for_final_output(self, deadline: Deadline) -> None:
        """Wait, after a panic, until the guest has ended and its report is complete."""
        with contextlib.suppress(DeadlineExceeded):
            self.wait(lambda: self.ended, deadline, "the end of a panic")
        # All text that the serial port accepted before the end is in the pipe already.
        self.console.wait_for_quiet(0.1, deadline)

    def wait(self, found: Callable[[], bool], deadline: Deadline, what: str) -> None:
        """Wait until `found()` is true; it is checked at each event or line, and when QEMU ends."""
        with self.changed:
            while not found():
                if deadline.expired:
                    raise DeadlineExceeded(what, deadline.seconds)
                self.changed.wait(deadline.remaining)

    def wait_for_exit(self, seconds: float) -> int | None:
        """Wait at most `seconds` until QEMU ends; return its exit status, None if it runs."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self._child.wait(seconds)
        return None

    # Doing

    def ssh_port(self) -> int:
        """Return the loopback port that QEMU picked for the guest's SSH."""
        text = self.qmp.monitor("info usernet")
        found = re.search(r"TCP\[HOST_FORWARD\]\s+\d+\s+127\.0\.0\.1\s+(\d+)\s+\S+\s+22", text)
        if not found:
            raise InfraError("QEMU does not say which port it picked for SSH", details=text)
        return int(found.group(1))

    def registers(self) -> tuple[CpuRegisters, ...]:
        """Return the registers of all CPUs, read from outside the guest. Raises `QmpFailed`."""
        return registers.parse(self.qmp.monitor("info registers -a"))

    def by_faster_clock(self, seconds: float, outer: Deadline | None = None) -> Deadline:
        """Return a deadline of seconds of the host's time or the guest's, whichever is faster.

        It ends with `outer` at the latest, which keeps its own clock.
        """
        if self.shape.icount is None:
            return Deadline(seconds, outer=outer)
        return Deadline(seconds, FasterClock(self._executed, self.shape.icount), outer)

    def _executed(self) -> int:
        """Return the number of instructions that all CPUs executed. Raises `QmpFailed`."""
        return int(self.qmp.execute("query-replay")["icount"])

    def ask_backtraces(self, deadline: Deadline) -> str:
        """Ask the kernel, over the serial line, for a backtrace of every CPU (sysrq l, by NMI).

        Returns its output, which is empty if the CPU that serves the
        serial line has interrupts off.
        """
        mark = self.console.count
        self.press_sysrq(b"l", "NMI backtrace for cpu", self.shape.cpus, deadline)
        self.console.wait_for_quiet(0.2, deadline)
        return self.console.text(since=mark)

    def press_sysrq(self, key: bytes, answer: str, times: int, deadline: Deadline) -> None:
        """Send a SysRq key over the serial line; wait until `answer` is printed `times` times.

        Returns at the deadline if it is not. To press two keys without a wait cancels both.
        """
        mark = self.console.count
        self.qmp.execute("chardev-send-break", id="console")
        self.console.send(key)
        with contextlib.suppress(DeadlineExceeded):
            self.console.wait_for(
                lambda lines: sum(answer in line.text for line in lines) >= times,
                deadline,
                answer,
                since=mark,
            )

    # Internals

    def _on_event(self, event: QmpEvent) -> None:
        with self.changed:
            self.events.append(event)
            self.changed.notify_all()
        self.console.wake()

    def _watch(self) -> None:
        self._child.wait()
        self._wake()

    def _wake(self) -> None:
        with self.changed:
            self.changed.notify_all()

    def _drain(self, stream: IO[bytes]) -> None:
        # QEMU prints little; more than this comes from a loop of warnings.
        limit = 64 << 10
        size = 0
        for chunk in iter(lambda: os.read(stream.fileno(), 4096), b""):
            if size < limit:
                self._stderr.append(chunk)
                size += len(chunk)

    def _reap(self) -> None:
        if self._child.poll() is None:
            kill_session(self._child)
        self._child.wait()
        if hasattr(self, "console"):
            self.console.join(2.0)
        if hasattr(self, "_errors"):
            self._errors.join(2.0)
        for stream in (self._child.stdin, self._child.stdout, self._child.stderr):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()


def _opened(stack: contextlib.ExitStack, path: Path, flags: int) -> int:
    """Return a descriptor that the stack closes: QEMU maps the same file that was checked."""
    descriptor = os.open(path, flags | os.O_CLOEXEC)
    stack.callback(os.close, descriptor)
    return descriptor
