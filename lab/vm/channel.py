# SPDX-License-Identifier: GPL-2.0-only
"""The host's own line into a guest: its second serial port, read by lines.

It needs no network and no module in the guest, and it is there before SSH is.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections import deque
from collections.abc import Callable

_CHUNK = 4096
# What is written there is a few short lines; a guest that floods it is cut off.
MAX_BYTES = 64 << 10


class Channel:
    """Lines from and to a guest over a connected socket; `news` is called when one came."""

    def __init__(self, sock: socket.socket, news: Callable[[], None]) -> None:
        self._socket = sock
        self._news = news
        self._lines: deque[bytes] = deque()
        self._partial = b""
        self._thread = threading.Thread(target=self._read, name="channel", daemon=True)
        self._thread.start()

    def take_line(self) -> bytes | None:
        """The next whole line, without its end, None if there is none yet."""
        with contextlib.suppress(IndexError):
            return self._lines.popleft()
        return None

    @property
    def has_line(self) -> bool:
        """Whether a whole line is there to be taken."""
        return bool(self._lines)

    def send(self, data: bytes) -> None:
        """Write to the guest. What a dead machine can't take is dropped."""
        with contextlib.suppress(OSError):
            self._socket.sendall(data)

    def close(self) -> None:
        """Hang up; what the guest writes from now on goes nowhere."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(1.0)
        self._socket.close()

    def _read(self) -> None:
        size = 0
        while size < MAX_BYTES:
            try:
                data = self._socket.recv(_CHUNK)
            except OSError:
                return
            if not data:
                return
            size += len(data)
            *whole, self._partial = (self._partial + data).split(b"\n")
            self._lines.extend(line.rstrip(b"\r") for line in whole)
            if whole:
                self._news()
