# SPDX-License-Identifier: GPL-2.0-only
"""Build extensions on the host: C, Rust, kernel modules, and the loader."""
