"""Portfolios that learn nothing, which every learned one is held against.

They see the same market, pay the same costs and keep the same limits as the strategy.
"""

import numpy as np

from trading_assets.backtest.engine import Decide, decision_rows
from trading_assets.backtest.folds import Fold
from trading_assets.simulation.core import Books, Floats
from trading_assets.simulation.market import Market

BASELINES = ("buy_and_hold", "cash", "equal_weight")


def baseline_decisions(market: Market, fold: Fold) -> dict[str, Decide]:
    """Return the decision functions of all baselines, by name.

    Parameters
    ----------
    market : Market
        The market that is traded.
    fold : Fold
        The window that is traded.
    """
    return {
        "buy_and_hold": buy_and_hold(market, fold),
        "cash": cash(market),
        "equal_weight": equal_weight(market),
    }


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

    return decide


def _equal_weights(market: Market, row: int) -> Floats:
    is_tradable = market.tradable[row]
    return is_tradable / max(int(is_tradable.sum()), 1)
