# SPDX-License-Identifier: GPL-2.0-only
"""The model of scenarios: typed steps, triggers, extensions and expectations."""
