# SPDX-License-Identifier: GPL-2.0-only
"""Native programs: the kernel's counters and its reports on programs that it ended."""
