# SPDX-License-Identifier: GPL-2.0-only
"""Jobs made of many items: sessions, soaks, benchmarks, scores."""
