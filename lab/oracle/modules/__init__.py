# SPDX-License-Identifier: GPL-2.0-only
"""Leftovers of kernel modules: memory, timers, work items, and reports about them."""
