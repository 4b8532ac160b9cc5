# SPDX-License-Identifier: GPL-2.0-only
"""Figures of benchmarks: samples to medians with their spread, side by side, with a ratio."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

# The spread is from the LOW-th to the HIGH-th percentile.
LOW, HIGH = 5, 95


@dataclass(frozen=True)
class Figure:
    """A median, the 5th and 95th percentile, and of how many samples."""

    median: float
    low: float
    high: float
    samples: int

    @classmethod
    def of(cls, values: Iterable[float]) -> Figure:
        """The figure of at least one sample."""
        ordered = sorted(values)
        if not ordered:
            raise ValueError("no figure without samples")
        return cls(
            statistics.median(ordered),
            percentile(ordered, LOW),
            percentile(ordered, HIGH),
            len(ordered),
        )

    @property
    def exact(self) -> bool:
        """Whether nearly all of several samples are one number."""
        return self.samples > 1 and self.low == self.high


def percentile(ordered: Sequence[float], percent: float) -> float:
    """The value below which `percent` of sorted values lie, between two of them by distance."""
    at = (len(ordered) - 1) * percent / 100
    below = int(at)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (at - below)


def less(values: Sequence[float], base: Sequence[float], parts: int = 1) -> list[float]:
    """What `values` have more than `base`, sample by sample, for each of `parts`.

    The two were taken in step: what the host did to one sample, it did to its neighbour.
    """
    return [(value - other) / parts for value, other in zip(values, base, strict=True)]


@dataclass(frozen=True)
class Row:
    """One thing that was measured in two ways; None where one of them has no such thing."""

    name: str
    what: str
    base: Figure | None
    other: Figure | None

    @property
    def ratio(self) -> float | None:
        """The other's median to the base's; None if there is none, or nothing to divide by."""
        if self.base is None or self.other is None or self.base.median <= 0:
            return None
        return self.other.median / self.base.median


@dataclass(frozen=True)
class Group:
    """Rows of one unit; `columns` names their base and, where there is one, their other."""

    name: str
    title: str
    unit: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]

    def row(self, name: str) -> Row:
        """A row by its name."""
        return next(row for row in self.rows if row.name == name)

    def as_data(self) -> dict[str, Any]:
        """As plain data, for JSON."""
        return {
            "name": self.name,
            "title": self.title,
            "unit": self.unit,
            "columns": list(self.columns),
            "rows": [self._row(row) for row in self.rows],
        }

    def _row(self, row: Row) -> dict[str, Any]:
        figures = dict(zip(self.columns, (row.base, row.other), strict=False))
        data: dict[str, Any] = {"name": row.name, "what": row.what}
        for column, figure in figures.items():
            data[column] = None if figure is None else vars(figure)
        return data | {"ratio": row.ratio}
