"""Means, spreads and slopes of the last `bars` rows, the row's own included.

Of each block of rows, see `rolling`, the mean and the sums of products of distances from it are
carried from row to row (Welford 1962), and those of two blocks are put together as by Chan, Golub
and LeVeque (1979): no digits are lost where a level is large, and a constant window has none.
"""

import math

import numpy as np
from numpy.typing import NDArray

from trading_assets.compiling import kernel
from trading_assets.features.compiled.rolling import block_of

Array = NDArray[np.float64]

# Variance, relative to the square of the value, that is rounding.
_FLAT = 1e-24


@kernel
def _shares_of_one(bars: int) -> Array:
    return 1.0 / np.arange(1, bars + 1)


@kernel
def moments(
    x: Array, mean: Array, deviation: Array, bars: int, first: int, start: int, stop: int
) -> None:
    """Mean and standard deviation (ddof 0) of the last values, 0 for equal ones."""
    share = _shares_of_one(bars)
    means, squares = np.empty(bars), np.empty(bars)
    t, block = start, block_of(start, bars, first)
    while t < stop:
        m = s = 0.0
        for u in range(block - 1, t - bars, -1):
            d = x[u] - m
            m += d * share[block - 1 - u]
            s += d * (x[u] - m)
            means[u - block + bars] = m
            squares[u - block + bars] = s
        m = s = 0.0
        for u in range(block, t):
            d = x[u] - m
            m += d * share[u - block]
            s += d * (x[u] - m)
        end = min(block + bars, stop)
        for row in range(t, end):
            n = row - block + 1
            d = x[row] - m
            m += d * share[n - 1]
            s += d * (x[row] - m)
            center, around = m, s
            if n < bars:
                d = m - means[n]
                part = share[bars - 1] * n
                center = means[n] + d * part
                around = s + squares[n] + d * d * part * (bars - n)
            variance = around * share[bars - 1]
            mean[row] = center
            is_flat = variance <= _FLAT * max(1.0, x[row] * x[row])
            deviation[row] = 0.0 if is_flat else math.sqrt(variance)
        t = block = block + bars


@kernel
def skewness(x: Array, out: Array, bars: int, first: int, start: int, stop: int) -> None:
    """Third standardised moment of the last values, 0 for equal ones."""
    share = _shares_of_one(bars)
    means, squares, cubes = np.empty(bars), np.empty(bars), np.empty(bars)
    t, block = start, block_of(start, bars, first)
    while t < stop:
        m = s = c = 0.0
        for u in range(block - 1, t - bars, -1):
            n = block - u
            d = x[u] - m
            step = d * share[n - 1]
            c += d * step * (n - 1) * step * (n - 2) - 3.0 * step * s
            s += d * step * (n - 1)
            m += step
            means[u - block + bars] = m
            squares[u - block + bars] = s
            cubes[u - block + bars] = c
        m = s = c = 0.0
        end = min(block + bars, stop)
        for row in range(block, end):
            n = row - block + 1
            d = x[row] - m
            step = d * share[n - 1]
            c += d * step * (n - 1) * step * (n - 2) - 3.0 * step * s
            s += d * step * (n - 1)
            m += step
            if row < t:
                continue
            around, third = s, c
            if n < bars:
                k = bars - n
                d = (m - means[n]) / bars
                around = s + squares[n] + d * d * n * k * bars
                third = c + cubes[n] + d * d * d * n * k * (k - n) * bars
                third += 3.0 * d * (k * s - n * squares[n])
            variance = around / bars
            is_flat = variance <= _FLAT * max(1.0, x[row] * x[row])
            out[row] = 0.0 if is_flat else third / bars / (variance * math.sqrt(variance))
        t = block = block + bars


@kernel
def comoments(
    x: Array,
    y: Array,
    covariance: Array,
    variance_x: Array,
    variance_y: Array,
    bars: int,
    first: int,
    start: int,
    stop: int,
) -> None:
    """Covariance of x and y, and variance of each (ddof 0); exact zeros where one is constant."""
    share = _shares_of_one(bars)
    older = np.empty((5, bars))
    t, block = start, block_of(start, bars, first)
    while t < stop:
        mx = my = xx = yy = xy = 0.0
        for u in range(block - 1, t - bars, -1):
            dx, dy = x[u] - mx, y[u] - my
            mx += dx * share[block - 1 - u]
            my += dy * share[block - 1 - u]
            xx += dx * (x[u] - mx)
            yy += dy * (y[u] - my)
            xy += dx * (y[u] - my)
            place = u - block + bars
            older[0, place], older[1, place] = mx, my
            older[2, place], older[3, place], older[4, place] = xx, yy, xy
        mx = my = xx = yy = xy = 0.0
        end = min(block + bars, stop)
        for row in range(block, end):
            n = row - block + 1
            dx, dy = x[row] - mx, y[row] - my
            mx += dx * share[n - 1]
            my += dy * share[n - 1]
            xx += dx * (x[row] - mx)
            yy += dy * (y[row] - my)
            xy += dx * (y[row] - my)
            if row < t:
                continue
            vx, vy, both = xx, yy, xy
            if n < bars:
                weight = n * (bars - n) / bars
                dx, dy = mx - older[0, n], my - older[1, n]
                vx += older[2, n] + dx * dx * weight
                vy += older[3, n] + dy * dy * weight
                both += older[4, n] + dx * dy * weight
            vx, vy = vx / bars, vy / bars
            if vx <= _FLAT * x[row] * x[row]:
                vx = 0.0
            if vy <= _FLAT * y[row] * y[row]:
                vy = 0.0
            variance_x[row] = vx
            variance_y[row] = vy
            covariance[row] = 0.0 if vx == 0.0 or vy == 0.0 else both / bars
        t = block = block + bars


@kernel
def line(
    x: Array, slope: Array, around: Array, bars: int, first: int, start: int, stop: int
) -> None:
    """Slope a row of the least-squares line, and the squared distances from the mean; 0 if flat."""
    share = _shares_of_one(bars)
    per_spread = 12.0 / (bars * (bars * bars - 1.0))
    means, squares, products = np.empty(bars), np.empty(bars), np.empty(bars)
    t, block = start, block_of(start, bars, first)
    while t < stop:
        # Row numbers ahead of n - 1 others have a mean n / 2 away from theirs.
        m = s = c = 0.0
        for u in range(block - 1, t - bars, -1):
            d = x[u] - m
            m += d * share[block - 1 - u]
            s += d * (x[u] - m)
            c -= 0.5 * (block - u) * (x[u] - m)
            means[u - block + bars] = m
            squares[u - block + bars] = s
            products[u - block + bars] = c
        m = s = c = 0.0
        end = min(block + bars, stop)
        for row in range(block, end):
            n = row - block + 1
            d = x[row] - m
            m += d * share[n - 1]
            s += d * (x[row] - m)
            c += 0.5 * n * (x[row] - m)
            if row < t:
                continue
            total, product = s, c
            if n < bars:
                d = m - means[n]
                total += squares[n] + d * d * n * (bars - n) * share[bars - 1]
                product += products[n] + 0.5 * d * n * (bars - n)
            is_flat = total <= _FLAT * max(1.0, x[row] * x[row])
            slope[row] = 0.0 if is_flat else product * per_spread
            around[row] = 0.0 if is_flat else total
        t = block = block + bars
