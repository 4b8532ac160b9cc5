# SPDX-License-Identifier: GPL-2.0-only
"""Check on real virtual machines that a Linux kernel survives its extensions."""

__version__ = "0.1.0"
