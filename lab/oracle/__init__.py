# SPDX-License-Identifier: GPL-2.0-only
"""Oracles: what the kernel, the guest and QEMU report, as pure functions."""
