# SPDX-License-Identifier: GPL-2.0-only
"""Describe what the figures of a benchmark depend on: host, emulator and kernels."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lab.host import process
from lab.runner.plan import Planner
from lab.vm.machine import QEMU


def about(planner: Planner, flavors: Sequence[str]) -> dict[str, Any]:
    """Return host, emulator and kernels as plain data, for JSON."""
    kernels = [planner.kernel(flavor) for flavor in flavors]
    accel = planner.chosen_accel()
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "host": host(),
        "accelerator": accel.name,
        "cpu_model": accel.cpu_model,
        "qemu": process.run([QEMU, "--version"]).stdout.partition("\n")[0],
        "kernels": {
            kernel.flavor: {
                "release": kernel.release,
                "compiler": kernel.config_options.get("CONFIG_CC_VERSION_TEXT", ""),
            }
            for kernel in kernels
        },
    }


def host() -> dict[str, str | int]:
    """Return the host's CPU model, number of cores and kernel release."""
    model = ""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                model = line.partition(": ")[2]
                break
    except OSError:
        model = platform.processor()
    cores = len(os.sched_getaffinity(0))
    return {"cpu": model, "cores": cores, "kernel": platform.release()}
