# SPDX-License-Identifier: GPL-2.0-only
"""Run one item: from its plan to its observation."""
