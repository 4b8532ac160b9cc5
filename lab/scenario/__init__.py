# SPDX-License-Identifier: GPL-2.0-only
"""Scenarios: read YAML files, check them, and make runnable items of them."""
