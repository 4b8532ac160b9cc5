# SPDX-License-Identifier: GPL-2.0-only
"""The console: the kernel's records, reports, forgeries and losses."""
