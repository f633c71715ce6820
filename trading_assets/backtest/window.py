"""What trading a window did to its portfolios, as arrays, whichever engine traded it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trading_assets.simulation.compiled.layout import (
    FILL_FIELDS,
    OUTCOME_FIELDS,
    POSITION_FIELDS,
)
from trading_assets.simulation.terms import Floats


@dataclass(frozen=True, slots=True)
class TradedWindow:
    """R bars of K portfolios over N symbols; fields as in `simulation.compiled.layout`.

    Attributes
    ----------
    portfolios : tuple of str
        Names, in the order of K.
    rows : range
        Rows of the market at whose close each bar was decided; it was filled at the row after.
    weights : float64 (R, K, N)
        Target weights after limits.
    fills : float64 (R, K, FILL_FIELDS, N)
        What was filled. Of several fills of a symbol in a bar, sums and the mean price.
    outcomes : float64 (R, K, OUTCOME_FIELDS)
        What each bar did, USD.
    positions : float64 (R, K, POSITION_FIELDS, N)
        Positions at the close of each bar.
    cash : float64 (R, K)
        Cash at the close of each bar, USD.
    """

    portfolios: tuple[str, ...]
    rows: range
    weights: Floats
    fills: Floats
    outcomes: Floats
    positions: Floats
    cash: Floats


def empty_window(portfolios: Sequence[str], rows: range, symbols: int) -> TradedWindow:
    """Return a window whose arrays are to be written."""
    shape = (len(rows), len(portfolios))
    return TradedWindow(
        portfolios=tuple(portfolios),
        rows=rows,
        weights=np.empty((*shape, symbols)),
        fills=np.empty((*shape, FILL_FIELDS, symbols)),
        outcomes=np.empty((*shape, OUTCOME_FIELDS)),
        positions=np.empty((*shape, POSITION_FIELDS, symbols)),
        cash=np.empty(shape),
    )
