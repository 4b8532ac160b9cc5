# SPDX-License-Identifier: GPL-2.0-only
"""The commands that run something again, as the user would type them."""

from __future__ import annotations

import os
import shlex
import shutil

from lab.scenario.items import Item
from lab.workspace import CHECKOUT


def rerun_line(item: Item) -> str:
    """Return the command line that runs an item again."""
    kernel = () if item.flavor in item.scenario.kernels else ("--kernel", item.flavor)
    return shlex.join([command(), "run", str(item.scenario.path), *kernel, "--only", item.id])


def command() -> str:
    """Return the command that starts the lab: `lab.sh` does not add `lab` to the user's PATH."""
    if shutil.which("lab"):
        return "lab"
    return os.path.join(".", os.path.relpath(CHECKOUT / "lab.sh"))
