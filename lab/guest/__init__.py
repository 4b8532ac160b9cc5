# SPDX-License-Identifier: GPL-2.0-only
"""A guest: boot or fork it, unpark it, and talk to it."""
