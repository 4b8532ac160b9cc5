# SPDX-License-Identifier: GPL-2.0-only
"""The judge: expectations and an observation in, a verdict with its reasons out.

A pure function. What the kernel or an extension did wrong makes `failed`;
what the lab could not see makes `error`; only what was seen to hold passes.
"""

from lab.judge.finding import Finding
from lab.judge.verdict import Judgement, judge

__all__ = ["Finding", "Judgement", "judge"]
