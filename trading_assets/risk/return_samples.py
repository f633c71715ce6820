"""What a sample of returns has to be before the risk in it is measured, and longer horizons."""

import math

import numpy as np
from numpy.typing import NDArray

from trading_assets.errors import DataError, shown

Series = NDArray[np.float64]

# Fewer returns say too little of a variance, let alone of what lies beyond it.
LEAST_RETURNS = 30


class InapplicableError(DataError):
    """A method that cannot be used on these returns, while another can."""


def require_returns(returns: Series, least: int = LEAST_RETURNS) -> None:
    """Refuse what is not a series of so many finite returns.

    Parameters
    ----------
    returns : float64 (T,)
        Simple returns, oldest first.
    least : int
        Returns that are needed.

    Raises
    ------
    DataError
        If it has another shape, too few returns, or some that are nan or infinite.
    """
    if returns.ndim != 1:
        msg = f"returns had the shape {returns.shape}; expected one series of returns, oldest first"
        raise DataError(msg)
    if len(returns) < least:
        msg = f"{len(returns)} returns were given; expected at least {least}: measure more bars"
        raise DataError(msg)
    broken = int((~np.isfinite(returns)).sum())
    if broken:
        msg = f"{broken} of {len(returns)} returns were not finite; expected none: leave them out"
        raise DataError(msg)


def require_tail(tail: float) -> None:
    """Refuse a tail probability outside (0, 0.5).

    Raises
    ------
    DataError
        Naming the value.
    """
    if not 0.0 < tail < 0.5:
        msg = f"tail was {shown(tail)}; expected a probability above 0 and below 0.5, such as 0.01"
        raise DataError(msg)


def require_horizon(horizon_bars: int) -> None:
    """Refuse a horizon below one bar.

    Raises
    ------
    DataError
        Naming the value.
    """
    if horizon_bars < 1:
        msg = f"horizon_bars was {horizon_bars}; expected at least 1"
        raise DataError(msg)


def least_returns(tail: float) -> int:
    """Return how many returns have at least one in the tail."""
    # Rounded, as 1 / 0.05 need not be 20 exactly.
    return math.ceil(round(1.0 / tail, 9))


def compound_returns(returns: Series, horizon_bars: int) -> Series:
    """Return the simple returns of all overlapping runs of `horizon_bars`, float64 (T - h + 1,).

    Raises
    ------
    DataError
        If a return is -1 or less, which nothing can be compounded after.
    """
    if horizon_bars == 1:
        return returns
    lost = int((returns <= -1.0).sum())
    if lost:
        msg = (
            f"{lost} returns were -1 or less; expected none where {horizon_bars} bars are"
            " compounded: measure a horizon of 1 bar"
        )
        raise DataError(msg)
    sums = np.concatenate([[0.0], np.cumsum(np.log1p(returns))])
    return np.expm1(sums[horizon_bars:] - sums[:-horizon_bars])
