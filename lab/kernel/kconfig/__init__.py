# SPDX-License-Identifier: GPL-2.0-only
"""Kernel configurations: fragments, Kconfig trees and expressions."""
