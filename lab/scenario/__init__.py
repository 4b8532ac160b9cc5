# SPDX-License-Identifier: GPL-2.0-only
"""Scenarios: from YAML files to items that can be run."""
