# SPDX-License-Identifier: GPL-2.0-only
"""Measure the start of a guest: by fork, by cold boot and by virtme-ng, in one run."""

from __future__ import annotations

import shutil
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from lab import events
from lab.errors import InfraError, LabError
from lab.guest.forks import Forks
from lab.guest.guest import Guest, GuestSpec
from lab.host import process
from lab.vm import slots

VNG = "vng"
VNG_SECONDS = 120.0
_VNG_RAN = "script exited with code 0"

# Targets for a start on 2 cores under emulation.
TARGET_FORK = 0.40
TARGET_EACH = 0.25
TARGET_VNG = 20.0
TARGET_COLD = 4.0


@dataclass(frozen=True)
class Starts:
    """Starts of one kind: seconds to the first SSH command, and each part's median."""

    seconds: tuple[float, ...]
    parts: dict[str, float]

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)


@dataclass(frozen=True)
class Target:
    """A figure and its target. `measured` and `met` are None if it was not measured."""

    what: str
    asked: str
    measured: float | None
    met: bool | None
    unit: str = "s"


@dataclass(frozen=True)
class StartFigures:
    """All figures of one run; `each` is seconds per guest in throughput, `vng` of its starts."""

    cold: Starts
    fork: Starts
    each: float
    guests: int
    at_a_time: int
    vng: float | None
    why_no_vng: str = ""

    def judged(self) -> list[Target]:
        """Return each target with the figure that was measured."""
        fork = self.fork.median
        faster = self.vng / fork if self.vng is not None else None
        cold = self.cold.median / fork
        return [
            Target(
                "fork, to first SSH command",
                f"at most {TARGET_FORK:.2f} s",
                fork,
                fork <= TARGET_FORK,
            ),
            Target(
                f"each of {self.guests}, {self.at_a_time} at a time",
                f"at most {TARGET_EACH:.2f} s",
                self.each,
                self.each <= TARGET_EACH,
            ),
            Target(
                "faster than vng",
                f"at least {TARGET_VNG:.0f} times",
                faster,
                None if faster is None else faster >= TARGET_VNG,
                "times",
            ),
            Target(
                "faster than a cold boot",
                f"at least {TARGET_COLD:.0f} times",
                cold,
                cold >= TARGET_COLD,
                "times",
            ),
        ]


def bench_start(
    spec: GuestSpec,
    bzimage: Path | None,
    forks: Forks,
    *,
    turns: int,
    guests: int,
    emit: events.Emit = events.ignore,
) -> StartFigures:
    """Measure cold boots, forks and, where it is installed, virtme-ng on the same kernel.

    Cold boots and forks alternate, so that other load on the host affects both alike.
    Raises `InfraError` if guests can't be forked.
    """
    forks.start(spec).close()  # makes and checks the snapshot, and brings it into memory
    cold: list[Guest] = []
    forked: list[Guest] = []
    job = "start"
    emit(events.StageStarted(job, "cold boots and forks", turns))
    for turn in range(turns):
        forked += [_measured(lambda: forks.start(spec)) for _ in range(4)]
        cold.append(_measured(lambda: Guest.boot(spec)))
        emit(events.StageProgress(job, "cold boots and forks", turn + 1, turns))
    if any(guest.how != "fork" for guest in forked):
        raise InfraError("guests can't be forked here", hint="the lab's notice says why")
    at_a_time = slots.capacity(spec.shape.memory)
    emit(events.StageStarted(job, f"{guests} forks, {at_a_time} at a time"))
    start = time.monotonic()
    with ThreadPoolExecutor(at_a_time) as pool:
        list(pool.map(lambda _: _measured(lambda: forks.start(spec)), range(guests)))
    each = (time.monotonic() - start) / guests
    emit(events.StageStarted(job, VNG))
    vng, why = _vng(bzimage, spec.shape.accel)
    return StartFigures(_starts(cold), _starts(forked), each, guests, at_a_time, vng, why)


def _measured(start: Callable[[], Guest]) -> Guest:
    with start() as guest:
        return guest


def _starts(guests: list[Guest]) -> Starts:
    names = list(guests[0].machine.parts)
    return Starts(
        tuple(guest.ready_after for guest in guests),
        {name: statistics.median(guest.machine.parts[name] for guest in guests) for name in names},
    )


def _vng(bzimage: Path | None, accel: str) -> tuple[float | None, str]:
    """Return the median of three runs of `vng -r bzImage -- true` in seconds, or why not."""
    if shutil.which(VNG) is None:
        return None, "virtme-ng is not installed (pip install virtme-ng)"
    if bzimage is None:
        return None, "the kernel is no bzImage"
    # Use the lab's choice: vng would use /dev/kvm if it can be opened, even if KVM does not work.
    options = [] if accel == "kvm" else ["--disable-kvm"]
    # A kernel without a block layer does not look for a root unless one is named.
    options += ["--append", "root=/dev/root"]
    words: list[str | Path] = [VNG, "-r", bzimage, *options]
    seconds = []
    try:
        # The exit status is lost if the guest has no udev to name the port that carries it.
        # So check the console of a first run instead.
        first = process.run([*words, "--verbose", "--", "true"], timeout=VNG_SECONDS, check=False)
        if not first.ok and _VNG_RAN not in first.stdout + first.stderr:
            return None, "vng does not boot this kernel"
        for _ in range(3):
            start = time.monotonic()
            process.run([*words, "--", "true"], timeout=VNG_SECONDS, check=False)
            seconds.append(time.monotonic() - start)
    except LabError as error:
        return None, error.message
    return statistics.median(seconds), ""
