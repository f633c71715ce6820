"""Fractional differences of log prices: stationary enough to learn from, with memory left.

Source: Lopez de Prado, Advances in Financial Machine Learning (2018), chapter 5.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import polars as pl
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from trading_assets.features.adjustment import SymbolBars, adjust_forward, list_actions
from trading_assets.forecast.dataset import Panel, Rows

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Prices = Mapping[str, SymbolBars]

FRACTIONAL_COLUMN = "fractional_difference"
ORDERS = tuple(step / 20 for step in range(21))
LEAST_WEIGHT = 1e-4
MOST_BARS = 504
# With fewer differences the test has hardly any power, and the order is passed over.
LEAST_OBSERVATIONS = 50


def adjust_symbols(bars: pl.DataFrame, actions: pl.DataFrame) -> dict[str, SymbolBars]:
    """Return the total-return bars of each symbol of table validated_bars.

    Raises
    ------
    DataError
        If a symbol has a session twice.
    """
    by_symbol = list_actions(actions)
    parts = bars.sort("symbol", "session").partition_by("symbol", as_dict=True)
    return {
        str(symbol): adjust_forward(rows, by_symbol.get(str(symbol), ()))
        for (symbol,), rows in parts.items()
    }


def difference_weights(order: float) -> Array:
    """Return the weights (k,) of the difference of order d, newest bar first.

    w_0 = 1 and w_k = -w_(k-1) (d - k + 1) / k, cut at the first below 1e-4 and at 504 bars.
    """
    weights = [1.0]
    for lag in range(1, MOST_BARS):
        weight = -weights[-1] * (order - lag + 1) / lag
        if abs(weight) < LEAST_WEIGHT:
            break
        weights.append(weight)
    return np.array(weights)


def return_weights(order: float) -> Array:
    """Return the weights (k,) of log returns, newest first, that sum to the difference of prices.

    They are the partial sums of `difference_weights`.
    """
    weights = difference_weights(order)
    return np.cumsum(weights[:-1]) if order > 0 else np.ones(MOST_BARS - 1)


def difference_prices(bars: SymbolBars, order: float) -> Array:
    """Return sum_k w_k ln(P_(t-k) / P_ref), (T,), nan until all its bars exist; known at close t.

    P_ref is the oldest price of the sum (of 504 bars, where order 0 has but one weight). Without it
    the value would depend on the bar that total-return prices start from. The sum is one of log
    returns, by partial sums of the weights, and is added up in the same order for every row, so its
    bytes depend on no bar outside.
    """
    partial = return_weights(order)
    count, reach = len(bars.log_return), len(partial)
    total = np.full(count, np.nan)
    if count <= reach:
        return total
    total[reach:] = 0.0
    for lag, weight in enumerate(partial):
        total[reach:] += weight * bars.log_return[reach - lag : count - lag]
    return total


def fit_order(log_prices: Mapping[str, Array], is_train: Mapping[str, Mask]) -> float:
    """Return the smallest order d of 0, 0.05, ..., 1 whose differences look stationary.

    They do where the median symbol's augmented Dickey-Fuller test, on the longest unbroken run of
    its train rows, refuses a unit root at 5 %; 1 where no order does.

    Parameters
    ----------
    log_prices : mapping of str to float64 (T,)
        Log of the total-return closes of each symbol; only those up to the run's end are read.
    is_train : mapping of str to bool (T,)
        Which of them are train rows.
    """
    runs = {symbol: _longest_run(chosen) for symbol, chosen in is_train.items()}
    for order in ORDERS:
        weights = difference_weights(order)
        excesses: list[float] = []
        for symbol, (first, last) in runs.items():
            first_price = max(0, first - len(weights) + 1)
            own = log_prices[symbol][first_price : last + 1]
            if len(own) - len(weights) + 1 < LEAST_OBSERVATIONS:
                continue
            # A constant weighted by the sum of the weights, which the test does not see.
            differences = sliding_window_view(own - own[0], len(weights)) @ weights[::-1]
            statistic, critical = measure_unit_root(differences)
            excesses.append(statistic - critical)
        if excesses and float(np.median(excesses)) < 0.0:
            return order
    return 1.0


def fit_panel_order(panel: Panel, rows: Rows, prices: Prices) -> float:
    """Return the order fitted on the train rows of a panel, see `fit_order`."""
    is_row = np.zeros(panel.volatility.shape, np.bool_)
    is_row[rows.symbol, rows.session] = True
    log_prices: dict[str, Array] = {}
    is_train: dict[str, Mask] = {}
    for number, symbol in enumerate(panel.symbols):
        if symbol in prices:
            log_prices[symbol] = np.log(prices[symbol].close)
            is_train[symbol] = np.isin(prices[symbol].sessions, panel.sessions[is_row[number]])
    return fit_order(log_prices, is_train)


def add_difference(panel: Panel, prices: Prices, order: float) -> Panel:
    """Return the panel with the fractional difference of each row as one more, last feature."""
    column = np.full((len(panel.symbols), 1, len(panel.sessions)), np.nan, np.float32)
    for number, symbol in enumerate(panel.symbols):
        if symbol in prices:
            own = prices[symbol]
            _, place, row = np.intersect1d(
                panel.sessions, own.sessions, assume_unique=True, return_indices=True
            )
            column[number, 0, place] = difference_prices(own, order)[row]
    return replace(panel, values=np.concatenate((panel.values, column), axis=1))


def measure_unit_root(series: Array) -> tuple[float, float]:
    """Return the augmented Dickey-Fuller statistic of a series (n,) and its 5 % critical value.

    One lagged difference and a constant; a statistic below the critical value refuses a unit root.

    Source: Dickey and Fuller, JASA 74 (1979); critical value of MacKinnon, Queen's Economics
    Department Working Paper 1227 (2010), table 2.
    """
    steps = np.diff(series)
    target = steps[1:]
    count = len(target)
    inputs = np.column_stack((series[1:-1], steps[:-1], np.ones(count)))
    critical = -2.86154 - 2.8903 / count - 4.234 / count**2 - 40.04 / count**3
    gram = inputs.T @ inputs
    if np.linalg.matrix_rank(inputs) < inputs.shape[1]:
        return 0.0, critical  # a price that does not move has no root to refuse
    slopes = np.linalg.solve(gram, inputs.T @ target)
    residual = target - inputs @ slopes
    variance = float(residual @ residual) / (count - inputs.shape[1])
    return float(slopes[0] / np.sqrt(variance * np.linalg.inv(gram)[0, 0])), critical


def _longest_run(is_chosen: Mask) -> tuple[int, int]:
    """Return first and last position of the longest run; (0, -1) where nothing is chosen."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], is_chosen, [False])).astype(np.int8)))
    starts, ends = edges[::2], edges[1::2]
    if not len(starts):
        return 0, -1
    longest = int((ends - starts).argmax())
    return int(starts[longest]), int(ends[longest]) - 1
