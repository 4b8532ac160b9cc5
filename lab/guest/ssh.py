# SPDX-License-Identifier: GPL-2.0-only
"""SSH into a guest: one connection, pinned keys, deadlines and bounds on everything."""

from __future__ import annotations

import contextlib
import io
import logging
import socket
import tarfile
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import fabric
import paramiko

from lab.deadline import Deadline
from lab.errors import InfraError

MAX_OUTPUT = 1 << 20
# Bytes of one packet: RFC 4253, section 6.1, asks for 35,000, and servers send no larger ones.
MAX_PACKET = 256 << 10
# Bytes before the server has named its protocol.
MAX_BANNER = 64 << 10
_TICK = 0.01

# A guest that dies mid-sentence is a finding of the oracles, not a traceback.
logging.getLogger("paramiko").setLevel(logging.CRITICAL)


class ConnectionLost(InfraError):
    """The guest's SSH does not answer any more. Whether its kernel died is for the oracles."""


class CommandTimeout(ConnectionLost):
    """A command in the guest did not end by its deadline."""


@dataclass(frozen=True)
class Completed:
    """A command that ended in the guest; output beyond the bound was dropped (`truncated`)."""

    command: str
    status: int
    stdout: str
    stderr: str
    seconds: float
    truncated: bool = False

    @property
    def ok(self) -> bool:
        return self.status == 0


class Running:
    """A command that runs in the guest: its output collects, its end can be awaited."""

    def __init__(
        self,
        channel: paramiko.Channel,
        command: str,
        started_at: float,
        limit: int = MAX_OUTPUT,
    ) -> None:
        self.command = command
        self._limit = limit
        self._channel = channel
        self._start = started_at
        self._out = bytearray()
        self._err = bytearray()
        self.truncated = False
        self._news = threading.Event()
        channel.in_buffer.set_event(self._news)
        channel.in_stderr_buffer.set_event(self._news)

    def send(self, data: bytes, deadline: Deadline) -> None:
        """Write to the command's standard input."""
        self._channel.settimeout(max(0.1, deadline.remaining))
        try:
            # A server that takes a byte now and then keeps `sendall` within its timeout forever.
            with _closed_after(self._channel, max(0.1, deadline.remaining)):
                self._channel.sendall(data)
        except TimeoutError as error:
            raise CommandTimeout(
                f"the guest does not read what `{self.command}` is sent"
            ) from error
        except OSError as error:
            if deadline.expired and self._alive():
                raise CommandTimeout(
                    f"the guest does not read what `{self.command}` is sent"
                ) from error
            raise ConnectionLost(
                f"the connection broke while writing to `{self.command}`"
            ) from error

    def close_stdin(self) -> None:
        """Tell the command that no more input comes."""
        with contextlib.suppress(OSError, EOFError):
            self._channel.shutdown_write()

    def read_line(self, deadline: Deadline) -> bytes:
        """The next whole line of standard output, without its end."""
        while True:
            self._collect()
            end = self._out.find(b"\n")
            if end >= 0:
                line = bytes(self._out[:end])
                del self._out[: end + 1]
                return line
            if self.truncated:
                raise InfraError(f"`{self.command}` wrote a line longer than {self._limit} bytes")
            if self._channel.closed or self._channel.eof_received:
                error = bytes(self._err).decode(errors="replace")
                raise ConnectionLost(f"`{self.command}` ended without an answer", details=error)
            self._wait(deadline)

    def wait(self, deadline: Deadline) -> Completed:
        """The command's end; raises `CommandTimeout` and `ConnectionLost`."""
        while not self._channel.exit_status_ready():
            self._collect()
            self._wait(deadline)
        while not (self._channel.eof_received or self._channel.closed):
            self._wait(deadline)
        self._collect()
        status = self._channel.recv_exit_status()
        self._channel.close()
        if status == -1 and not self._alive():
            raise ConnectionLost(f"the connection broke during `{self.command}`")
        return Completed(
            self.command,
            status,
            bytes(self._out).decode(errors="replace"),
            bytes(self._err).decode(errors="replace"),
            time.monotonic() - self._start,
            self.truncated,
        )

    @property
    def done(self) -> bool:
        """Whether it has ended."""
        return self._channel.exit_status_ready()

    def close(self) -> None:
        """Forget the command (dropbear sends it a hang-up)."""
        self._channel.close()

    def _alive(self) -> bool:
        transport = self._channel.get_transport()
        return bool(transport and transport.is_active())

    def _wait(self, deadline: Deadline) -> None:
        if not self._alive():
            raise ConnectionLost(f"the connection broke during `{self.command}`")
        if deadline.expired:
            raise CommandTimeout(f"`{self.command}` did not end within {deadline.seconds:.1f} s")
        self._news.clear()
        if self._channel.recv_ready() or self._channel.recv_stderr_ready():
            return
        self._news.wait(min(_TICK, deadline.remaining))

    def _collect(self) -> None:
        for ready, read, kept in (
            (self._channel.recv_ready, self._channel.recv, self._out),
            (self._channel.recv_stderr_ready, self._channel.recv_stderr, self._err),
        ):
            while ready():
                data = read(65536)
                room = (self._limit if kept is self._out else MAX_OUTPUT) - len(kept)
                if len(data) > room:
                    self.truncated = True
                kept.extend(data[: max(0, room)])


class Ssh:
    """The one connection to a guest."""

    def __init__(self, port: int, client_key: paramiko.PKey, host_key: paramiko.PKey) -> None:
        config = fabric.Config(overrides={"load_ssh_configs": False})
        self._connection = fabric.Connection(
            "127.0.0.1",
            user="root",
            port=port,
            config=config,
            connect_kwargs={
                "pkey": client_key,
                "look_for_keys": False,
                "allow_agent": False,
                "transport_factory": _frugal_transport,
            },
        )
        client = self._connection.client
        client.set_missing_host_key_policy(paramiko.RejectPolicy())
        client.get_host_keys().add(f"[127.0.0.1]:{port}", host_key.get_name(), host_key)

    def connect(self, deadline: Deadline) -> None:
        """Connect and log in. Raises `ConnectionLost`, or `InfraError` for a wrong host key."""
        seconds = max(0.5, deadline.remaining)
        self._connection.connect_kwargs.update(
            banner_timeout=seconds, auth_timeout=seconds, channel_timeout=seconds
        )
        self._connection.connect_timeout = seconds
        try:
            self._connection.open()
        except paramiko.BadHostKeyException as error:
            raise InfraError(
                "the guest has another host key than the one the lab gave it",
                hint="something else answers on its port; nothing was sent to it",
            ) from error
        except (paramiko.SSHException, OSError, EOFError) as error:
            raise ConnectionLost(f"SSH: {error}") from error
        transport = self._connection.transport
        transport.set_keepalive(0)

    @property
    def alive(self) -> bool:
        """Whether the connection stands, as far as the host can tell without asking."""
        client = self._connection.client
        transport = client.get_transport()
        return bool(transport and transport.is_active())

    def start(
        self,
        command: str,
        deadline: Deadline,
        *,
        stdin: bool = False,
        limit: int = MAX_OUTPUT,
    ) -> Running:
        """Start a command in the guest; without `stdin` its input is empty.

        At most `limit` bytes of output are held at a time, the rest is dropped.

        An end-of-file sent over the wire could cross the end of a short
        command, and then hit the next channel, which has the same number: so
        it is sent only to commands that read up to it.
        """
        line = command if stdin else f"exec </dev/null\n{command}"
        transport = self._connection.client.get_transport()
        if transport is None or not transport.is_active():
            raise ConnectionLost(f"the connection is gone; `{command}` was not started")
        started_at = time.monotonic()
        try:
            channel = transport.open_session(timeout=max(0.1, deadline.remaining))
            channel.settimeout(max(0.1, deadline.remaining))
            with _closed_after(channel, max(0.1, deadline.remaining)):
                channel.exec_command(line)
        except (paramiko.SSHException, OSError, EOFError) as error:
            late = transport.is_active() and deadline.expired
            kind = CommandTimeout if late else ConnectionLost
            raise kind(f"`{command}` could not be started: {error}") from error
        return Running(channel, command, started_at, limit)

    def run(self, command: str, deadline: Deadline, stdin: bytes = b"") -> Completed:
        """Run a command in the guest to its end."""
        running = self.start(command, deadline, stdin=bool(stdin))
        try:
            if stdin:
                running.send(stdin, deadline)
                running.close_stdin()
            return running.wait(deadline)
        finally:
            running.close()

    def push(self, files: Mapping[str, Path | bytes], deadline: Deadline) -> None:
        """Put files into the guest, all in one go; executable if the host's file is."""
        result = self.run("tar -x -f - -C /", deadline, _archive(files))
        if not result.ok:
            raise InfraError("files could not be pushed to the guest", details=result.stderr)

    def interactive(self, columns: int, lines: int, term: str) -> paramiko.Channel:
        """A login shell on a terminal of its own in the guest."""
        transport = self._connection.client.get_transport()
        if transport is None:
            raise ConnectionLost("the connection is gone")
        channel: paramiko.Channel = transport.open_session()
        channel.get_pty(term, columns, lines)
        channel.invoke_shell()
        return channel

    def piped(self, command: str) -> paramiko.Channel:
        """A command whose input and output the caller relays."""
        transport = self._connection.client.get_transport()
        if transport is None:
            raise ConnectionLost("the connection is gone")
        channel: paramiko.Channel = transport.open_session()
        channel.exec_command(command)
        return channel

    def close(self) -> None:
        """Hang up."""
        with contextlib.suppress(Exception):
            self._connection.close()


@contextlib.contextmanager
def _closed_after(channel: paramiko.Channel, seconds: float) -> Iterator[None]:
    """Close a channel if what is done takes longer: paramiko waits for some answers for ever."""
    timer = threading.Timer(seconds, channel.close)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _archive(files: Mapping[str, Path | bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in sorted(files.items()):
            data = content if isinstance(content, bytes) else content.read_bytes()
            info = tarfile.TarInfo(str(PurePosixPath(name)).lstrip("/"))
            info.size = len(data)
            executable = isinstance(content, Path) and content.stat().st_mode & 0o111
            info.mode = 0o755 if executable else 0o644
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


class _BoundedPackets(paramiko.packet.Packetizer):
    """Paramiko's reader of packets with a bound: alone it takes any length from the server."""

    def read_all(self, n: int, check_rekey: bool = False) -> bytes:
        """Read `n` bytes; raise `SSHException` for a packet that is too long."""
        if n > MAX_PACKET:
            raise paramiko.SSHException(f"a packet of {n} bytes")
        return bytes(super().read_all(n, check_rekey))

    def readline(self, timeout: float) -> str:
        """Read a line before the first packet, as `Packetizer` does, but with a limit."""
        self._room, self._until = MAX_BANNER, time.monotonic() + timeout
        return str(super().readline(timeout))

    def _read_timeout(self, timeout: float) -> bytes:
        if self._room <= 0 or time.monotonic() > self._until:
            raise paramiko.SSHException("the server does not come to the end of its banner")
        data = bytes(super()._read_timeout(timeout))  # type: ignore[misc]
        self._room -= len(data)
        return data


def _frugal_transport(sock: socket.socket, **options: Any) -> paramiko.Transport:
    # Under emulation the guest pays for every byte of cryptography: only what
    # is cheapest there is offered.
    transport = paramiko.Transport(sock, **options)
    transport.packetizer = _BoundedPackets(sock)
    security = transport.get_security_options()
    security.kex = ("curve25519-sha256@libssh.org",)
    security.key_types = ("ssh-ed25519",)
    security.ciphers = ("aes128-ctr",)
    security.digests = ("hmac-sha2-256",)
    return transport
