# SPDX-License-Identifier: GPL-2.0-only
"""Kernels, built from source or taken from packages."""
