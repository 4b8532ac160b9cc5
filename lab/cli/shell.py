# SPDX-License-Identifier: GPL-2.0-only
"""`lab shell`: boot a guest to work in by hand, with the current folder's extensions."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import termios
import threading
import tty
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import paramiko
import typer
from rich.console import Console

from lab import events
from lab.cache import Cache
from lab.cli.run import gdb_line
from lab.deadline import scaled
from lab.errors import LabError
from lab.extension.c import build_c
from lab.guest.forks import Forks
from lab.guest.guest import Guest
from lab.kernel.artifact import Kernel
from lab.report.terminal import Terminal
from lab.runner.plan import CONSOLE_SHELL, Planner
from lab.workspace import Workspace

ESCAPE = b"\x1d"  # Ctrl-]


def shell(
    kernel: Annotated[str, typer.Option(help="Kernel flavor.")] = "stock",
    accel: Annotated[str, typer.Option(help="auto, kvm or tcg.")] = "auto",
    console: Annotated[
        bool, typer.Option("--console", help="Use the serial console instead of SSH.")
    ] = False,
    gdb: Annotated[
        bool,
        typer.Option(
            "--gdb", help="Start a gdb stub and print the command that attaches gdb to it."
        ),
    ] = False,
    cold: Annotated[
        bool, typer.Option("--cold", help="Boot the guest instead of forking a booted one.")
    ] = False,
    cpus: Annotated[int, typer.Option(min=1, help="Virtual CPUs.")] = 2,
    memory: Annotated[int, typer.Option(min=64, help="Memory in MiB.")] = 256,
    command: Annotated[
        str | None,
        typer.Option("--command", "-c", help="Run one shell line and exit with its status."),
    ] = None,
) -> None:
    """Boot a guest with the current folder's *.bpf.o, *.ko and compiled *.bpf.c files.

    The files are in /root of the guest; files in subfolders are not copied.
    Only scenarios run Rust extensions. To load an object by hand, give commands to
    `kextload serve` in the guest; README.md has an example.
    """
    out = Console(stderr=True, highlight=False, soft_wrap=True)
    with Terminal(out) as progress:
        emit = events.Bus(progress)
        planner = Planner(Workspace.default(), Cache.default(emit), accel, emit)
        built = planner.kernel(kernel)
        spec = planner.guest_spec(
            built,
            planner.image(built),
            cpus=cpus,
            memory=memory,
            extra=(CONSOLE_SHELL,) if console else (),
            gdb=gdb,
        )
        files = _extensions(built, planner, progress)
        guest = Forks(planner.cache, cold, emit).start(spec)
    with guest:
        if files:
            guest.push(files, scaled(60))
        if gdb:
            out.print(gdb_line(built.vmlinux, guest.machine.gdb_socket), markup=False)
        if command is not None:
            done = guest.run(command, scaled(3600))
            sys.stdout.write(done.stdout)
            sys.stderr.write(done.stderr)
            raise typer.Exit(done.status)
        names = " ".join(sorted(Path(name).name for name in files)) or "none"
        out.print(f"{built.release}, up after {guest.ready_after:.1f} s; in /root: {names}")
        if console:
            out.print("the guest's console; Ctrl-] ends the guest")
            _console(guest)
        elif not sys.stdin.isatty():
            raise typer.Exit(_piped(guest))
        else:
            out.print("`exit` or Ctrl-D ends the guest")
            _ssh(guest)


def _extensions(kernel: Kernel, planner: Planner, progress: Terminal) -> dict[str, Path | bytes]:
    """Return the objects of the current folder; compile its `*.bpf.c` files first."""
    here = Path.cwd()
    files: dict[str, Path | bytes] = {
        f"/root/{path.name}": path
        for pattern in ("*.bpf.o", "*.ko")
        for path in sorted(here.glob(pattern))
    }
    if kernel.btf is None:
        return files
    own = replace(planner.workspace, c=(here,))
    for name in own.names("c"):
        try:
            built = build_c(own, name, kernel, planner.cache, planner.emit)
        except LabError as error:
            # A file that does not compile must not keep the user out of the guest.
            progress.print(f"{name}: {error}")
        else:
            files[f"/root/{built.path.name}"] = built.path
    return files


def _piped(guest: Guest) -> int:
    """Run the lines of standard input in the guest's shell, and return its status."""
    channel = guest.ssh.piped("exec sh -l")
    feed = threading.Thread(target=_feed, args=(channel,), name="stdin", daemon=True)
    feed.start()
    while True:
        ready = [channel.recv_ready(), channel.recv_stderr_ready()]
        if ready[0]:
            os.write(sys.stdout.fileno(), channel.recv(65536))
        if ready[1]:
            os.write(sys.stderr.fileno(), channel.recv_stderr(65536))
        if not any(ready):
            if channel.exit_status_ready() and channel.eof_received:
                return channel.recv_exit_status()
            select.select([channel], [], [], 0.2)


def _feed(channel: paramiko.Channel) -> None:
    with contextlib.suppress(OSError):
        while typed := os.read(sys.stdin.fileno(), 4096):
            channel.sendall(typed)
        channel.shutdown_write()


def _ssh(guest: Guest) -> None:
    size = os.get_terminal_size() if sys.stdout.isatty() else os.terminal_size((80, 24))
    channel = guest.ssh.interactive(size.columns, size.lines, os.environ.get("TERM", "vt100"))

    def resize(_signal: int, _frame: object) -> None:
        now = os.get_terminal_size()
        channel.resize_pty(now.columns, now.lines)

    if sys.stdout.isatty():
        signal.signal(signal.SIGWINCH, resize)
    with _Raw():
        _relay_ssh(channel)


def _relay_ssh(channel: paramiko.Channel) -> None:
    stdin: int | None = sys.stdin.fileno()
    while True:
        sources: list[Any] = [channel] if stdin is None else [channel, stdin]
        ready, _, _ = select.select(sources, [], [], 1.0)
        if channel in ready:
            data = channel.recv(65536)
            if not data:
                return
            os.write(sys.stdout.fileno(), data)
        if stdin is not None and stdin in ready:
            typed = os.read(stdin, 4096)
            if typed:
                channel.sendall(typed)
            else:
                channel.shutdown_write()
                stdin = None
        if channel.closed:
            return


def _console(guest: Guest) -> None:
    console = guest.machine.console

    def show(data: bytes) -> None:
        os.write(sys.stdout.fileno(), data)

    untap = console.tap(show)
    console.send(b"\n")
    try:
        with _Raw():
            while guest.machine.running and not console.closed:
                ready, _, _ = select.select([sys.stdin], [], [], 0.5)
                if not ready:
                    continue
                typed = os.read(sys.stdin.fileno(), 4096)
                if not typed or ESCAPE in typed:
                    return
                console.send(typed)
    finally:
        untap()


class _Raw:
    """A context manager that sets the terminal to raw mode, and restores its mode on exit."""

    def __enter__(self) -> None:
        self._old = None
        if sys.stdin.isatty():
            self._old = termios.tcgetattr(sys.stdin)
            tty.setraw(sys.stdin)

    def __exit__(self, *_: object) -> None:
        if self._old is not None:
            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, self._old)
