# SPDX-License-Identifier: GPL-2.0-only
"""Reports for people and files: terminal output, results, dossiers."""
