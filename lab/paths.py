# SPDX-License-Identifier: GPL-2.0-only
"""The folders of the checkout's data: kernel configurations, images, extensions, scenarios."""

from __future__ import annotations

import os
from pathlib import Path

# The lab runs from its checkout (an editable install): patches of kernels and
# extensions are data that its users change.
REPO = Path(os.environ.get("LAB_REPO", Path(__file__).resolve().parent.parent))

KCONFIGS = REPO / "kconfigs"
IMAGES = REPO / "images"
EXTENSIONS = REPO / "extensions"
SCENARIOS = REPO / "scenarios"


def shown(path: Path) -> str:
    """Return a path for a person: relative to the checkout's root, if it is below that."""
    return str(path.relative_to(REPO)) if path.is_relative_to(REPO) else str(path)
