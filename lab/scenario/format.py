# SPDX-License-Identifier: GPL-2.0-only
"""The format of scenarios' files, and the names of its parts in errors."""

from __future__ import annotations

from lab.config.format import Family, Format
from lab.scenario.model.background import BACKGROUNDS
from lab.scenario.model.base import PATTERNS
from lab.scenario.model.extensions import EXTENSIONS
from lab.scenario.model.scenario import Written
from lab.scenario.model.steps import STEPS
from lab.scenario.model.triggers import TRIGGERS

FORMAT = Format(
    noun="scenario",
    model=Written,
    families=(
        Family("step", STEPS, "load: main", instead=": give it an item of its own"),
        Family("trigger", TRIGGERS, "{syscall: getpid, times: 100}"),
        Family("extension", EXTENSIONS, "{c: NAME}", proper={"c": "C", "rust": "Rust"}),
        Family("background", BACKGROUNDS, "{traffic: lo}"),
    ),
    patterns=PATTERNS,
    reuse="a parameter",
)
