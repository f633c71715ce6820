"""Textbook rules as portfolios that rebalance once a month, and what they lack to begin."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from trading_assets.backtest.allocations import (
    LEAST_BARS,
    LOOKBACK_BARS,
    MONTH_BARS,
    VOLATILITY_BARS,
    Floats,
    inverse_volatility_weights,
    mean_variance_weights,
    minimum_variance_weights,
    momentum_weights,
    trend_weights,
)
from trading_assets.backtest.engine import Decide, decision_rows
from trading_assets.backtest.folds import Fold
from trading_assets.backtest.hierarchical_risk_parity import hierarchical_risk_parity_weights
from trading_assets.simulation.core import Books
from trading_assets.simulation.market import Market, total_returns_of

REBALANCE_BARS = MONTH_BARS


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of past returns.

    Attributes
    ----------
    weigh : callable
        Past total returns float64 (T, N) to weights float64 (N,), see `backtest.allocations`.
    window_bars : int
        Bars that it looks back.
    least_bars : int
        Returns within these bars without which no symbol is judged.
    """

    weigh: Callable[[Floats], Floats]
    window_bars: int = LOOKBACK_BARS
    least_bars: int = LEAST_BARS


RULES: Mapping[str, Rule] = {
    "hierarchical_risk_parity": Rule(hierarchical_risk_parity_weights),
    "inverse_volatility": Rule(inverse_volatility_weights, VOLATILITY_BARS, VOLATILITY_BARS),
    "mean_variance": Rule(mean_variance_weights),
    "minimum_variance": Rule(minimum_variance_weights),
    "momentum": Rule(momentum_weights),
    "trend": Rule(trend_weights),
}


def rule_decisions(market: Market, fold: Fold) -> dict[str, Decide]:
    """Return the decision functions of rules that can begin, by name.

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
    lacking = rule_absences(market, fold)
    return {
        name: _rebalancing(rule, returns, first)
        for name, rule in RULES.items()
        if name not in lacking
    }


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
    day = market.sessions[first]
    reasons = {name: _lack(rule, past, fold, day) for name, rule in RULES.items()}
    return {name: reason for name, reason in reasons.items() if reason}


def _rebalancing(rule: Rule, returns: Floats, first_row: int) -> Decide:
    def decide(row: int, _books: Books) -> Floats | None:
        if (row - first_row) % REBALANCE_BARS:
            return None
        return rule.weigh(returns[max(row + 1 - rule.window_bars, 0) : row + 1])

    return decide


def _lack(rule: Rule, past: Floats, fold: Fold, day: np.datetime64) -> str:
    window = np.isfinite(past[-rule.window_bars :])
    counts = window.sum(axis=0)
    if (window[-1] & (counts >= rule.least_bars)).any():
        return ""
    most = int(counts.max())
    if most >= rule.least_bars:
        return (
            f"no symbol with the {rule.least_bars} sessions of returns that it needs has one on"
            f" {day}, when it decides first"
        )
    return (
        f"{most} of the {rule.least_bars} sessions of returns that it needs lie before"
        f" {fold.test_start}"
    )


def _returns(market: Market) -> Floats:
    return total_returns_of(market.close, market.split_ratio, market.cash_per_share)
