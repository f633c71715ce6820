"""What a panel of symbols does together at each bar: its mean, its correlation, its sectors.

Sums of a rolling window are carried from row to row and summed afresh at fixed rows, so the bytes
of a row depend on the panel's first row but not on the blocks it is read in.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trading_assets.cores import usable_cores
from trading_assets.errors import DataError
from trading_assets.features.compiled.correlations import (
    CORRELATION_BARS,
    REFRESH_ROWS,
    Running,
    correlate,
    mean_returns,
)

Array = NDArray[np.float64]

# A part of the rows that is worth a thread of its own.
_ROWS_A_PART = 16 * REFRESH_ROWS


@dataclass(frozen=True, slots=True)
class MarketColumns:
    """Columns of some rows, float64, each known at its bar's close.

    Attributes
    ----------
    market_return : (T,)
        Mean log return of the symbols with a bar, nan where none has one.
    mean_correlation : (T,)
        Mean correlation of the pairs of present symbols over the last 63 rows, 1 with fewer than
        two, nan before 63 rows.
    first_component_share : (T,)
        Largest eigenvalue of the same correlations over the number of present symbols, 1 with
        fewer than two, nan before 63 rows.
    sector_return : (T, N)
        Mean log return of the symbol's sector, the market's where the symbol has no sector or no
        symbol of it has a bar.
    """

    market_return: Array
    mean_correlation: Array
    first_component_share: Array
    sector_return: Array


class MarketState:
    """The market's columns block by block: blocks of any size give the bytes of one call.

    Parameters
    ----------
    sectors : sequence of str or None
        Sector of each symbol in the order of the panel's columns, None where none is declared.

    Raises
    ------
    DataError
        If there is no symbol.
    """

    def __init__(self, sectors: Sequence[str | None]) -> None:
        symbols = len(sectors)
        if not symbols:
            msg = "symbols of the market were none; expected at least one: declare a symbol"
            raise DataError(msg)
        names = sorted({sector for sector in sectors if sector is not None})
        self._sectors = np.array([-1 if s is None else names.index(s) for s in sectors])
        self._rows_seen = 0
        self._running = _running_of(np.full((CORRELATION_BARS, symbols), np.nan), 0)

    def advance(self, returns: Array) -> MarketColumns:
        """Return the columns of the next rows and remember what later rows need of them.

        A return missing within a window counts as 0. A symbol that did not move is uncorrelated
        with any other.

        Parameters
        ----------
        returns : float64 (T, N)
            Log returns of the rows after those already given, nan where a symbol has no bar.

        Raises
        ------
        DataError
            If there is not one column for each symbol.
        """
        symbols = len(self._sectors)
        if returns.ndim != 2 or returns.shape[1] != symbols:
            msg = (
                f"returns of the market had the shape {returns.shape}; expected (rows, {symbols}):"
                f" align them to one column a symbol"
            )
            raise DataError(msg)
        block = np.array(returns, dtype=np.float64, order="C")
        market, by_sector = mean_returns(block, self._sectors)
        correlation, share = self._correlate(block)
        return MarketColumns(market, correlation, share, by_sector)

    def _correlate(self, block: Array) -> Array:
        # Where sums are summed afresh a part can begin without those of the rows before.
        begins = [0, *range(-self._rows_seen % REFRESH_ROWS, len(block), _ROWS_A_PART)[1:]]
        ends = [*begins[1:], len(block)]
        found = np.empty((2, len(block)))

        def correlate_part(begin: int, end: int) -> Running:
            rows_seen, running = self._rows_seen + begin, self._running
            if begin:
                running = _running_of(block[begin - CORRELATION_BARS : begin], rows_seen)
            correlate(block[begin:end], rows_seen, running, *found[:, begin:end])
            return running

        if len(begins) == 1:
            self._running = correlate_part(0, len(block))
        else:
            with ThreadPoolExecutor(usable_cores()) as threads:
                *_, self._running = threads.map(correlate_part, begins, ends)
        self._rows_seen += len(block)
        return found


def compute_market(returns: Array, sectors: Sequence[str | None]) -> MarketColumns:
    """Return the market's columns of a whole panel, as `MarketState` does from its first row."""
    return MarketState(sectors).advance(returns)


def _running_of(window: Array, rows_seen: int) -> Running:
    """Return what is carried over a row that sums afresh, of the rows (63, N) before it."""
    window = np.roll(window, rows_seen, axis=0)
    symbols, has_bar = window.shape[1], np.isfinite(window)
    return (
        np.where(has_bar, window, 0.0),
        has_bar,
        has_bar.sum(axis=0),
        np.zeros(symbols),
        np.zeros((symbols, symbols)),
    )
