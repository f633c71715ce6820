"""How the symbols of a panel move together: their mean, and the correlations of recent rows.

Sums of a rolling window are carried from row to row and summed afresh at fixed rows.
"""

import math

import numpy as np
from numpy.typing import NDArray

from trading_assets.compiling import entry_point, kernel

Array = NDArray[np.float64]
Counts = NDArray[np.int64]
# The last returns by row modulo their number, which of them are bars, each symbol's bars, sums of
# returns and sums of their products (lower triangle).
Running = tuple[Array, NDArray[np.bool_], Counts, Array, Array]

CORRELATION_BARS = 63
# Bars a symbol needs among the last CORRELATION_BARS rows to count as present.
PRESENT_BARS = 21

# At the multiples of so many rows sums are summed afresh.
REFRESH_ROWS = 256
# A return that leaves the window with more than this share of what stays would leave its rounding.
_SHOCK = 1e6
_FLAT = 1e-12
_MOST_STEPS = 100


@entry_point
def mean_returns(returns: Array, sectors: Counts) -> tuple[Array, Array]:
    """Return the mean of each row (T,), and that of each symbol's sector (T, N).

    Parameters
    ----------
    returns : float64 (T, N)
        Not finite where a symbol has no bar.
    sectors : int64 (N,)
        Number of each symbol's sector, -1 where it has none.
    """
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


@entry_point
def correlate(
    returns: Array, rows_seen: int, running: Running, correlation: Array, share: Array
) -> None:
    """Write the mean correlation and the first component's share of the next rows.

    Parameters
    ----------
    returns : float64 (T, N)
        Not finite where a symbol has no bar.
    rows_seen : int
        Rows before these.
    running : Running
        Of the rows before; advanced.
    correlation, share : float64 (T,)
        Written.
    """
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


@kernel
def _slide(arriving: Array, row: int, running: Running) -> None:
    window, has_bar, bars, sums, products = running
    slot = row % CORRELATION_BARS
    leaving = window[slot].copy()
    is_due = row % REFRESH_ROWS == 0
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


@kernel
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


@kernel
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


@kernel
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
