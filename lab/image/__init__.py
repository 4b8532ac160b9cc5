# SPDX-License-Identifier: GPL-2.0-only
"""Root file systems for guests."""
