# SPDX-License-Identifier: GPL-2.0-only
"""Soaks: random rounds of Rust extensions in one guest."""
