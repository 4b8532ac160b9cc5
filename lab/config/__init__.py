# SPDX-License-Identifier: GPL-2.0-only
"""Read YAML files that people write: values with their positions, and errors with a hint."""
