"""Stops at a multiple of the average true range, placed and moved at closes.

A price is an order's and so Decimal. Source of the range and its average: Wilder, New Concepts in
Technical Trading Systems, 1978.
"""

import math
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Literal

import numpy as np

from trading_assets.errors import DataError
from trading_assets.risk.return_samples import Series
from trading_assets.sizing_specs import StopSpec

Holding = Literal["long", "short"]


@dataclass(frozen=True, slots=True)
class Stop:
    """A price at which a position is left.

    Attributes
    ----------
    holding : {"long", "short"}
        A long position is left at or below the price, a short one at or above it.
    price_usd : Decimal
        A whole number of ticks, positive.

    Raises
    ------
    DataError
        If the price is not finite and positive.
    """

    holding: Holding
    price_usd: Decimal

    def __post_init__(self) -> None:
        if not (self.price_usd.is_finite() and self.price_usd > 0):
            msg = (
                f"stop of a {self.holding} position was {self.price_usd} USD; expected a price"
                " above 0: lower `multiple`"
            )
            raise DataError(msg)


def average_true_range(high: Series, low: Series, close: Series, bars: int) -> Series:
    """Return Wilder's average of the true range at each close, USD.

    The true range reaches from the low to the high, or to the close before where that lies outside.
    The first average is the mean of the first `bars` of them; each later one moves to the newest
    by 1 / bars.

    Parameters
    ----------
    high, low, close : float64 (T,)
        Prices of bars, USD, adjusted for splits alike, oldest first.
    bars : int
        Bars of the average.

    Returns
    -------
    float64 (T,)
        Row t uses bars up to and including t; nan in the first `bars` rows.

    Raises
    ------
    DataError
        If the series differ in length or are too short, a price is not finite and positive, or a
        low lies above its high.
    """
    _require_bars(high, low, close, bars)
    above = np.maximum(high[1:], close[:-1])
    ranges = above - np.minimum(low[1:], close[:-1])
    average = np.full(len(close), np.nan)
    mean = float(ranges[:bars].mean())
    average[bars] = mean
    for row in range(bars, len(ranges)):
        mean += (float(ranges[row]) - mean) / bars
        average[row + 1] = mean
    return average


def place_stop(holding: Holding, close_usd: Decimal, range_usd: float, spec: StopSpec) -> Stop:
    """Return the stop at `multiple` average ranges from a close, at the tick beyond.

    Parameters
    ----------
    holding : {"long", "short"}
        Side of the position.
    close_usd : Decimal
        Last close, or the price of entry.
    range_usd : float
        Average true range known at that close; positive.
    spec : StopSpec
        Multiple and tick.

    Raises
    ------
    DataError
        If the close or the range is not finite and positive, or the stop would not be above 0.
    """
    if not (close_usd.is_finite() and close_usd > 0):
        msg = f"close was {close_usd} USD; expected a price above 0"
        raise DataError(msg)
    if not (math.isfinite(range_usd) and range_usd > 0.0):
        msg = f"average true range was {range_usd} USD; expected one above 0: wait for more bars"
        raise DataError(msg)
    distance = Decimal(repr(float(range_usd))) * Decimal(repr(float(spec.multiple)))
    is_long = holding == "long"
    price = close_usd - distance if is_long else close_usd + distance
    # Away from the close, so that the close itself never lies on the stop.
    rounding = ROUND_FLOOR if is_long else ROUND_CEILING
    ticks = (price / spec.tick_usd).to_integral_value(rounding)
    return Stop(holding, ticks * spec.tick_usd)


def trail_stop(stop: Stop, close_usd: Decimal, range_usd: float, spec: StopSpec) -> Stop:
    """Return the stop after another close: moved with the price, never away from it.

    Parameters
    ----------
    stop : Stop
        As it was during the bar that has closed.
    close_usd, range_usd, spec
        As in `place_stop`.

    Raises
    ------
    DataError
        As `place_stop` does.
    """
    moved = place_stop(stop.holding, close_usd, range_usd, spec)
    best = max if stop.holding == "long" else min
    return Stop(stop.holding, best(stop.price_usd, moved.price_usd))


def is_stopped(stop: Stop, low_usd: Decimal, high_usd: Decimal) -> bool:
    """Return whether a bar touched a stop that was placed before it.

    Parameters
    ----------
    stop : Stop
        Placed at an earlier close.
    low_usd, high_usd : Decimal
        Of the bar.

    Raises
    ------
    DataError
        If a price is not finite or the low lies above the high.
    """
    if not (low_usd.is_finite() and high_usd.is_finite() and low_usd <= high_usd):
        msg = f"low and high were {low_usd} and {high_usd} USD; expected prices, low at most high"
        raise DataError(msg)
    return low_usd <= stop.price_usd if stop.holding == "long" else high_usd >= stop.price_usd


def _require_bars(high: Series, low: Series, close: Series, bars: int) -> None:
    if bars < 1:
        msg = f"bars was {bars}; expected at least 1"
        raise DataError(msg)
    if not high.shape == low.shape == close.shape == (len(close),):
        msg = (
            f"high, low and close had the shapes {high.shape}, {low.shape} and {close.shape};"
            " expected one price of each for every bar"
        )
        raise DataError(msg)
    if len(close) <= bars:
        msg = f"{len(close)} bars were given for an average of {bars}; expected at least {bars + 1}"
        raise DataError(msg)
    is_price = np.isfinite(high) & np.isfinite(low) & np.isfinite(close)
    wrong = int((~(is_price & (low > 0.0) & (close > 0.0) & (low <= high))).sum())
    if wrong:
        msg = (
            f"{wrong} of {len(close)} bars had prices that are not finite and above 0, or a low"
            " above the high; expected none"
        )
        raise DataError(msg)
