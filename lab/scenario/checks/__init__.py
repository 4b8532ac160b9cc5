# SPDX-License-Identifier: GPL-2.0-only
"""Check a scenario's data before it becomes a model: names, targets, steps, expectations."""
