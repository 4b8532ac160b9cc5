# SPDX-License-Identifier: GPL-2.0-only
"""Settings that the console and the kernel's detectors depend on. Trust: COUNTER.

They are read at the baseline and again at the end. A guest that changes one of
them may have hidden a report; then the console's silence proves nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

# These decide which records come to the console, and in which form.
CONSOLE_FILES = (
    "/proc/sys/kernel/printk",  # the first number: records with a lower level are shown
    "/proc/sys/kernel/printk_devkmsg",
    "/sys/module/printk/parameters/time",
    "/sys/module/printk/parameters/ignore_loglevel",
    "/proc/consoles",
)
# These switch the detectors, and choose the kernel's action after a panic.
DETECTOR_FILES = (
    "/proc/sys/kernel/watchdog",
    "/proc/sys/kernel/soft_watchdog",
    "/proc/sys/kernel/nmi_watchdog",
    "/proc/sys/kernel/watchdog_thresh",
    "/proc/sys/kernel/watchdog_cpumask",
    "/proc/sys/kernel/hung_task_timeout_secs",
    "/proc/sys/kernel/panic",
    "/sys/module/rcupdate/parameters/rcu_cpu_stall_suppress",
    "/sys/module/rcupdate/parameters/rcu_cpu_stall_timeout",
    "/sys/module/workqueue/parameters/watchdog_thresh",
)
FILES = (*CONSOLE_FILES, *DETECTOR_FILES)
_PRINTK = CONSOLE_FILES[0]

Files = Mapping[str, str | None]


def console_level(files: Files) -> int:
    """Return the level below which records are shown; 8, for all, where it can't be read."""
    words = (files.get(_PRINTK) or "").split()
    return int(words[0]) if words and words[0].isascii() and words[0].isdigit() else 8


def changes(before: Files, now: Files, excused: Collection[str] = ()) -> list[str]:
    """Describe the settings that differ from the baseline, without those excused."""
    return [
        f"{path} was {_shown(before.get(path))} and is {_shown(now.get(path))}"
        for path in FILES
        if path not in excused and not _same(path, before, now)
    ]


def _same(path: str, before: Files, now: Files) -> bool:
    if path == _PRINTK and console_level(now) > console_level(before):
        # An oops raises the console's level: nothing is hidden by that.
        return (before.get(path) or "").split()[1:] == (now.get(path) or "").split()[1:]
    return before.get(path) == now.get(path)


def _shown(text: str | None) -> str:
    return "missing" if text is None else repr(" ".join(text.split()))
