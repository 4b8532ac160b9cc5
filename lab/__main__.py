# SPDX-License-Identifier: GPL-2.0-only
"""`python -m lab` is `lab`."""

from lab.cli.main import main

main()
