# SPDX-License-Identifier: GPL-2.0-only
"""Measure the frequency of the host's time-stamp counter, which emulated CPUs share.

A guest that is given the frequency need not measure it against its own timers.
That measurement fails on a busy host, and microvm has no timer to fall back to:
its kernel then waits for a tick forever (in calibrate_delay).
"""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path

from lab.cache import Cache

SECONDS = 0.1
# Coarser than the error of the measurement, so that each measurement gives the same
# result (a snapshot's key covers it); an error of 2 ppm in a clock does no harm.
STEP_KHZ = 10
_TRIES = 50
# rdtsc; shl rdx, 32; or rax, rdx; ret
_READ_COUNTER = bytes.fromhex("0f31 48c1e220 4809d0 c3")


def frequency_khz(cache: Cache | None = None) -> int | None:
    """Return the frequency in kHz, to the nearest `STEP_KHZ`, measured once per boot of the host.

    Return None if it can't be measured: the host is not an x86-64, or does not let
    a process generate code.
    """
    if platform.machine() not in ("x86_64", "AMD64"):
        return None
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    kept = (cache or Cache.default()).root / "tsc" / boot
    with contextlib.suppress(OSError, ValueError):
        return int(kept.read_text())
    try:
        found = measure()
    except (OSError, ValueError):
        return None
    # If the cache can't be written, the next run has to measure again; that is all.
    with contextlib.suppress(OSError):
        kept.parent.mkdir(parents=True, exist_ok=True)
        aside = kept.with_name(f".{boot}.{os.getpid()}")
        aside.write_text(str(found))
        aside.replace(kept)
    return found


def measure(seconds: float = SECONDS) -> int:
    """Compare the counter with the host's clock over `seconds`.

    Raises `OSError` if memory can't be made executable.
    """
    with mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE) as page:
        page.write(_READ_COUNTER)
        start = ctypes.c_char.from_buffer(page)
        address = ctypes.addressof(start)
        libc = ctypes.CDLL(None, use_errno=True)
        executable = mmap.PROT_READ | mmap.PROT_EXEC
        if libc.mprotect(ctypes.c_void_p(address), ctypes.c_size_t(mmap.PAGESIZE), executable):
            raise OSError(ctypes.get_errno(), "no memory for code")
        read = ctypes.CFUNCTYPE(ctypes.c_uint64)(address)
        at, counter = _sample(read)
        time.sleep(seconds)
        later, counted = _sample(read)
        del start
    khz = (counted - counter) * 1e6 / (later - at)
    return round(khz / STEP_KHZ) * STEP_KHZ


def _sample(read: Callable[[], int]) -> tuple[int, int]:
    """Return the host's clock in nanoseconds and the counter: the closest pair of 50 tries."""
    samples = []
    for _ in range(_TRIES):
        before = time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW)
        counter = read()
        after = time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW)
        samples.append((after - before, (before + after) // 2, counter))
    _, at, counter = min(samples)
    return at, counter
