# SPDX-License-Identifier: GPL-2.0-only
"""Build Rust extensions with a stock compiler, without cargo."""
