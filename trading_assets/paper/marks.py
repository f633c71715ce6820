"""The last known close of every symbol, and what positions are worth at it."""

from decimal import Decimal

import numpy as np

from trading_assets.errors import DataError
from trading_assets.paper.ledger import AccountState
from trading_assets.simulation.core import Floats
from trading_assets.simulation.market import Market


def last_known_closes(market: Market, row: int) -> Floats:
    """Return each symbol's last close at or before `row`, per share of that row, USD.

    A close from an earlier session is divided by the splits since, as the market core does.

    Parameters
    ----------
    market : Market
        The market.
    row : int
        Row whose close is known.

    Returns
    -------
    float64 (N,)
        nan where a symbol has had no bar.
    """
    closes = np.full(len(market.symbols), np.nan)
    for column in range(len(market.symbols)):
        rows = np.flatnonzero(np.isfinite(market.close[: row + 1, column]))
        if len(rows):
            newest = rows[-1]
            splits = market.split_ratio[newest + 1 : row + 1, column].prod()
            closes[column] = market.close[newest, column] / splits
    return closes


def market_values(state: AccountState, market: Market, row: int) -> dict[str, Decimal]:
    """Return quantity times last known close of every holding, USD, not rounded.

    Parameters
    ----------
    state : AccountState
        Holdings, per share of `row`.
    market : Market
        The market; the close is taken with all its digits, as the market core does.
    row : int
        Row whose close is known.

    Raises
    ------
    DataError
        If a holding is no symbol of the market.
    """
    strangers = sorted({*state.quantity} - {*market.symbols})
    if strangers:
        msg = f"the account holds {', '.join(strangers)}; expected only symbols of the data set"
        raise DataError(msg)
    closes = dict(zip(market.symbols, last_known_closes(market, row).tolist(), strict=True))
    return {
        symbol: quantity * Decimal(repr(closes[symbol]))
        for symbol, quantity in sorted(state.quantity.items())
    }
