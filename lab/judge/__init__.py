# SPDX-License-Identifier: GPL-2.0-only
"""The judge: a pure function from expectations and an observation to a verdict with reasons.

An error of the kernel or of an extension makes `failed`; an observation that the lab
could not make makes `error`; an item passes only if all expectations were seen to hold.
"""

from lab.judge.finding import Finding
from lab.judge.verdict import Judgement, judge

__all__ = ["Finding", "Judgement", "judge"]
