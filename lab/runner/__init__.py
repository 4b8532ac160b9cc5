# SPDX-License-Identifier: GPL-2.0-only
"""One item, from its plan to what was observed."""
