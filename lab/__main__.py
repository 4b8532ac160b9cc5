# SPDX-License-Identifier: GPL-2.0-only
"""Run `lab` as `python -m lab`."""

from lab.cli.main import main

main()
