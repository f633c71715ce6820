"""A test window as moves from bar to bar, and the prices that moves lead to."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trading_assets.backtest.adjusted_bars import PRICES, AdjustedBars, with_prices
from trading_assets.simulation.terms import Floats


@dataclass(frozen=True, slots=True)
class Moves:
    """Moves of a window, float64 (R, N) each; nan without a bar or without an earlier close.

    Attributes
    ----------
    gap : float64 (R, N)
        Log of the open over the last known close.
    body, high, low : float64 (R, N)
        Logs of close, high and low over the open.
    volume : float64 (R, N)
        Shares traded in the bar.
    """

    gap: Floats
    body: Floats
    high: Floats
    low: Floats
    volume: Floats

    @property
    def total(self) -> Floats:
        """Log of the close over the last known one, float64 (R, N)."""
        return self.gap + self.body


def moves_of(bars: AdjustedBars) -> Moves:
    """Return the moves of the test window."""
    first = bars.first_row
    before = _last_known(bars.close)[first - 1 : -1]
    opened = bars.open[first:]
    is_move = np.isfinite(before) & np.isfinite(opened)
    return Moves(
        gap=_log(opened, before),
        body=np.where(is_move, _log(bars.close[first:], opened), np.nan),
        high=np.where(is_move, _log(bars.high[first:], opened), np.nan),
        low=np.where(is_move, _log(bars.low[first:], opened), np.nan),
        volume=np.where(is_move, bars.volume[first:], np.nan),
    )


def market_moves(moves: Moves) -> Floats:
    """Return the mean log return of the symbols that move, float64 (R,); nan where none does."""
    known = np.isfinite(moves.total)
    total, count = np.where(known, moves.total, 0.0).sum(axis=1), known.sum(axis=1)
    return np.divide(total, count, out=np.full(len(total), np.nan), where=count > 0)


def apply_moves(bars: AdjustedBars, moves: Moves) -> AdjustedBars:
    """Return the bars that moves lead to from the last close before the window.

    A symbol that is listed within the window enters as it did, and moves from there on.

    Parameters
    ----------
    bars : AdjustedBars
        Where the moves start.
    moves : Moves
        A bar with a nan is left out; the next one moves from the close before it.
    """
    first = bars.first_row
    known = _last_known(bars.close)
    listed = _listing_rows(bars)
    base = np.where(listed < 0, known[first - 1], known[first:][listed, range(len(listed))])
    counts = np.arange(bars.window_bars)[:, None] > listed
    is_bar = counts & np.isfinite(moves.total)
    level = np.log(base) + np.cumsum(np.where(is_bar, moves.total, 0.0), axis=0)
    opened = level - np.where(is_bar, moves.body, 0.0)
    logs = {
        "open": opened,
        "high": opened + moves.high,
        "low": opened + moves.low,
        "close": level,
    }
    window = {name: np.where(is_bar, np.exp(log), np.nan) for name, log in logs.items()}
    window["volume"] = np.where(is_bar, moves.volume, np.nan)
    enters = np.arange(bars.window_bars)[:, None] == listed
    for name in (*PRICES, "volume"):
        window[name][enters] = getattr(bars, name)[first:][enters]
    return with_prices(bars, window)


def _last_known(close: Floats) -> Floats:
    rows = np.where(np.isfinite(close), np.arange(len(close))[:, None], 0)
    return np.take_along_axis(close, np.maximum.accumulate(rows, axis=0), axis=0)


def _listing_rows(bars: AdjustedBars) -> NDArray[np.intp]:
    """Return the window's row of each symbol's first bar (N,), -1 where it had one before."""
    has_bar = np.isfinite(bars.close)
    first_bar = np.where(has_bar.any(axis=0), has_bar.argmax(axis=0), len(has_bar) - 1)
    return np.maximum(first_bar - bars.first_row, -1)


def _log(value: Floats, base: Floats) -> Floats:
    return np.log(value / base)
