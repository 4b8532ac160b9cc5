# SPDX-License-Identifier: GPL-2.0-only
"""Test the causes of failed boots, as found from the console."""

from __future__ import annotations

import pickle

import pytest

from lab.guest.boot_errors import BootCause, BootError, diagnose

PANIC = "[ 1.0] Kernel panic - not syncing: VFS: Unable to mount root fs"


@pytest.mark.parametrize(
    ("console", "panicked", "running", "cause"),
    [
        ("", True, True, BootCause.KERNEL_PANICKED),
        (PANIC, False, False, BootCause.KERNEL_PANICKED),
        ("", False, False, BootCause.ENDED),
        ("", False, True, BootCause.NO_CONSOLE),
        ("Linux version 6.12", False, True, BootCause.NO_INIT),
        ("Linux\nkextlab: init", False, True, BootCause.NO_NETWORK),
        ("kextlab: init\nkextlab: network", False, True, BootCause.NO_PARK),
    ],
)
def test_causes(console: str, panicked: bool, running: bool, cause: BootCause) -> None:
    assert diagnose(console, panicked=panicked, running=running) is cause


def test_a_guest_that_parked_had_all_but_ssh() -> None:
    cause = diagnose("kextlab: network", panicked=False, running=True, parked=True)
    assert cause is BootCause.NO_SSH


def test_the_message_carries_panic_cpus_and_console() -> None:
    error = BootError(
        BootCause.KERNEL_PANICKED, seconds=2.0, console=f"hello\n{PANIC}", cpus="CPU 0: f+0x1"
    )
    text = str(error)
    assert "VFS: Unable to mount root fs" in error.message
    assert "CPU 0: f+0x1" in text
    assert "hello" in text
    assert "hint:" in text


def test_errors_cross_processes() -> None:
    error = BootError(BootCause.NO_SSH, seconds=1.0, console="x")
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error)
    assert again.cause is BootCause.NO_SSH
