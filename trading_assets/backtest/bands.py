"""The band of a portfolio's curves: where they could have run, had its bars come otherwise."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trading_assets.backtest.figures import Bootstrap
from trading_assets.backtest.metrics import Series
from trading_assets.backtest.track_record import TrackRecord

# What a plot of this size can show; ends of folds are kept beside them.
_MOST_POINTS = 160
# Resampled paths that are in memory at once.
_PATHS_AT_ONCE = 128


@dataclass(frozen=True, slots=True)
class Band:
    """Pointwise quantiles of resampled curves at some of the sessions.

    Attributes
    ----------
    confidence : float
        Share of the paths within the band at any one session.
    places : intp (P,)
        Positions into the record's sessions, ascending; the ends of every fold are among them.
    growth_low, growth_high : float64 (P,)
        Of the growth of 1 USD.
    drawdown_low, drawdown_high : float64 (P,)
        Of the fraction lost since the peak, losses positive.
    """

    confidence: float
    places: NDArray[np.intp]
    growth_low: Series
    growth_high: Series
    drawdown_low: Series
    drawdown_high: Series


def bands_of(
    records: Sequence[TrackRecord], bootstrap: Bootstrap, confidence: float
) -> dict[str, Band]:
    """Return the band of each portfolio, as `band_of`, by its name."""
    return {record.portfolio: band_of(record, bootstrap, confidence) for record in records}


def band_of(record: TrackRecord, bootstrap: Bootstrap, confidence: float) -> Band:
    """Return the band of a portfolio's growth and drawdown.

    Paths are the portfolio's own chained net returns, drawn again in blocks by the samples that its
    intervals come from: at the last session the growth's band is the interval of its growth a
    year. It tells how far chance alone may carry a track of these returns by a session, not what is
    yet to come, and not that a whole path stays within it. Sessions on which a fold starts from
    cash are drawn like all others: a path does not start again where the portfolio did.

    Parameters
    ----------
    record : TrackRecord
        With at least one session.
    bootstrap : Bootstrap
        Source of the samples.
    confidence : float
        Share of the paths within the band at each session.
    """
    positions = bootstrap.positions(len(record.returns))
    places = _shown_places(record.folds)
    growth = np.empty((len(positions), len(places)))
    drawdown = np.empty_like(growth)
    for start in range(0, len(positions), _PATHS_AT_ONCE):
        rows = slice(start, start + _PATHS_AT_ONCE)
        paths = np.cumprod(1.0 + record.returns[positions[rows]], axis=1)
        peaks = np.maximum(np.maximum.accumulate(paths, axis=1), 1.0)
        growth[rows] = paths[:, places]
        drawdown[rows] = 1.0 - paths[:, places] / peaks[:, places]
    tail = (1.0 - confidence) / 2.0
    tails = [tail, 1.0 - tail]
    low, high = np.quantile(growth, tails, axis=0)
    shallow, deep = np.quantile(drawdown, tails, axis=0)
    return Band(confidence, places, low, high, shallow, deep)


def _shown_places(folds: NDArray[np.str_]) -> NDArray[np.intp]:
    """Return evenly spread positions and both ends of every fold."""
    starts = np.flatnonzero(np.r_[True, folds[1:] != folds[:-1]])
    ends = np.r_[starts[1:] - 1, len(folds) - 1]
    spread = np.linspace(0, len(folds) - 1, min(len(folds), _MOST_POINTS)).round().astype(np.intp)
    return np.unique(np.concatenate([starts, ends, spread]))
