# SPDX-License-Identifier: GPL-2.0-only
"""A guest: a booted machine, with one SSH connection and the loader in it."""

from __future__ import annotations

import base64
import contextlib
import io
import itertools
import secrets
import shlex
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import paramiko

from lab import jsontext
from lab.deadline import Deadline, DeadlineExceeded, scaled
from lab.errors import InfraError
from lab.guest import boot_errors, identity
from lab.guest.boot_errors import BootCause, BootError
from lab.guest.job import Job
from lab.guest.loader import Loader
from lab.guest.ssh import CommandTimeout, Completed, ConnectionLost, Running, Ssh
from lab.guest.unpark import unpark, wait_until_parked
from lab.guest.witness import NoWitness, Witness
from lab.vm.argv import Shape
from lab.vm.machine import Boot, Machine, Restore
from lab.vm.snapshot import Snapshot
from lab.vm.symbols import Symbols

# A guest boots in about 2.5 s under emulation; a debug kernel takes about ten.
BOOT_SECONDS = 60.0
# From a panic to the restart, which follows when the report is printed.
FINAL_OUTPUT_SECONDS = 5.0
READ_SECONDS = 15.0  # for all that an oracle reads at once
# Longer than any item; the code that started a machine stops it.
FOR_EVER = 1e7
# For the backtraces of a kernel that did not boot.
BACKTRACE_SECONDS = 3.0


@dataclass(frozen=True)
class GuestSpec:
    """A specification of a guest. `vmlinux` serves to name addresses."""

    kernel: Path
    image: Path
    arguments: tuple[str, ...]
    shape: Shape
    vmlinux: Path | None = None
    gdb: bool = False


class Guest:
    """A booted guest; it is a context manager that ends the machine."""

    def __init__(self, machine: Machine, ssh: Ssh, who: identity.Identity) -> None:
        self.machine = machine
        self.ssh = ssh
        self.identity = who
        self.ready_after = machine.age
        self.how = "cold"
        self._loader: Loader | None = None
        self._witness: Witness | None = None
        self._witness_lost = False
        self._job_numbers = itertools.count(1)
        threading.Thread(target=self._hang_up, name="guest-end", daemon=True).start()

    @classmethod
    def boot(cls, spec: GuestSpec, deadline: Deadline | None = None) -> Guest:
        """Start a machine and wait until it answers a first SSH command.

        Raises `LaunchError` (QEMU) or `BootError` (everything after), with the
        machine gone.
        """
        deadline = deadline or scaled(BOOT_SECONDS)
        boot = Boot(spec.kernel, spec.image, spec.arguments)
        return cls._unparked(boot_parked(spec, boot, deadline), spec, deadline)

    @classmethod
    def fork(cls, spec: GuestSpec, saved: Snapshot, deadline: Deadline | None = None) -> Guest:
        """Start a fork of the parked guest that was saved for `spec`, with its own identity.

        Raises `LaunchError` or `RestoreFailed` (QEMU), or `BootError`, with the
        machine gone.
        """
        deadline = deadline or scaled(BOOT_SECONDS)
        origin = Restore(saved.memory, saved.state, saved.console)
        guest = cls._unparked(Machine(spec.shape, origin).start(), spec, deadline)
        guest.how = "fork"
        return guest

    @classmethod
    def _unparked(cls, machine: Machine, spec: GuestSpec, deadline: Deadline) -> Guest:
        who = identity.fresh()
        try:
            ssh = _call_in(machine, who, deadline, spec.vmlinux)
            guest = cls(machine, ssh, who)
            try:
                guest.run("true", deadline)
            except ConnectionLost as error:
                raise _boot_error(machine, error.message, spec.vmlinux) from error
            machine.mark("command")
            guest.ready_after = machine.age
            return guest
        except BaseException:
            machine.stop()
            raise

    def __enter__(self) -> Guest:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the machine, then the connection: a dead guest could stall an orderly end."""
        self.machine.stop()
        self.ssh.close()

    def reconnect(self, deadline: Deadline) -> None:
        """Replace a broken connection; the loader ended with the old one.

        Raises `ConnectionLost` if the guest does not answer.
        """
        self.forget_loader()
        self._witness_lost = self._witness_lost or self._witness is not None
        self._witness = None
        self.ssh.close()
        self.ssh = _dial(self.machine, self.identity)
        self.ssh.connect(deadline)

    def _hang_up(self) -> None:
        """End the connection when the guest is dead: no command then waits until its deadline."""
        vm = self.machine
        with contextlib.suppress(DeadlineExceeded):
            vm.wait(lambda: vm.panicked or vm.ended, Deadline(FOR_EVER), "the end of the guest")
            vm.wait_for_final_output(scaled(FINAL_OUTPUT_SECONDS))
        self.ssh.close()

    # Work in the guest

    def run(self, command: str, deadline: Deadline | None = None, stdin: bytes = b"") -> Completed:
        """Run a shell command until it ends."""
        return self.ssh.run(command, deadline or scaled(15), stdin)

    def start(self, command: str, deadline: Deadline | None = None) -> Running:
        """Start a shell command and return without waiting for its end."""
        return self.ssh.start(command, deadline or scaled(15))

    def job(self, command: str, deadline: Deadline | None = None, *, keep: bool = False) -> Job:
        """Start a shell line in the background; `keep` keeps its output."""
        return Job.start(
            self.run, next(self._job_numbers), command, deadline or scaled(15), keep=keep
        )

    def push(self, files: Mapping[str, Path | bytes], deadline: Deadline | None = None) -> None:
        """Put files into the guest."""
        self.ssh.push(files, deadline or scaled(20))

    @property
    def loader(self) -> Loader:
        """The loader; it is started at its first use."""
        if self._loader is None:
            self._loader = Loader(self.ssh, scaled(15))
        return self._loader

    def end_loader(self, deadline: Deadline | None = None) -> None:
        """End the loader, if it runs, and wait until all that it held is released."""
        if self._loader is not None:
            loader, self._loader = self._loader, None
            loader.finish(deadline or scaled(15))

    def forget_loader(self) -> None:
        """Drop a loader that is gone or was killed: the next use starts another."""
        if self._loader is not None:
            loader, self._loader = self._loader, None
            loader.close()

    # Observation

    @property
    def witness(self) -> Witness:
        """The process that reads for the oracles; it starts at its first use, before the steps.

        Raises `NoWitness` if it ended with a connection that broke: a step may have replaced
        the program, so that a witness that starts later can't be trusted.
        """
        if self._witness_lost:
            raise NoWitness
        if self._witness is None:
            self._witness = Witness(self.ssh, scaled(READ_SECONDS))
        return self._witness

    def bpf_objects(self, deadline: Deadline | None = None) -> dict[str, Any]:
        """Return all BPF objects and net attachments, by id, as the guest reports them."""
        return self._tell(("bpf-objects",), deadline)

    def _tell(self, words: Sequence[str], deadline: Deadline | None = None) -> dict[str, Any]:
        """Return the answer of `kextload WORDS`; it comes from the witness if that was started."""
        if self._witness is None and not self._witness_lost:
            return _report(self.run(shlex.join(["kextload", *words]), deadline))
        return self.witness.do(words, deadline or scaled(READ_SECONDS))

    def kernel_log(
        self, word: str, since: int | None, paths: Sequence[str], deadline: Deadline | None = None
    ) -> dict[str, Any]:
        """Write a record with a word to the kernel's log, and read the log up to it.

        `records` are those after the number `since`, `fence` is the number of the record
        that was written, `files` holds small files, None for one that can't be read.
        """
        number = "-" if since is None else str(since)
        return self._tell(("log", word, number, *paths), deadline)

    def inventory(self, sources: bytes, deadline: Deadline | None = None) -> dict[str, Any]:
        """Return the kernel's named objects; `sources` are lines that say what to read.

        A running process answers, so that no process has to be started. Raises
        `InfraError` if the answer is not an inventory.
        """
        if self._witness is not None or self._witness_lost:
            limit = deadline or scaled(READ_SECONDS)
            return self.witness.call("inventory", limit, sources=sources.decode())
        loader = self._loader
        if loader is None or loader.busy:
            return _report(self.run("kextload inventory", deadline, sources))
        answer = loader.call("inventory", deadline or scaled(15), sources=sources.decode())
        if not answer.ok:
            raise InfraError(f"the guest's inventory failed: {answer.problem}")
        return answer

    def read_files(
        self, paths: Sequence[str], deadline: Deadline | None = None
    ) -> dict[str, str | None]:
        """Return small files of the guest, read at once; None for one that can't be read."""
        if self._witness is not None or self._witness_lost:
            return self.witness.read_files(paths, deadline or scaled(READ_SECONDS))
        fence = f"--{secrets.token_hex(8)}--"
        script = "\n".join(
            f"echo {fence}; cat {shlex.quote(path)} 2>/dev/null || echo {fence}-" for path in paths
        )
        done = self.run(script, deadline)
        parts = done.stdout.split(f"{fence}\n")[1:]
        if len(parts) != len(paths):
            raise InfraError("the guest answered a read of its files with something else")
        return {
            path: None if part.endswith(f"{fence}-\n") else part
            for path, part in zip(paths, parts, strict=True)
        }

    def alive(
        self,
        nonce: str,
        deadline: Deadline,
        patience: float = 5.0,
        opening: Deadline | None = None,
    ) -> str:
        """Return the answer of `kextload alive` to a nonce that each CPU must echo in `patience` s.

        Raises `ConnectionLost` if the guest does not even start it, by `opening` if given.
        """
        milliseconds = int(patience * 1000)
        line = f"kextload alive {nonce} {milliseconds}"
        running = self.ssh.start(line, opening or deadline)
        try:
            return running.wait(deadline).stdout
        except CommandTimeout:
            # The CPUs that have answered by then were heard.
            if not running.output:
                raise
            return running.output
        finally:
            running.close()

    def where(self, vmlinux: Path | None = None) -> str:
        """Return the position of each CPU, seen from outside, one line per CPU."""
        return where_cpus_are(self.machine, vmlinux)


def where_cpus_are(machine: Machine, vmlinux: Path | None) -> str:
    """Return each CPU's instruction pointer, as a symbol if there is a vmlinux."""
    symbols = Symbols.of(vmlinux) if vmlinux is not None and vmlinux.exists() else Symbols([])
    return "\n".join(f"CPU {one.cpu}: {symbols.name(one.rip)}" for one in machine.registers())


def _report(done: Completed) -> dict[str, Any]:
    try:
        data = jsontext.parse(done.stdout)
    except ValueError as error:
        raise InfraError(
            f"the answer of `{done.command}` is not JSON",
            details=done.stdout[:400] + done.stderr[:400],
        ) from error
    if not isinstance(data, dict) or data.get("ok") is not True:
        raise InfraError(f"`{done.command}` failed in the guest", details=done.stdout[:400])
    return data


def _dial(machine: Machine, who: identity.Identity) -> Ssh:
    client_key = paramiko.Ed25519Key.from_private_key(io.StringIO(who.client_key))
    host_key = paramiko.Ed25519Key(data=_blob(who.host_public))
    return Ssh(machine.ssh_port(), client_key, host_key)


def boot_parked(spec: GuestSpec, boot: Boot, deadline: Deadline) -> Machine:
    """Start a machine and wait until its guest is parked.

    Raises `LaunchError` or `BootError`, with the machine gone.
    """
    machine = Machine(spec.shape, boot, gdb=spec.gdb).start()
    try:
        wait_until_parked(machine, deadline)
        machine.mark("boot")
    except (DeadlineExceeded, InfraError) as error:
        try:
            raise _boot_error(machine, str(error), spec.vmlinux, parked=False) from error
        finally:
            machine.stop()
    except BaseException:
        machine.stop()
        raise
    return machine


def _call_in(
    machine: Machine, who: identity.Identity, deadline: Deadline, vmlinux: Path | None
) -> Ssh:
    try:
        unpark(machine, who, deadline)
        machine.mark("unpark")
        ssh = _dial(machine, who)
        ssh.connect(deadline)
        machine.mark("SSH")
    except (DeadlineExceeded, InfraError) as error:
        raise _boot_error(machine, str(error), vmlinux) from error
    return ssh


def _boot_error(
    machine: Machine, problem: str, vmlinux: Path | None, *, parked: bool = True
) -> BootError:
    seconds = machine.age
    cpus = ""
    if machine.panicked or machine.ended:
        # QEMU reports a panic at once; its text may not be on the console yet.
        machine.wait_for_final_output(scaled(FINAL_OUTPUT_SECONDS))
    cause = boot_errors.diagnose(
        machine.console.text(),
        panicked=machine.panicked,
        running=not machine.ended,
        parked=parked,
    )
    console = machine.console.text()
    more = problem
    if cause is BootCause.ENDED:
        more = (
            f"QEMU's status: {machine.exit_status}; its output: {machine.stderr.strip() or 'none'}"
        )
    elif cause is not BootCause.KERNEL_PANICKED:
        with contextlib.suppress(InfraError):
            cpus = where_cpus_are(machine, vmlinux)
            limit = Deadline(BACKTRACE_SECONDS)
            # Kernels boot with `loglevel=4`, which hides backtraces, until init raises it.
            machine.press_sysrq(b"8", "Loglevel set to", 1, limit)
            backtraces = machine.ask_backtraces(limit)
            cpus = f"{cpus}\n{backtraces}"
    return BootError(cause, seconds=seconds, console=console, cpus=cpus, more=more)


def _blob(public_line: str) -> bytes:
    return base64.b64decode(public_line.split()[1])
