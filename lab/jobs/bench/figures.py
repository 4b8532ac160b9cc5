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
    """The median, the 5th and the 95th percentile of samples, and the number of samples."""

    median: float
    low: float
    high: float
    samples: int

    @classmethod
    def of(cls, values: Iterable[float]) -> Figure:
        """Return the figure of at least one sample. Raises `ValueError` for none."""
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
        """True if there are several samples and nearly all of them are equal."""
        return self.samples > 1 and self.low == self.high


def percentile(ordered: Sequence[float], percent: float) -> float:
    """Return a percentile of sorted values, interpolated linearly between two of them."""
    at = (len(ordered) - 1) * percent / 100
    below = int(at)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (at - below)


def less(values: Sequence[float], base: Sequence[float], parts: int = 1) -> list[float]:
    """Return the differences of `values` and `base`, sample by sample, divided by `parts`.

    The n-th samples of both were taken one after the other, so the host disturbed them alike.
    """
    return [(value - other) / parts for value, other in zip(values, base, strict=True)]


@dataclass(frozen=True)
class Row:
    """One quantity in two columns; None where a column has no value."""

    name: str
    what: str
    base: Figure | None
    other: Figure | None

    @property
    def ratio(self) -> float | None:
        """The other's median divided by the base's; None if one is missing or the base is <= 0."""
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
        """Return a row by its name."""
        return next(row for row in self.rows if row.name == name)

    def as_data(self) -> dict[str, Any]:
        """Return the group as plain data, for JSON."""
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
