# SPDX-License-Identifier: GPL-2.0-only
"""Helpers that tests share."""
