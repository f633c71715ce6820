"""Portfolios that learn nothing, which every learned one is held against.

They see the same market, pay the same costs and keep the same limits as the strategy. Those that
decide at every session keep its rebalance rule, too; the others have a schedule of their own, by
which a decision that was held back would not be taken again.
"""

import numpy as np

from trading_assets.backtest.engine import Decide, decision_rows
from trading_assets.backtest.folds import Fold
from trading_assets.backtest.periodic_rules import rule_absences, rule_decisions
from trading_assets.policy.traded_as_decided import TradedAsDecided
from trading_assets.simulation.core import Books, Floats
from trading_assets.simulation.market import Market

BASELINES = (
    "buy_and_hold",
    "cash",
    "equal_weight",
    "hierarchical_risk_parity",
    "inverse_volatility",
    "mean_variance",
    "minimum_variance",
    "momentum",
    "random",
    "trend",
)


def baseline_decisions(market: Market, fold: Fold) -> dict[str, Decide]:
    """Return the decision functions of the baselines, by name, but for two sorts of them.

    `random` trades as much as another portfolio, so it is traded after that one, see
    `random_portfolio`. Rules that lack returns at the first decision trade nothing at all;
    `baseline_absences` says why.

    Parameters
    ----------
    market : Market
        The market that is traded, from a year before the window on.
    fold : Fold
        The window that is traded.
    """
    return {
        "buy_and_hold": buy_and_hold(market, fold),
        "cash": cash(market),
        "equal_weight": equal_weight(market),
        **rule_decisions(market, fold),
    }


def baseline_absences(market: Market, fold: Fold) -> dict[str, str]:
    """Return why baselines are not traded, by name, as a clause; empty where all of them are."""
    return rule_absences(market, fold)


def cash(market: Market) -> Decide:
    """Return the portfolio that never trades."""
    nothing = np.zeros(len(market.symbols))
    return lambda _row, _books: nothing


def equal_weight(market: Market) -> Decide:
    """Return the portfolio that rebalances to equal weights at every session.

    Weights are `1 / n` of the symbols tradable at the close, so a new listing enters at once.
    """
    return lambda row, _books: _equal_weights(market, row)


def buy_and_hold(market: Market, fold: Fold) -> Decide:
    """Return the portfolio that buys equal weights at the first test open and keeps the shares.

    Limits apply to the purchase; what drifts beyond them afterwards is kept, later listings are
    ignored and dividends stay in cash.
    """
    first_row = decision_rows(market, fold).start

    def decide(row: int, _books: Books) -> Floats | None:
        return _equal_weights(market, row) if row == first_row else None

    return TradedAsDecided(decide)


def _equal_weights(market: Market, row: int) -> Floats:
    is_tradable = market.tradable[row]
    return is_tradable / max(int(is_tradable.sum()), 1)
