# SPDX-License-Identifier: GPL-2.0-only
"""A guest that stops answering in the middle of a request does not keep the lab for ever."""

from __future__ import annotations

import threading
import time
from typing import Any, cast

import paramiko
import pytest

from lab.deadline import Deadline
from lab.guest.ssh import CommandTimeout, Ssh


class Silent:
    """A channel like paramiko's whose request gets no answer. Closing it wakes the waiter."""

    def __init__(self) -> None:
        self.closed = threading.Event()

    def settimeout(self, seconds: float) -> None:
        pass

    def exec_command(self, line: str) -> None:
        if self.closed.wait(30):
            raise paramiko.SSHException("Channel closed.")

    def close(self) -> None:
        self.closed.set()


class Connection:
    """A connection that opens `Silent` channels."""

    def __init__(self) -> None:
        self.client = self

    def get_transport(self) -> Connection:
        return self

    def is_active(self) -> bool:
        return True

    def open_session(self, timeout: float) -> Silent:
        return Silent()


def test_a_request_that_nobody_answers_ends_at_its_deadline() -> None:
    ssh = Ssh.__new__(Ssh)
    cast(Any, ssh)._connection = Connection()
    start = time.monotonic()
    with pytest.raises(CommandTimeout, match="could not be started"):
        ssh.start("true", Deadline(0.2))
    assert time.monotonic() - start < 20
