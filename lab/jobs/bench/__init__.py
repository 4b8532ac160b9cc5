# SPDX-License-Identifier: GPL-2.0-only
"""Benchmarks: measurements side by side in one run."""
