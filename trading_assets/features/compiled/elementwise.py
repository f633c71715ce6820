"""Operations of one row: each output row is a function of the same row of its inputs.

Columns are given from the first row to compute on: an index that cannot be negative is what lets
the compiler take several rows at once.
"""

import math

import numpy as np
from numpy.typing import NDArray

from trading_assets.compiling import kernel

Array = NDArray[np.float64]


@kernel
def affine(x: Array, out: Array, factor: float, offset: float) -> None:
    for t in range(len(out)):
        out[t] = factor * x[t] + offset


@kernel
def add(x: Array, y: Array, out: Array) -> None:
    for t in range(len(out)):
        out[t] = x[t] + y[t]


@kernel
def subtract(x: Array, y: Array, out: Array) -> None:
    for t in range(len(out)):
        out[t] = x[t] - y[t]


@kernel
def multiply(x: Array, y: Array, out: Array) -> None:
    for t in range(len(out)):
        out[t] = x[t] * y[t]


@kernel
def divide(x: Array, y: Array, out: Array, otherwise: float, factor: float) -> None:
    for t in range(len(out)):
        out[t] = factor * x[t] / y[t] if y[t] != 0.0 else otherwise


@kernel
def maximum(x: Array, y: Array, out: Array) -> None:
    for t in range(len(out)):
        out[t] = max(x[t], y[t])


@kernel
def minimum(x: Array, y: Array, out: Array) -> None:
    for t in range(len(out)):
        out[t] = min(x[t], y[t])


@kernel
def log(x: Array, out: Array, least: float) -> None:
    for t in range(len(out)):
        out[t] = math.log(max(x[t], least))


@kernel
def exponential(x: Array, out: Array) -> None:
    for t in range(len(out)):
        out[t] = math.exp(x[t])


@kernel
def square_root(x: Array, out: Array) -> None:
    for t in range(len(out)):
        out[t] = math.sqrt(max(x[t], 0.0))


@kernel
def absolute(x: Array, out: Array) -> None:
    for t in range(len(out)):
        out[t] = abs(x[t])


@kernel
def sign(x: Array, out: Array) -> None:
    for t in range(len(out)):
        out[t] = 1.0 * (x[t] > 0.0) - 1.0 * (x[t] < 0.0)


@kernel
def normal_probability(x: Array, out: Array) -> None:
    for t in range(len(out)):
        out[t] = 0.5 * math.erfc(-x[t] / math.sqrt(2.0))


@kernel
def positive(x: Array, out: Array) -> None:
    for t in range(len(out)):
        out[t] = max(x[t], 0.0)


@kernel
def negative(x: Array, out: Array) -> None:
    for t in range(len(out)):
        out[t] = max(-x[t], 0.0)
