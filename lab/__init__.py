# SPDX-License-Identifier: GPL-2.0-only
"""kextlab: checks on real virtual machines that a Linux kernel survives its extensions."""

__version__ = "0.1.0"
