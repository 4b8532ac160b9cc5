# SPDX-License-Identifier: GPL-2.0-only
"""Virtual machines: QEMU, its processes, its monitor and its snapshots."""
