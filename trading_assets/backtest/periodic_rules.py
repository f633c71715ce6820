"""Textbook rules as portfolios that rebalance once a month, and what they lack to begin."""

from collections.abc import Callable, Mapping

import numpy as np

from trading_assets.backtest.allocations import (
    LEAST_BARS,
    LOOKBACK_BARS,
    MONTH_BARS,
    Floats,
    inverse_volatility_weights,
    known_symbols,
    mean_variance_weights,
    minimum_variance_weights,
    momentum_weights,
    trend_weights,
)
from trading_assets.backtest.engine import Decide, decision_rows
from trading_assets.backtest.folds import Fold
from trading_assets.backtest.hierarchical_risk_parity import hierarchical_risk_parity_weights
from trading_assets.policy.traded_as_decided import TradedAsDecided
from trading_assets.simulation.core import Books
from trading_assets.simulation.market import Market, total_returns_of

REBALANCE_BARS = MONTH_BARS

# Past total returns float64 (T, N) to weights float64 (N,).
Rule = Callable[[Floats], Floats]

RULES: Mapping[str, Rule] = {
    "hierarchical_risk_parity": hierarchical_risk_parity_weights,
    "inverse_volatility": inverse_volatility_weights,
    "mean_variance": mean_variance_weights,
    "minimum_variance": minimum_variance_weights,
    "momentum": momentum_weights,
    "trend": trend_weights,
}


def rule_decisions(market: Market, fold: Fold) -> dict[str, Decide]:
    """Return the decision functions of all rules, by name; none where they cannot begin.

    A rule decides at the first decision of the window and at every 21st after it, and keeps its
    shares at all others. It sees total returns up to and including the decision's row.

    Parameters
    ----------
    market : Market
        The market that is traded, from a year before the window on.
    fold : Fold
        The window that is traded.
    """
    first = decision_rows(market, fold).start
    returns = _returns(market)
    if rule_absences(market, fold):
        return {}
    return {name: _rebalancing(weigh, returns, first) for name, weigh in RULES.items()}


def rule_absences(market: Market, fold: Fold) -> dict[str, str]:
    """Return why rules cannot begin, by name: no symbol has the returns that they need.

    It is known at the close of the window's first decision.

    Parameters
    ----------
    market : Market
        The market that is traded.
    fold : Fold
        The window that is traded.
    """
    first = decision_rows(market, fold).start
    past = _returns(market)[: first + 1]
    if len(known_symbols(past)):
        return {}
    most = int(np.isfinite(past[-LOOKBACK_BARS:]).sum(axis=0).max())
    needed = f"{LEAST_BARS} sessions of returns that are needed"
    if most < LEAST_BARS:
        reason = f"{most} of the {needed} lie before {fold.test_start}"
    else:
        day = market.sessions[first]
        reason = f"no symbol with the {needed} has one on {day}, the day of the first decision"
    return dict.fromkeys(RULES, reason)


def _rebalancing(weigh: Rule, returns: Floats, first_row: int) -> Decide:
    def decide(row: int, _books: Books) -> Floats | None:
        if (row - first_row) % REBALANCE_BARS:
            return None
        return weigh(returns[max(row + 1 - LOOKBACK_BARS, 0) : row + 1])

    return TradedAsDecided(decide)


def _returns(market: Market) -> Floats:
    return total_returns_of(market.close, market.split_ratio, market.cash_per_share)
