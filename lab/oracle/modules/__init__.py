# SPDX-License-Identifier: GPL-2.0-only
"""What kernel modules leave: memory, timers, work items, and reports about them."""
