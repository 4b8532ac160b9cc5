# SPDX-License-Identifier: GPL-2.0-only
"""Root tries to hide or forge a report, in one guest; each try is undone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab.errors import InfraError
from lab.guest.forks import Forks
from lab.guest.guest import Guest, GuestSpec
from lab.kernel.artifact import Kernel
from lab.oracle.console.lines import Shape
from lab.runner.baseline import Baseline, take_baseline
from lab.runner.watch import Watch

pytestmark = pytest.mark.integration

# The kernel itself prints something about it.
SPEAK = "echo 1 > /proc/sys/vm/drop_caches"
TIME = "/sys/module/printk/parameters/time"
PREFIX = "<0>[    1.000000][    T1] "
PANIC = "Kernel panic - not syncing: no"


@pytest.fixture(scope="module")
def rooted(spec: GuestSpec, forks: Forks) -> Iterator[Guest]:
    """Start a guest to which these tests may do anything, as long as they undo it."""
    with forks.start(spec) as guest:
        yield guest


@pytest.fixture(scope="module")
def baseline(rooted: Guest) -> Baseline:
    return take_baseline(rooted)


@pytest.fixture
def watch(rooted: Guest, baseline: Baseline, spec: GuestSpec, stock: Kernel) -> Iterator[Watch]:
    one = Watch(rooted, baseline, Shape.of_kernel(stock.config_options, spec.arguments))
    one.begin()
    yield one
    one.close()


def attacked(watch: Watch, attack: str, undo: str = "true") -> str:
    """Return the problem that the audit finds after an attack; "" if it finds none."""
    assert watch.guest.run(attack).ok
    try:
        watch.check_console()
    except InfraError as error:
        return f"{error} {error.details}"
    finally:
        assert watch.guest.run(undo).ok
    return ""


def test_a_guest_that_does_nothing_wrong_is_believed(watch: Watch) -> None:
    talk = f"{SPEAK}; printf 'unfinished' > /dev/ttyS0; {SPEAK}; echo '<12>a\nb\\c' > /dev/kmsg"
    assert attacked(watch, talk) == ""
    (found,) = [one for one in watch.evidence if one.kind == "audit"]
    assert found.data["records"] >= 4
    assert (watch.reports(), watch.losses(), watch.forgeries()) == ([], [], ([], 0))


@pytest.mark.parametrize(
    ("setting", "attack", "undo"),
    [
        ("printk/parameters/time", f"echo N > {TIME}", f"echo Y > {TIME}"),
        ("kernel/printk ", "dmesg -n 1", "dmesg -n 8"),
        ("kernel/printk ", "echo 3 > /proc/sysrq-trigger", "dmesg -n 8"),
        ("printk_devkmsg", "echo off > /proc/sys/kernel/printk_devkmsg", ""),
        (
            "/proc/consoles",
            "echo N > /sys/class/tty/ttyS0/console",
            "echo Y > /sys/class/tty/ttyS0/console",
        ),
        (
            "/proc/sys/kernel/watchdog ",
            "sysctl -w kernel.watchdog=0",
            "sysctl -w kernel.watchdog=1",
        ),
    ],
    ids=["time", "dmesg -n", "sysrq", "devkmsg", "console", "watchdog"],
)
def test_a_setting_that_hides_reports_is_named(
    watch: Watch, setting: str, attack: str, undo: str
) -> None:
    undo = undo or "echo on > /proc/sys/kernel/printk_devkmsg"
    assert setting in attacked(watch, f"{attack}; {SPEAK}", undo)


@pytest.mark.parametrize(
    "attack",
    [
        f"dmesg -n 1; {SPEAK}; dmesg -n 8",
        f"printf '{PREFIX}calm ' > /dev/ttyS0; {SPEAK}",
    ],
    ids=["level", "unfinished record"],
)
def test_what_was_hidden_for_a_moment_is_missed(watch: Watch, attack: str) -> None:
    assert "does not show" in attacked(watch, attack)


def test_a_report_of_a_moment_without_time_is_found(watch: Watch) -> None:
    attack = f"echo N > {TIME}; {SPEAK}; echo Y > {TIME}"
    assert attacked(watch, attack) == ""
    assert watch.losses() == []


def test_a_report_that_was_written_to_the_serial_device_is_a_forgery(watch: Watch) -> None:
    found = attacked(watch, f"echo '{PREFIX}{PANIC}' > /dev/ttyS0")
    assert "does not have" in found
    assert PANIC in found
    assert watch.reports() == []
    ((forgery,), count) = watch.forgeries()
    assert (forgery.means, forgery.text, count) == ("serial", PANIC, 1)


def test_forgeries_that_the_console_itself_shows_are_no_error(watch: Watch) -> None:
    talk = (
        f"echo '{PANIC}' > /dev/kmsg; echo '{PREFIX}{PANIC}' > /dev/kmsg; echo {PANIC} > /dev/ttyS0"
    )
    assert attacked(watch, talk) == ""
    assert [one.means for one in watch.forgeries()[0]] == ["kmsg", "embedded", "text"]
    assert watch.reports() == []


def test_the_kernels_quote_of_a_mount_option_forges_nothing(watch: Watch) -> None:
    option = f"{PREFIX}{PANIC}"
    assert attacked(watch, f"mount -t tmpfs -o '{option}' none /tmp 2>/dev/null; true") == ""
    assert [one.means for one in watch.forgeries()[0]] == ["embedded"]


def test_a_newline_in_a_mount_option_forges_nothing(watch: Watch) -> None:
    option = f"x\n{PANIC}\ny z"
    found = attacked(watch, f"mount -t tmpfs -o '{option}' none /tmp 2>/dev/null; true")
    assert found == ""
    assert [one.means for one in watch.forgeries()[0]] == ["embedded"]
    assert watch.reports() == []


def test_a_log_that_is_no_log_is_not_believed(watch: Watch) -> None:
    hide, undo = "mv /dev/kmsg /dev/kmsg-real; : > /dev/kmsg", "mv /dev/kmsg-real /dev/kmsg"
    assert "/dev/kmsg is not the kernel's log" in attacked(watch, hide, undo)


def test_a_log_that_was_overwritten_is_no_proof(watch: Watch) -> None:
    # These are records of a program, which need not be on the console.
    flood = 'for n in $(seq 300); do echo "<12>$(printf %0900d 0)" > /dev/kmsg; done'
    attack = f"echo on > /proc/sys/kernel/printk_devkmsg; dmesg -n 1; {flood}; dmesg -n 8"
    assert "overwritten" in attacked(watch, attack)
