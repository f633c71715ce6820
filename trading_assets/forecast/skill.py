"""How far expected returns go with the returns that came true."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trading_assets.features.information_coefficient import (
    Grid,
    InformationCoefficient,
    measure_ic,
)

Array = NDArray[np.float64]
Index = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Skill:
    """Correlations of expected and realised scaled returns.

    Attributes
    ----------
    ic : InformationCoefficient
        Pearson's.
    rank_ic : InformationCoefficient
        Spearman's.
    """

    ic: InformationCoefficient
    rank_ic: InformationCoefficient


def measure_skill(
    symbol: Index, session: Index, predicted: Array, realised: Array, horizon_bars: int
) -> Skill:
    """Return how far expected scaled returns go with the realised ones, see `measure_ic`.

    Parameters
    ----------
    symbol, session : int64 (n,)
        Position of each row, a pair at most once; sessions without rows keep their place in time.
    predicted, realised : float64 (n,)
        Scaled returns; a row in which one is nan does not count.
    horizon_bars : int
        Bars that a label looks ahead.
    """
    if not len(symbol):
        nothing = np.empty((0, 0))
        empty = measure_ic(nothing, nothing, horizon_bars)
        return Skill(empty, empty)
    symbols, place = np.unique(symbol, return_inverse=True)
    first, last = int(session.min()), int(session.max())
    grid = Grid(place, session - first, (len(symbols), last - first + 1))
    values, returns = grid.lay(predicted), grid.lay(realised)
    return Skill(
        measure_ic(values, returns, horizon_bars, ranked=False),
        measure_ic(values, returns, horizon_bars),
    )
