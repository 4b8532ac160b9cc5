# SPDX-License-Identifier: GPL-2.0-only
"""`lab bench`: run benchmarks on this host."""
