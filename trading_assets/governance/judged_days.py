"""What everything that a challenger is held against earns over its judged days."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trading_assets.backtest.baselines import BASELINES, baseline_absences, baseline_decisions
from trading_assets.backtest.engine import Decide
from trading_assets.backtest.folds import Fold
from trading_assets.backtest.matched_control import CONTROL, backtest_with_control
from trading_assets.backtest.net_returns import net_returns
from trading_assets.governance.promotion import net_utility
from trading_assets.simulation.market import Market
from trading_assets.strategy import Strategy

Series = NDArray[np.float64]

CHALLENGER = "challenger"


@dataclass(frozen=True, slots=True)
class JudgedDays:
    """Net returns over the judged days.

    Attributes
    ----------
    returns : mapping of str to float64 (T,)
        By portfolio, baselines among them.
    missing_baselines : tuple of str
        Baselines that could not begin for want of returns, or lost everything.
    """

    returns: Mapping[str, Series]
    missing_baselines: tuple[str, ...]

    def best_baseline(self, risk_aversion: float) -> str:
        """Return the naive portfolio of the largest mean net utility, of those that were traded.

        Whoever is above it in that figure is above all of them.
        """
        known = [name for name in BASELINES if name not in self.missing_baselines]
        return max(known, key=lambda name: net_utility(self.returns[name], risk_aversion).mean())


def trade_judged_days(
    market: Market, decisions: Mapping[str, Decide], strategy: Strategy, window: Fold
) -> JudgedDays:
    """Trade the judged days with everything that is compared, and with all naive portfolios.

    Parameters
    ----------
    market : Market
        Covers the judged days and what baselines look back on.
    decisions : mapping of str to Decide
        What is compared, `challenger` among it, whose turnover the random portfolio gets.
    strategy : Strategy
        Costs, limits and equity.
    window : Fold
        Its test days are the judged ones.
    """
    together = {**baseline_decisions(market, window), **decisions}
    traded = backtest_with_control(market, together, CHALLENGER, strategy, window)
    missing = {*baseline_absences(market, window), *traded.absences}
    names = sorted({*together, CONTROL} - missing)
    start = strategy.backtest.initial_equity_usd
    return JudgedDays(
        returns={name: net_returns(traded.tables.equity, name, start)[1] for name in names},
        missing_baselines=tuple(sorted(missing)),
    )
