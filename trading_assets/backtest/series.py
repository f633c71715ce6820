"""The vectorised engine for rules of single symbols: an account for each, positions known before.

What a rule holds is given for the whole history at once, and each symbol is traded by an account of
its own through the market core. The same declared costs apply as everywhere; limits do not.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trading_assets.errors import DataError
from trading_assets.simulation.compiled.layout import (
    CASH_PER_SHARE,
    CLOSE,
    FILL_FIELDS,
    OUTCOME_FIELDS,
    PAYOUT_PER_SHARE,
    POSITION_FIELDS,
    SPLIT_RATIO,
    TAPE_FIELDS,
)
from trading_assets.simulation.compiled.windows import mark_calm_bars, trade_series
from trading_assets.simulation.market import Market, tape_of
from trading_assets.simulation.terms import Floats, require_finite, terms_of
from trading_assets.strategy import CostsSpec


@dataclass(frozen=True, slots=True)
class SeriesMarket:
    """A market made ready for `trade_each_symbol`, once for any number of rules.

    Attributes
    ----------
    fields : float64 (TAPE_FIELDS, T, N)
        The market, field by field, as `simulation.compiled.layout` names them.
    is_calm : bool (T,)
        Rows at which a kept position is only marked.
    terms : float64 (1, TERM_FIELDS)
        What trading costs.
    """

    fields: Floats
    is_calm: NDArray[np.bool_]
    terms: Floats


def prepare_series(
    market: Market,
    costs: CostsSpec,
    *,
    is_long_only: bool = True,
    notional_usd: float | None = None,
) -> SeriesMarket:
    """Lay a market out for rules that are traded symbol by symbol.

    Parameters
    ----------
    market : Market
        What is traded.
    costs : CostsSpec
        What a trade costs.
    is_long_only : bool
        Whether accounts may neither borrow nor go short.
    notional_usd : float, optional
        Base of weights; absent, the equity of the account.

    Raises
    ------
    DataError
        If orders take longer than to the next open: a window of known targets has no queue for
        accounts that keep their shares.
    """
    if costs.latency_bars != 1:
        msg = (
            f"latency_bars was {costs.latency_bars}; expected 1 for series of positions: shift them"
            " by the bars that an order takes longer"
        )
        raise DataError(msg)
    fields = np.ascontiguousarray(tape_of(market).transpose(1, 0, 2))
    is_calm = np.empty(fields.shape[1], dtype=np.bool_)
    actions = (fields[SPLIT_RATIO], fields[CASH_PER_SHARE], fields[PAYOUT_PER_SHARE])
    mark_calm_bars(fields[CLOSE], *actions, is_calm)
    terms = terms_of(costs, is_long_only=is_long_only, notional_usd=notional_usd)
    return SeriesMarket(fields, is_calm, terms)


def trade_each_symbol(market: SeriesMarket, weights: Floats, initial_usd: float) -> Floats:
    """Return the equity of an account for each symbol at every close after the first.

    Parameters
    ----------
    market : SeriesMarket
        Of `prepare_series`.
    weights : float64 (T - 1, N)
        Target weight decided at the close of each row but the last and filled at the next open;
        nan keeps the shares.
    initial_usd : float
        Cash of each account before, USD.

    Returns
    -------
    float64 (T - 1, N)
        USD; row t is at the close of the market's row t + 1.

    Raises
    ------
    DataError
        If there is not one row for each decision, or an equity becomes nan.
    """
    _, bars, symbols = market.fields.shape
    if weights.shape != (bars - 1, symbols):
        msg = (
            f"weights had shape {weights.shape}; expected ({bars - 1}, {symbols}), a row for each"
            " bar but the last and a column for each symbol"
        )
        raise DataError(msg)
    equity = np.empty((bars - 1, symbols))
    trade_series(
        np.full(symbols, float(initial_usd)),
        np.zeros((symbols, POSITION_FIELDS, 1)),
        np.zeros(symbols),
        np.ascontiguousarray(weights, dtype=np.float64),
        np.empty((symbols, 1)),
        market.fields,
        market.is_calm,
        market.terms,
        np.empty((2, TAPE_FIELDS, 1)),
        np.empty((symbols, FILL_FIELDS, 1)),
        np.empty((symbols, OUTCOME_FIELDS)),
        np.empty(symbols, dtype=np.int64),
        equity,
    )
    if len(equity):
        require_finite(equity[-1])
    return equity
