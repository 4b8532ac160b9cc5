# SPDX-License-Identifier: GPL-2.0-only
"""QMP without asyncio on the caller's side: commands block, and events are collected."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import logging
import socket
import threading
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

from qemu.qmp import ExecuteError, QMPClient, QMPError

from lab.errors import InfraError

T = TypeVar("T")

# The library reports each disconnect as an error on stderr; here machines
# exit all the time.
logging.getLogger("qemu.qmp").setLevel(logging.CRITICAL)


class QmpFailed(InfraError):
    """QEMU refused a command, or has ended."""


@dataclass(frozen=True)
class QmpEvent:
    """An event from QEMU; `at` is in seconds on the host's monotonic clock."""

    name: str
    data: dict[str, Any]
    at: float = field(default_factory=time.monotonic)


_loop: asyncio.AbstractEventLoop | None = None
_loop_lock = threading.Lock()


def _running_loop() -> asyncio.AbstractEventLoop:
    """Return the event loop, in one thread, that serves all machines of the process."""
    global _loop
    with _loop_lock:
        if _loop is None:
            _loop = asyncio.new_event_loop()
            threading.Thread(target=_loop.run_forever, name="qmp", daemon=True).start()
        return _loop


def _call(work: Coroutine[Any, Any, T], timeout: float, what: str) -> T:
    future = asyncio.run_coroutine_threadsafe(work, _running_loop())
    try:
        return future.result(timeout)
    except concurrent.futures.TimeoutError:
        future.cancel()
        raise QmpFailed(f"{what}: QEMU did not answer within {timeout:.0f} s") from None
    except ExecuteError as error:
        raise QmpFailed(f"{what}: {error}") from error
    except (QMPError, OSError, EOFError) as error:
        raise QmpFailed(f"{what}: the connection to QEMU is lost ({error!r})") from error


class Qmp:
    """A machine's QMP connection over a connected socket."""

    def __init__(self, on_event: Callable[[QmpEvent], None]) -> None:
        self._client = QMPClient("lab")
        self._on_event = on_event
        self._pump: concurrent.futures.Future[None] | None = None

    def connect(self, sock: socket.socket, timeout: float) -> None:
        """Read the greeting and negotiate; from then on events are passed on."""
        _call(self._client.connect(sock), timeout, "QMP greeting")
        self._pump = asyncio.run_coroutine_threadsafe(self._events(), _running_loop())

    def execute(self, command: str, /, timeout: float = 10.0, **arguments: Any) -> Any:
        """Run a QMP command and return its result; names have dashes, as in QMP."""
        named = {name.replace("_", "-"): value for name, value in arguments.items()}
        return _call(self._client.execute(command, named or None), timeout, command)

    def monitor(self, line: str, timeout: float = 10.0) -> str:
        """Run a command of the human monitor that QMP does not offer; return its output."""
        return str(
            _call(
                self._client.execute("human-monitor-command", {"command-line": line}),
                timeout,
                line,
            )
        )

    def close(self) -> None:
        """End the connection."""
        if self._pump is not None:
            self._pump.cancel()
        with contextlib.suppress(QmpFailed):
            _call(self._client.disconnect(), 5.0, "QMP disconnect")

    async def _events(self) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            async for event in self._client.events:
                self._on_event(QmpEvent(str(event["event"]), _data(event)))


def _data(event: Any) -> dict[str, Any]:
    data = event.get("data")
    return dict(data) if isinstance(data, dict) else {}
