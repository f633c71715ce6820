"""Arithmetic that the kernels share: a hyperbolic tangent and a product of small matrices."""

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from trading_assets.compiling import reordering, reordering_inlined

Block = NDArray[np.float32]

_FRACTION_TERMS = 11


def tangent_polynomials(terms: int) -> tuple[Sequence[float], Sequence[float]]:
    """Return numerator and denominator in x^2 of `tanh(x) / x`, lowest power first.

    Source: Lambert's continued fraction, `x / (1 + x^2 / (3 + x^2 / (5 + ...)))`, cut off after so
    many terms.
    """
    above, below = [Fraction(2 * terms - 1)], [Fraction(1)]
    for term in range(terms - 1, 0, -1):
        shifted = [Fraction(0), *below]
        width = max(len(above), len(shifted))
        padded = [*above, *[Fraction(0)] * (width - len(above))]
        shifted += [Fraction(0)] * (width - len(shifted))
        above, below = [(2 * term - 1) * a + b for a, b in zip(padded, shifted, strict=True)], above
    scale = above[0]
    return [float(b / scale) for b in below], [float(a / scale) for a in above]


_NUMERATOR, _DENOMINATOR = tangent_polynomials(_FRACTION_TERMS)
_N0, _N1, _N2, _N3, _N4, _N5 = (np.float32(value) for value in _NUMERATOR)
_D0, _D1, _D2, _D3, _D4, _D5 = (np.float32(value) for value in _DENOMINATOR)
# Beyond it the tangent is 1 to within 5e-7, and the fraction would leave it.
_LARGEST = np.float32(7.6)
_HALF = np.float32(0.5)


@reordering_inlined
def tangent(x: np.float32) -> np.float32:
    """Return tanh(x), float32, to 7e-7: a quotient that a loop computes for many x at once."""
    x = min(max(x, -_LARGEST), _LARGEST)
    y = x * x
    above = _N0 + y * (_N1 + y * (_N2 + y * (_N3 + y * (_N4 + y * _N5))))
    return x * above / (_D0 + y * (_D1 + y * (_D2 + y * (_D3 + y * (_D4 + y * _D5)))))


@reordering_inlined
def logistic(x: np.float32) -> np.float32:
    """Return 1 / (1 + exp(-x))."""
    return _HALF + _HALF * tangent(_HALF * x)


@reordering
def add_product(out: Block, left: Block, right: Block) -> None:
    """Add `left @ right` to `out`: (L, G) += (L, K) @ (K, G), L and K multiples of 4."""
    for row in range(0, left.shape[0], 4):
        for k in range(0, left.shape[1], 4):
            a0, a1, a2, a3 = left[row, k], left[row, k + 1], left[row, k + 2], left[row, k + 3]
            b0, b1 = left[row + 1, k], left[row + 1, k + 1]
            b2, b3 = left[row + 1, k + 2], left[row + 1, k + 3]
            c0, c1 = left[row + 2, k], left[row + 2, k + 1]
            c2, c3 = left[row + 2, k + 2], left[row + 2, k + 3]
            d0, d1 = left[row + 3, k], left[row + 3, k + 1]
            d2, d3 = left[row + 3, k + 2], left[row + 3, k + 3]
            for g in range(out.shape[1]):
                w0, w1, w2, w3 = right[k, g], right[k + 1, g], right[k + 2, g], right[k + 3, g]
                out[row, g] += a0 * w0 + a1 * w1 + a2 * w2 + a3 * w3
                out[row + 1, g] += b0 * w0 + b1 * w1 + b2 * w2 + b3 * w3
                out[row + 2, g] += c0 * w0 + c1 * w1 + c2 * w2 + c3 * w3
                out[row + 3, g] += d0 * w0 + d1 * w1 + d2 * w2 + d3 * w3


@reordering
def add_turned_product(out: Block, left: Block, right: Block) -> None:
    """Add `left @ right.T` to `out`: (L, K) += (L, G) @ (K, G).T, L and K multiples of 4.

    Sixteen sums at a time, each along G, which is quicker than `add_product` where K is short.
    """
    zero = np.float32(0.0)
    for row in range(0, left.shape[0], 4):
        for k in range(0, right.shape[0], 4):
            s00, s01, s02, s03 = zero, zero, zero, zero
            s10, s11, s12, s13 = zero, zero, zero, zero
            s20, s21, s22, s23 = zero, zero, zero, zero
            s30, s31, s32, s33 = zero, zero, zero, zero
            for g in range(left.shape[1]):
                a, b, c, d = left[row, g], left[row + 1, g], left[row + 2, g], left[row + 3, g]
                w, x, y, z = right[k, g], right[k + 1, g], right[k + 2, g], right[k + 3, g]
                s00, s01, s02, s03 = s00 + a * w, s01 + a * x, s02 + a * y, s03 + a * z
                s10, s11, s12, s13 = s10 + b * w, s11 + b * x, s12 + b * y, s13 + b * z
                s20, s21, s22, s23 = s20 + c * w, s21 + c * x, s22 + c * y, s23 + c * z
                s30, s31, s32, s33 = s30 + d * w, s31 + d * x, s32 + d * y, s33 + d * z
            for place, sums in enumerate(
                (
                    (s00, s01, s02, s03),
                    (s10, s11, s12, s13),
                    (s20, s21, s22, s23),
                    (s30, s31, s32, s33),
                )
            ):
                out[row + place, k] += sums[0]
                out[row + place, k + 1] += sums[1]
                out[row + place, k + 2] += sums[2]
                out[row + place, k + 3] += sums[3]


@reordering
def add_outer(out: Block, left: Block, right: Block) -> None:
    """Add `left.T @ right` to `out`: (K, G) += (L, K).T @ (L, G), K and L multiples of 4."""
    for k in range(0, left.shape[1], 4):
        for row in range(0, left.shape[0], 4):
            a0, a1 = left[row, k], left[row + 1, k]
            a2, a3 = left[row + 2, k], left[row + 3, k]
            b0, b1 = left[row, k + 1], left[row + 1, k + 1]
            b2, b3 = left[row + 2, k + 1], left[row + 3, k + 1]
            c0, c1 = left[row, k + 2], left[row + 1, k + 2]
            c2, c3 = left[row + 2, k + 2], left[row + 3, k + 2]
            d0, d1 = left[row, k + 3], left[row + 1, k + 3]
            d2, d3 = left[row + 2, k + 3], left[row + 3, k + 3]
            for g in range(out.shape[1]):
                w0, w1 = right[row, g], right[row + 1, g]
                w2, w3 = right[row + 2, g], right[row + 3, g]
                out[k, g] += a0 * w0 + a1 * w1 + a2 * w2 + a3 * w3
                out[k + 1, g] += b0 * w0 + b1 * w1 + b2 * w2 + b3 * w3
                out[k + 2, g] += c0 * w0 + c1 * w1 + c2 * w2 + c3 * w3
                out[k + 3, g] += d0 * w0 + d1 * w1 + d2 * w2 + d3 * w3
