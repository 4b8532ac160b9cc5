# SPDX-License-Identifier: GPL-2.0-only
"""Read YAML files that people write into models; give each error its place and a hint."""
