# SPDX-License-Identifier: GPL-2.0-only
"""`lab bench`: measure the lab on this host."""
