"""The vectorised engine: portfolios whose target weights are known, traded in one call."""

from collections.abc import Sequence

import numpy as np

from trading_assets.backtest.window import TradedWindow, empty_window
from trading_assets.errors import DataError
from trading_assets.simulation.compiled.layout import EQUITY, POSITION_FIELDS, PRICE
from trading_assets.simulation.compiled.windows import trade_window
from trading_assets.simulation.market import Market, tape_of
from trading_assets.simulation.terms import Floats, require_finite, terms_of
from trading_assets.strategy import Strategy


def trade_weights(
    market: Market,
    portfolios: Sequence[str],
    weights: Floats,
    rows: range,
    strategy: Strategy,
) -> TradedWindow:
    """Trade target weights of several portfolios over consecutive bars, starting from cash.

    Parameters
    ----------
    market : Market
        Covers the rows and one more.
    portfolios : sequence of str
        Names, in the order of K.
    weights : float64 (R, K, N)
        Target weights after limits, decided at the closes of `rows`.
    rows : range
        Rows of the decisions.
    strategy : Strategy
        Costs, latency, sizing and initial equity.

    Raises
    ------
    DataError
        If the shape is another, the market ends before the last fill, a weight is not finite, or
        an equity becomes nan.
    """
    expected = (len(rows), len(portfolios), len(market.symbols))
    if weights.shape != expected or not np.isfinite(weights).all():
        msg = (
            f"weights had shape {weights.shape}, {int((~np.isfinite(weights)).sum())} of them not"
            f" finite; expected a finite one for each of {expected} bars, portfolios and symbols"
        )
        raise DataError(msg)
    if rows.stop >= len(market.sessions) or rows.start < 0:
        msg = (
            f"rows {rows.start} to {rows.stop - 1} of a market of {len(market.sessions)} bars were"
            " to be decided; expected a bar after each"
        )
        raise DataError(msg)
    initial = strategy.backtest.initial_equity_usd
    is_constant = strategy.policy.sizing == "constant_notional"
    traded = empty_window(portfolios, rows, len(market.symbols))
    traded.weights[:] = weights
    books, symbols = len(portfolios), len(market.symbols)
    positions = np.zeros((books, POSITION_FIELDS, symbols))
    positions[:, PRICE] = np.nan_to_num(market.close[rows.start], nan=0.0)
    terms = terms_of(
        strategy.costs,
        is_long_only=strategy.policy.position == "long_only",
        notional_usd=initial if is_constant else None,
    )
    is_finite = trade_window(
        np.full(books, initial),
        positions,
        traded.weights,
        np.empty((books, symbols)),
        np.zeros((books, strategy.costs.latency_bars - 1, symbols)),
        tape_of(market),
        rows.start,
        terms,
        traded.fills,
        traded.outcomes,
        traded.positions,
        traded.cash,
    )
    if not is_finite:
        require_finite(traded.outcomes[..., EQUITY])
    return traded
