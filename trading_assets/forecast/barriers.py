"""Triple barrier: what a label's price did on its way, so that its first touch tells its class.

A position is entered at the open of bar t+1. Two barriers lie k * volatility * sqrt(h) above and
below the entry, a third one h bars later. Volatility is the panel's: the root of the mean squared
log return of the last 63 bars with RiskMetrics weights (decay 0.94 a bar), known at the close of t.
k is fitted on train rows, see `class_rules`; so what is laid on the panel here are paths, in units
of volatility * sqrt(h), which no choice of k changes.

A label ends at the third barrier whichever is touched: `label_end` stays the session of bar t+h,
and a row whose bar t+h is not known yet has no label. The mean is learned from the return over all
h bars, so purging by less than that life would leak; and to keep early touches of rows that are
not yet over would prefer those that moved.

Source: Lopez de Prado, Advances in Financial Machine Learning (2018), chapter 3.
"""

from dataclasses import replace

import numpy as np
import polars as pl
from numpy.lib.stride_tricks import sliding_window_view

from trading_assets.forecast.dataset import LabelGrid, Panel, Paths, place_labels, scale_returns
from trading_assets.forecast.fractional import adjust_symbols
from trading_assets.forecast.labels import compute_labels
from trading_assets.forecast_specs import ForecastSpec


def label_panel(
    panel: Panel, bars: pl.DataFrame, actions: pl.DataFrame, spec: ForecastSpec
) -> LabelGrid:
    """Return the labels of every row of a panel whose exit is in `bars`.

    Parameters
    ----------
    panel : Panel
        Rows and their volatility.
    bars, actions : DataFrame
        Tables validated_bars and corporate_actions.
    spec : ForecastSpec
        Horizon and kind of labels; paths come with the labels of a triple barrier only.

    Raises
    ------
    DataError
        If a symbol has a session twice.
    """
    horizon_bars = spec.horizon_bars
    labels = place_labels(panel, compute_labels(bars, actions, horizon_bars), horizon_bars)
    if spec.labels == "fixed_horizon":
        return labels
    return replace(labels, paths=lay_paths(panel, bars, actions, horizon_bars))


def lay_paths(panel: Panel, bars: pl.DataFrame, actions: pl.DataFrame, horizon_bars: int) -> Paths:
    """Return how far the highs and lows of bars t+1 .. t+h have gone from the open of t+1.

    Prices are total-return prices, as those of `compute_labels`. Bars are the symbol's own, and
    rows with fewer than h bars behind them have no path.

    Raises
    ------
    DataError
        If a symbol has a session twice.
    """
    shape = (*panel.volatility.shape, horizon_bars)
    paths = Paths(np.full(shape, np.nan), np.full(shape, np.nan))
    scale = scale_returns(panel, horizon_bars)[:, :, None]
    prices = adjust_symbols(bars, actions)
    for number, symbol in enumerate(panel.symbols):
        if symbol not in prices or len(prices[symbol].sessions) <= horizon_bars:
            continue
        own = prices[symbol]
        count = len(own.sessions) - horizon_bars
        _, place, row = np.intersect1d(
            panel.sessions, own.sessions[:count], assume_unique=True, return_indices=True
        )
        entry = own.open[1 : count + 1, None]
        highs = np.maximum.accumulate(sliding_window_view(own.high[1:], horizon_bars), axis=1)
        lows = np.minimum.accumulate(sliding_window_view(own.low[1:], horizon_bars), axis=1)
        paths.high[number, place] = (highs / entry - 1.0)[row] / scale[number, place]
        paths.low[number, place] = (lows / entry - 1.0)[row] / scale[number, place]
    return paths
