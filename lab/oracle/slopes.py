# SPDX-License-Identifier: GPL-2.0-only
"""The slope of an amount over repetitions, robust against the noise that guests make.

A single number of free memory says nothing: caches fill and empty. An amount that
grows by about as much with each repetition is a leak. The Theil-Sen estimate (the
median of the slopes of all pairs of samples) tolerates up to 29 % of outliers.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence

MIN_SAMPLES = 4


def slope(samples: Sequence[float | tuple[float, float]]) -> float:
    """Return the increase per repetition.

    Samples are amounts, one per repetition, or pairs (repetition, amount).
    Raises `ValueError` if there are fewer than two repetitions.
    """
    points = [_point(index, sample) for index, sample in enumerate(samples)]
    slopes = [
        (later[1] - earlier[1]) / (later[0] - earlier[0])
        for index, earlier in enumerate(points)
        for later in points[index + 1 :]
        if later[0] != earlier[0]
    ]
    if not slopes:
        raise ValueError("a slope needs samples of at least two repetitions")
    return float(statistics.median(slopes))


def _point(index: int, sample: float | tuple[float, float]) -> tuple[float, float]:
    if isinstance(sample, tuple):
        return float(sample[0]), float(sample[1])
    return float(index), float(sample)
