"""Returns of market, momentum and low volatility, built from the strategy's own universe."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trading_assets.backtest.allocations import LOOKBACK_BARS, MONTH_BARS
from trading_assets.simulation.core import Floats

FACTORS = ("market", "momentum", "low_volatility")
_VOLATILITY_BARS = 63
_LEAST_SHARE = 0.9


@dataclass(frozen=True, slots=True)
class FactorReturns:
    """Returns of three factors, float64 (T,) each, nan where the universe tells none.

    Attributes
    ----------
    market : float64 (T,)
        Mean return of all symbols with one.
    momentum : float64 (T,)
        Of the third that rose most from twelve months to one before, less that of the last third.
    low_volatility : float64 (T,)
        Of the third that moved least over three months, less that of the third that did most.
    """

    market: Floats
    momentum: Floats
    low_volatility: Floats

    def stacked(self) -> Floats:
        """Return the factors side by side, (T, 3), in the order of `FACTORS`."""
        return np.column_stack([self.market, self.momentum, self.low_volatility])


def build_factors(returns: Floats) -> FactorReturns:
    """Return the factors of a universe.

    Symbols are ranked at the close before a session by what was known then, and each third, rounded
    up, is held alike over the session; symbols without a return in it earn 0. With fewer than two
    ranked symbols there is no long and short side, and the factor is nan. Costs are not counted.

    Parameters
    ----------
    returns : float64 (T, N)
        Total returns of symbols, nan where there is none.
    """
    is_priced = np.isfinite(returns)
    count = is_priced.sum(axis=1)
    earned = np.where(is_priced, returns, 0.0)
    market = np.divide(
        earned.sum(axis=1), count, out=np.full(len(returns), np.nan), where=count > 0
    )
    grown = np.log1p(np.maximum(earned, -0.999999))
    return FactorReturns(
        market,
        _spread(earned, _trailing(grown, is_priced, LOOKBACK_BARS, MONTH_BARS)),
        _spread(earned, -_trailing(earned**2, is_priced, _VOLATILITY_BARS, 0)),
    )


def _trailing(values: Floats, is_known: NDArray[np.bool_], bars: int, skipped: int) -> Floats:
    """Return sums (T, N) of the bars up to each row, without the last ones; nan with too few."""
    totals, counts = np.full(values.shape, np.nan), np.zeros(values.shape)
    for row in range(bars - 1, len(values)):
        part = slice(row - bars + 1, row - skipped + 1)
        totals[row], counts[row] = values[part].sum(axis=0), is_known[part].sum(axis=0)
    totals[counts < _LEAST_SHARE * (bars - skipped)] = np.nan
    return totals


def _spread(earned: Floats, scores: Floats) -> Floats:
    """Return what the best third of the row before earns less what the worst third does."""
    found = np.full(len(earned), np.nan)
    for row in range(1, len(earned)):
        ranked = np.flatnonzero(np.isfinite(scores[row - 1]))
        third = -(-len(ranked) // 3)
        if len(ranked) < 2:
            continue
        # Of equal scores the first column counts.
        order = ranked[np.argsort(-scores[row - 1, ranked], kind="stable")]
        found[row] = earned[row, order[:third]].mean() - earned[row, order[-third:]].mean()
    return found
