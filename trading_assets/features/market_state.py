"""What a panel of symbols does together at each bar: its mean, its correlation, its sectors.

Sums of a rolling window are carried from row to row and summed afresh at fixed rows, so the bytes
of a row depend on the panel's first row but not on the blocks it is read in.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray

from trading_assets.errors import DataError

Array = NDArray[np.float64]
Counts = NDArray[np.int64]
# The last returns by row modulo their number, which of them are bars, each symbol's bars, sums of
# returns and sums of their products (lower triangle).
_Running = tuple[Array, NDArray[np.bool_], Counts, Array, Array]

CORRELATION_BARS = 63
# Bars a symbol needs among the last CORRELATION_BARS rows to count as present.
PRESENT_BARS = 21

_REFRESH_ROWS = 256
# A return that leaves the window with more than this share of what stays would leave its rounding.
_SHOCK = 1e6
_FLAT = 1e-12
_MOST_STEPS = 100


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
        self._running = (
            np.zeros((CORRELATION_BARS, symbols)),
            np.zeros((CORRELATION_BARS, symbols), dtype=np.bool_),
            np.zeros(symbols, dtype=np.int64),
            np.zeros(symbols),
            np.zeros((symbols, symbols)),
        )

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
        market, by_sector = _mean_returns(block, self._sectors)
        correlation, share = np.empty(len(block)), np.empty(len(block))
        _correlate(block, self._rows_seen, self._running, correlation, share)
        self._rows_seen += len(block)
        return MarketColumns(market, correlation, share, by_sector)


def compute_market(returns: Array, sectors: Sequence[str | None]) -> MarketColumns:
    """Return the market's columns of a whole panel, as `MarketState` does from its first row."""
    return MarketState(sectors).advance(returns)


@numba.njit(nogil=True)
def _mean_returns(returns: Array, sectors: Counts) -> tuple[Array, Array]:
    rows, symbols = returns.shape
    market = np.empty(rows)
    by_sector = np.empty((rows, symbols))
    groups = sectors.max() + 1
    # The last group is the market.
    totals = np.empty(groups + 1)
    counts = np.empty(groups + 1)
    for t in range(rows):
        totals[:] = 0.0
        counts[:] = 0.0
        for i in range(symbols):
            if math.isfinite(returns[t, i]):
                totals[groups] += returns[t, i]
                counts[groups] += 1.0
                if sectors[i] >= 0:
                    totals[sectors[i]] += returns[t, i]
                    counts[sectors[i]] += 1.0
        market[t] = totals[groups] / counts[groups] if counts[groups] else np.nan
        for i in range(symbols):
            group = sectors[i]
            has_bar = group >= 0 and counts[group] > 0.0
            by_sector[t, i] = totals[group] / counts[group] if has_bar else market[t]
    return market, by_sector


@numba.njit(nogil=True)
def _correlate(
    returns: Array, rows_seen: int, running: _Running, correlation: Array, share: Array
) -> None:
    _, _, bars, sums, products = running
    symbols = len(sums)
    present = np.empty(symbols, dtype=np.int64)
    matrix = np.empty((symbols, symbols))
    for t in range(len(returns)):
        row = rows_seen + t
        _slide(returns[t], row, running)
        if row + 1 < CORRELATION_BARS:
            correlation[t] = share[t] = np.nan
            continue
        count = 0
        for i in range(symbols):
            if bars[i] >= PRESENT_BARS:
                present[count] = i
                count += 1
        if count < 2:
            correlation[t] = share[t] = 1.0
            continue
        correlation[t] = _fill_correlations(present[:count], sums, products, matrix)
        share[t] = min(1.0, _largest_eigenvalue(matrix, count) / count)


@numba.njit(nogil=True)
def _slide(arriving: Array, row: int, running: _Running) -> None:
    window, has_bar, bars, sums, products = running
    slot = row % CORRELATION_BARS
    leaving = window[slot].copy()
    is_due = row % _REFRESH_ROWS == 0
    for i in range(len(arriving)):
        is_known = math.isfinite(arriving[i])
        bars[i] += int(is_known) - int(has_bar[slot, i])
        has_bar[slot, i] = is_known
        window[slot, i] = arriving[i] if is_known else 0.0
        sums[i] += window[slot, i] - leaving[i]
        for j in range(i + 1):
            products[i, j] += window[slot, i] * window[slot, j] - leaving[i] * leaving[j]
        is_due |= leaving[i] * leaving[i] > _SHOCK * abs(products[i, i])
    if is_due:
        sums[:] = 0.0
        products[:] = 0.0
        for k in range(CORRELATION_BARS):
            for i in range(len(arriving)):
                sums[i] += window[k, i]
                for j in range(i + 1):
                    products[i, j] += window[k, i] * window[k, j]


@numba.njit(nogil=True)
def _fill_correlations(present: Counts, sums: Array, products: Array, matrix: Array) -> float:
    # Fills the square of present symbols, and returns the mean of its pairs.
    count = len(present)
    scale = np.empty(count)
    for a in range(count):
        i = present[a]
        centred = products[i, i] - sums[i] * sums[i] / CORRELATION_BARS
        scale[a] = 1.0 / math.sqrt(centred) if centred > _FLAT * products[i, i] else 0.0
    total = 0.0
    for a in range(count):
        i = present[a]
        for b in range(a):
            j = present[b]
            centred = products[i, j] - sums[i] * sums[j] / CORRELATION_BARS
            value = min(1.0, max(-1.0, centred * scale[a] * scale[b]))
            matrix[a, b] = matrix[b, a] = value
            total += value
        matrix[a, a] = 1.0
    return total / (0.5 * count * (count - 1))


@numba.njit(nogil=True)
def _largest_eigenvalue(matrix: Array, size: int) -> float:
    # Householder's tridiagonal form, which overwrites `matrix`, and its largest root by Laguerre's
    # iteration: from above it falls to that root however close the next one is. Power iteration
    # crawls where two are close, and from even weights never finds a component that opposes two
    # symbols.
    diagonal = np.empty(size)
    axis, image = np.empty(size), np.empty(size)
    squares = np.zeros(size)  # of the off-diagonal, before each row
    for k in range(size - 1, 0, -1):
        squares[k] = _reflect(matrix, k, axis, image)
        diagonal[k] = matrix[k, k]
    diagonal[0] = matrix[0, 0]
    # The trace bounds the largest eigenvalue of a correlation matrix.
    root = size * (1.0 + 1e-9)
    for _ in range(_MOST_STEPS):
        # Pivots of root - matrix with their first two derivatives give the sums of 1 / (root - l)
        # and of its square over the eigenvalues l.
        pivot, slope, bend = 1.0, 0.0, 0.0
        first = second = 0.0
        for i in range(size):
            ratio = squares[i] / (pivot * pivot)
            bend = ratio * (bend - 2.0 * slope * slope / pivot)
            pivot, slope = root - diagonal[i] - ratio * pivot, 1.0 + ratio * slope
            if pivot <= 0.0:
                return root
            relative = slope / pivot
            first += relative
            second += relative * relative - bend / pivot
        spread = max(0.0, (size - 1) * (size * second - first * first))
        step = size / (first + math.sqrt(spread))
        root -= step
        if step <= 1e-13 * root:
            return root
    return root


@numba.njit(nogil=True)
def _reflect(matrix: Array, k: int, axis: Array, image: Array) -> float:
    # Mirrors row k's first k entries onto the last of them; returns the square of what remains.
    square = rest = 0.0
    for i in range(k):
        axis[i] = matrix[k, i]
        image[i] = 0.0
        rest = square
        square += axis[i] * axis[i]
    if rest <= 0.0:
        return square
    axis[k - 1] += math.copysign(math.sqrt(square), axis[k - 1])
    weight = 2.0 / (rest + axis[k - 1] * axis[k - 1])
    for i in range(k):
        line, factor = matrix[i], axis[i]
        for j in range(k):
            image[j] += line[j] * factor
    overlap = 0.0
    for i in range(k):
        image[i] *= weight
        overlap += image[i] * axis[i]
    for i in range(k):
        image[i] -= 0.5 * weight * overlap * axis[i]
    for i in range(k):
        line, factor, other = matrix[i], axis[i], image[i]
        for j in range(k):
            line[j] -= factor * image[j] + other * axis[j]
    return square
