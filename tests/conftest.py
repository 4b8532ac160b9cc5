# SPDX-License-Identifier: GPL-2.0-only
"""Settings for all tests."""

from __future__ import annotations

import os

from hypothesis import settings

# No deadline: an example that takes long on a busy host says nothing about the code.
settings.register_profile("default", max_examples=60, deadline=None)
settings.register_profile("nightly", max_examples=2000, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))
