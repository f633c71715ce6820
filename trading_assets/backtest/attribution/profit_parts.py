"""A profit and the parts that it is made of, which add up to it."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from trading_assets.backtest.steady_groups import sum_groups

EXACTNESS = 1e-10
"""Largest gap between parts and their sum that counts as exact, relative to what is summed."""


@dataclass(frozen=True, slots=True)
class ProfitParts:
    """Parts of a net profit.

    Attributes
    ----------
    names : tuple of str
        Names of parts.
    gain_usd, cost_usd : tuple of float
        Price gains and corporate cash of each part, and what it cost.
    total_usd : float
        Net profit as the equity tells it.
    """

    names: tuple[str, ...]
    gain_usd: tuple[float, ...]
    cost_usd: tuple[float, ...]
    total_usd: float

    @property
    def net_usd(self) -> tuple[float, ...]:
        """Gain less cost of each part."""
        return tuple(g - c for g, c in zip(self.gain_usd, self.cost_usd, strict=True))

    @property
    def gap(self) -> float:
        """How far the parts are from the total, relative to the sizes that are summed."""
        return relative_gap((*self.gain_usd, *(-cost for cost in self.cost_usd)), self.total_usd)


def relative_gap(parts: tuple[float, ...], total: float) -> float:
    """Return the distance of the sum of parts from a total, over the largest of all sizes."""
    values = np.array([*parts, total])
    scale = max(abs(total), float(np.abs(values[:-1]).sum()))
    return abs(float(values[:-1].sum()) - total) / scale if scale > 0.0 else 0.0


def as_parts(
    gains: Mapping[str, float], costs: Mapping[str, float], total_usd: float
) -> ProfitParts:
    """Return parts of gains and costs by name, in order of first appearance."""
    names = tuple(dict.fromkeys([*gains, *costs]))
    return ProfitParts(
        names,
        tuple(gains.get(name, 0.0) for name in names),
        tuple(costs.get(name, 0.0) for name in names),
        total_usd,
    )


def sum_by(frame: pl.DataFrame, key: str, value: str) -> dict[str, float]:
    """Return the sums of a column by the names of another, in order of names."""
    summed = sum_groups(frame, [key], {value: pl.col(value)}).sort(key)
    return {str(name): float(amount) for name, amount in summed.select(key, value).iter_rows()}
