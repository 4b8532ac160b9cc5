# SPDX-License-Identifier: GPL-2.0-only
"""The host's private line into a guest: its second serial port, read line by line.

It needs no network and no module in the guest, and it works before SSH does.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections import deque
from collections.abc import Callable

_CHUNK = 4096
# A guest writes a few short lines there; one that floods the channel is cut off.
MAX_BYTES = 64 << 10


class Channel:
    """Lines from and to a guest over a connected socket; each arrival calls `news`."""

    def __init__(self, sock: socket.socket, news: Callable[[], None]) -> None:
        self._socket = sock
        self._news = news
        self._lines: deque[bytes] = deque()
        self._partial = b""
        self._thread = threading.Thread(target=self._read, name="channel", daemon=True)
        self._thread.start()

    def take_line(self) -> bytes | None:
        """Return the next complete line, without its line end; None if there is none yet."""
        with contextlib.suppress(IndexError):
            return self._lines.popleft()
        return None

    @property
    def has_line(self) -> bool:
        """True if there is a complete line to take."""
        return bool(self._lines)

    def send(self, data: bytes) -> None:
        """Write to the guest. Data that a dead machine can't accept is dropped."""
        with contextlib.suppress(OSError):
            self._socket.sendall(data)

    def close(self) -> None:
        """Close the channel; all that the guest writes from now on is lost."""
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
