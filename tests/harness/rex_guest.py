# SPDX-License-Identifier: GPL-2.0-only
"""A guest of the Rex kernel with an image of programs, and the tool that runs them."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from lab.deadline import scaled
from lab.guest.forks import Forks
from lab.guest.guest import Guest
from lab.runner.plan import Planner

FLAVOR = os.environ.get("LAB_REX_FLAVOR", "rex")
# "INFO: NMI handler took too long" is ignored: under TCG it only means a busy host.
COMPLAINT = re.compile(r"BUG: |WARNING: |INFO: (?!NMI handler )|DEBUG_LOCKS|kmemleak: \d+ new")
# Larger than the default: an emulated CPU does less in a millisecond than a real one.
BUDGET_MS = 100


@dataclass(frozen=True)
class RexGuest:
    """A guest of the Rex kernel with an image and the tool `rexrun`."""

    guest: Guest
    image: Path
    # Lines of the kernel's detectors: the counters do not cover all of them.
    complaints: list[str] = field(default_factory=list)

    def run(self, program: str, times: int = 1, *others: str) -> dict[str, int]:
        """Run a program `times` times; `others` are pairs of tracepoint and program to attach."""
        words = " ".join((program, str(times), *others))
        done = self.guest.run(f"/root/rexrun run /root/image.so {words}", scaled(60))
        assert done.ok, done.stderr
        return dict(json.loads(done.stdout))

    def load(self, image: bytes) -> list[int]:
        """Load each program of an image without running it; return the errno of each load."""
        self.guest.push({"/root/other.so": image})
        done = self.guest.run("/root/rexrun load /root/image.so /root/other.so", scaled(60))
        assert done.ok, done.stderr
        return list(json.loads(done.stdout))

    def counts(self, name: str = "stats") -> dict[str, int]:
        text = self.guest.run(f"cat /sys/kernel/debug/rex/{name}").stdout
        return {key: int(value) for key, value in (line.split() for line in text.splitlines())}

    def log(self) -> list[str]:
        """Return the lines that Rex wrote to the log since the last call."""
        lines = self.guest.run("dmesg -c").stdout.splitlines()
        self.complaints.extend(line for line in lines if COMPLAINT.search(line))
        found = [re.search(r"rex: .*", line) for line in lines]
        return [match[0] for match in found if match]

    def traced(self, act: Callable[[], object], *events: str) -> list[str]:
        """Return the output of the tracepoints of Rex while `act` runs."""
        folder = "/sys/kernel/tracing"
        for event in events or ("",):
            assert self.guest.run(f"echo 1 > {folder}/events/rex/{event}/enable").ok
        act()
        self.guest.run(f"echo 0 > {folder}/events/rex/enable")
        text = self.guest.run(f"cat {folder}/trace; echo > {folder}/trace").stdout
        lines = [re.search(r"(rex_\w+): (.*)", line) for line in text.splitlines()]
        return [" ".join(match.groups()) for match in lines if match]

    def unharmed(self) -> bool:
        """Return whether nothing is held, nothing is loaded, and the kernel reported no error."""
        self.log()
        counts = self.guest.run("cat /sys/kernel/oops_count /sys/kernel/warn_count").stdout
        programs = self.guest.run("bpftool -j prog list").stdout.strip()
        return (
            not any(self.counts("ledger").values())
            and counts.split() == ["0", "0"]
            and programs in ("", "[]")
            and not self.complaints
        )

    def leaks(self) -> str:
        """Return kmemleak's report of unreferenced memory; "" if the kernel has no kmemleak."""
        file = "/sys/kernel/debug/kmemleak"
        # It reports only what is older than 5 s and did not change since the scan before.
        scan = f"sleep 6 && echo scan > {file}"
        done = self.guest.run(
            f"! test -e {file} || {{ {scan} && {scan} && cat {file}; }}", scaled(180)
        )
        assert done.ok, done.stderr
        return done.stdout


def start(
    planner: Planner, forks: Forks, built: tuple[Path, Path], *arguments: str
) -> Iterator[RexGuest]:
    kernel = planner.kernel(FLAVOR)
    spec = planner.guest_spec(kernel, planner.image(kernel), extra=arguments)
    image, rexrun = built
    with forks.start(spec) as guest:
        guest.push({"/root/image.so": image, "/root/rexrun": rexrun})
        guest.run(f"chmod +x /root/rexrun; sysctl -w kernel.rex.budget_ms={BUDGET_MS}")
        yield RexGuest(guest, image)


def timers_run(rex_guest: RexGuest) -> bool:
    """Return whether timers fire and queued work runs on each CPU."""
    sleep = "taskset -c {} sleep 0.05"
    done = rex_guest.guest.run(f"{sleep.format(0)} && {sleep.format(1)}", scaled(10))
    return done.ok and rex_guest.guest.run("echo 1 > /proc/sys/vm/stat_refresh", scaled(10)).ok
