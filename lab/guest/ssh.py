# SPDX-License-Identifier: GPL-2.0-only
"""SSH into a guest: one connection, pinned keys, and deadlines and bounds for everything."""

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
# Bytes of one packet. RFC 4253, section 6.1, requires 35,000; servers send no larger ones.
MAX_PACKET = 256 << 10
# Bytes that a server may send before it names its protocol.
MAX_BANNER = 64 << 10
_TICK = 0.01

# If a guest dies while it sends, the oracles report it; no traceback is wanted.
logging.getLogger("paramiko").setLevel(logging.CRITICAL)


class ConnectionLost(InfraError):
    """The guest's SSH no longer answers. The oracles find out whether its kernel died."""


class CommandTimeout(ConnectionLost):
    """A command in the guest did not end by its deadline."""


@dataclass(frozen=True)
class Completed:
    """A command that ended in the guest; `truncated` says that output was dropped."""

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
    """A running command in the guest: it collects output, and its end can be waited for."""

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
            # A server that accepts a byte now and then keeps `sendall` within its timeout forever.
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
        """Close the command's standard input."""
        with contextlib.suppress(OSError, EOFError):
            self._channel.shutdown_write()

    def read_line(self, deadline: Deadline) -> bytes:
        """Return the next complete line of standard output, without its line end."""
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
        """Wait until the command ends. Raises `CommandTimeout` and `ConnectionLost`."""
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
    def output(self) -> str:
        """The standard output that has come so far."""
        self._collect()
        return bytes(self._out).decode(errors="replace")

    @property
    def done(self) -> bool:
        """True if the command has ended."""
        return self._channel.exit_status_ready()

    def close(self) -> None:
        """Abandon the command (dropbear sends it SIGHUP)."""
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
                "the guest has another host key than the one that the lab gave it",
                hint="something else answers on its port; nothing was sent to it",
            ) from error
        except (paramiko.SSHException, OSError, EOFError) as error:
            raise ConnectionLost(f"SSH: {error}") from error
        transport = self._connection.transport
        transport.set_keepalive(0)

    @property
    def alive(self) -> bool:
        """True if the connection is up, as far as the host knows without a request."""
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

        At most `limit` bytes of output are held at a time; the rest is dropped.

        An end-of-file on the wire could cross the end of a short command. It would
        then reach the next channel, which has the same number. So it is sent only
        to commands that read until the end of their input.
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
        """Run a command in the guest until it ends."""
        running = self.start(command, deadline, stdin=bool(stdin))
        try:
            if stdin:
                running.send(stdin, deadline)
                running.close_stdin()
            return running.wait(deadline)
        finally:
            running.close()

    def push(self, files: Mapping[str, Path | bytes], deadline: Deadline) -> None:
        """Copy files into the guest in one command; they are executable if the host's file is."""
        result = self.run("tar -x -f - -C /", deadline, _archive(files))
        if not result.ok:
            raise InfraError("files could not be pushed to the guest", details=result.stderr)

    def interactive(self, columns: int, lines: int, term: str) -> paramiko.Channel:
        """Start a login shell on its own terminal in the guest."""
        transport = self._connection.client.get_transport()
        if transport is None:
            raise ConnectionLost("the connection is gone")
        channel: paramiko.Channel = transport.open_session()
        channel.get_pty(term, columns, lines)
        channel.invoke_shell()
        return channel

    def piped(self, command: str) -> paramiko.Channel:
        """Start a command whose input and output the caller relays."""
        transport = self._connection.client.get_transport()
        if transport is None:
            raise ConnectionLost("the connection is gone")
        channel: paramiko.Channel = transport.open_session()
        channel.exec_command(command)
        return channel

    def close(self) -> None:
        """Close the connection."""
        with contextlib.suppress(Exception):
            self._connection.close()


@contextlib.contextmanager
def _closed_after(channel: paramiko.Channel, seconds: float) -> Iterator[None]:
    """Close a channel if the body takes longer: paramiko waits forever for some answers."""
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
    """Paramiko's reader of packets with a bound; paramiko accepts any length from the server."""

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
            raise paramiko.SSHException("the server's banner does not end")
        data = bytes(super()._read_timeout(timeout))  # type: ignore[misc]
        self._room -= len(data)
        return data


def _frugal_transport(sock: socket.socket, **options: Any) -> paramiko.Transport:
    # Under emulation cryptography is expensive for the guest: only the cheapest
    # algorithms are offered.
    transport = paramiko.Transport(sock, **options)
    transport.packetizer = _BoundedPackets(sock)
    security = transport.get_security_options()
    security.kex = ("curve25519-sha256@libssh.org",)
    security.key_types = ("ssh-ed25519",)
    security.ciphers = ("aes128-ctr",)
    security.digests = ("hmac-sha2-256",)
    return transport
