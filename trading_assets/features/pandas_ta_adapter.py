"""Indicators of pandas-ta-classic on plain arrays; the only module that imports it, or pandas.

Indicators that use later bars are refused by name. TA-Lib is never used, even where it is
installed, so that results do not depend on it.
"""

import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trading_assets.errors import DataError, UserError
from trading_assets.features.adjustment import SymbolBars
from trading_assets.features.pandas_ta_table import IndicatorOutput, output_of

Array = NDArray[np.float64]

# With default arguments each of these returns values that depend on bars after the row.
LOOK_AHEAD = frozenset({"ichimoku", "dpo", "tos_stdevall"})

_INPUTS = {
    "rsi": ("close",),
    "adx": ("high", "low", "close"),
    "cci": ("high", "low", "close"),
    "atr": ("high", "low", "close"),
    "mfi": ("high", "low", "close", "volume"),
}

# What the library raises on bars that an indicator cannot digest.
_FAILURES = (ValueError, TypeError, AttributeError, LookupError, ArithmeticError)


def compute_indicators(features: Sequence[str], bars: SymbolBars) -> dict[str, Array]:
    """Return features `ta_...` by name, each (T,), float64, known at the bar's close.

    A value is nan until its lookback is full, and where the library has none or an infinite one.
    An indicator is computed once, however many of its outputs are asked for.

    Parameters
    ----------
    features : sequence of str
        Names of `pandas_ta_table.OUTPUTS`.
    bars : SymbolBars
        Total-return prices in time order.

    Raises
    ------
    UserError
        If a name is unknown, or of an indicator that is refused.
    DataError
        If the library fails on these bars or returns something else than one value a bar.
    """
    outputs = [output_of(name) for name in features]
    results: dict[str, dict[str, Array]] = {}
    values: dict[str, Array] = {}
    for output in outputs:
        column = np.full(len(bars.close), np.nan)
        values[output.name] = column
        if len(column) < output.lookback_bars:
            continue
        if output.indicator not in results:
            results[output.indicator] = _call_library(output, bars)
        raw = _pick_output(output, results[output.indicator])
        if raw is None:
            continue
        if output.is_differenced:
            raw = np.diff(raw, prepend=np.nan)
        warm = slice(output.lookback_bars - 1, None)
        column[warm] = np.where(np.isfinite(raw[warm]), raw[warm], np.nan)
    return values


def compute_indicator(name: str, bars: SymbolBars, length: int) -> Array:
    """Return an indicator's first output (T,), float64, nan in its warm-up.

    Parameters
    ----------
    name : str
        Function of pandas-ta-classic: rsi, adx, cci, atr or mfi.
    bars : SymbolBars
        Total-return prices in time order.
    length : int
        Bars of the indicator's window or smoothing.

    Raises
    ------
    UserError
        If the indicator looks ahead or has not been adapted.
    """
    if name in LOOK_AHEAD:
        msg = f"indicator {name} uses later bars; expected one of past bars: choose another"
        raise UserError(msg)
    if name not in _INPUTS:
        msg = f"indicator was {name!r}; expected one of {', '.join(_INPUTS)}"
        raise UserError(msg)
    if len(bars.close) <= length:
        return np.full(len(bars.close), np.nan)
    series, functions = _libraries()
    inputs = [series(getattr(bars, column), copy=True) for column in _INPUTS[name]]
    result = getattr(functions, name)(*inputs, length=length, talib=False)
    if result is None:
        return np.full(len(bars.close), np.nan)
    values = result.to_numpy(dtype=np.float64)
    return values if values.ndim == 1 else values[:, 0]


def _call_library(output: IndicatorOutput, bars: SymbolBars) -> dict[str, Array]:
    # The columns of an indicator's result without the arguments in their names; none if it had too
    # few bars.
    series, _ = _libraries()
    inputs = {
        "open_" if name == "open" else name: series(getattr(bars, name), copy=True)
        for name in output.inputs
    }
    function = _function(output.indicator)
    try:
        # Still bars divide by zero; the value is then nan.
        with np.errstate(all="ignore"):
            result = function(**inputs, **output.arguments, talib=False)
    except _FAILURES as error:
        msg = (
            f"indicator {output.indicator} failed on {len(bars.close)} bars ({error}); expected"
            f" one value a bar: check the bars' prices and volumes, or drop the feature"
        )
        raise DataError(msg) from error
    if result is None:
        return {}
    frame = result if result.ndim > 1 else result.to_frame("")
    columns = {str(name): frame[name].to_numpy(dtype=np.float64) for name in frame.columns}
    if len(frame) != len(bars.close):
        msg = (
            f"indicator {output.indicator} returned {len(frame)} values for {len(bars.close)}"
            f" bars; expected one a bar: use the release of pandas-ta-classic that is pinned"
        )
        raise DataError(msg)
    return {**{_without_arguments(name): column for name, column in columns.items()}, **columns}


def _function(indicator: str) -> Callable[..., Any]:
    _, functions = _libraries()
    found = getattr(functions, indicator)
    # The package shows most candle patterns as modules that hold the function.
    return found if callable(found) else getattr(found, indicator)


def _without_arguments(column: str) -> str:
    return re.sub(r"(_\d[\d.]*)+$", "", column)


def _pick_output(output: IndicatorOutput, columns: Mapping[str, Array]) -> Array | None:
    if not columns:
        return None
    names = output.columns or tuple(columns)[:1]
    missing = [name for name in names if name not in columns]
    if missing:
        msg = (
            f"indicator {output.indicator} returned columns {', '.join(columns)}; expected"
            f" {missing[0]}: use the release of pandas-ta-classic that is pinned"
        )
        raise DataError(msg)
    picked = columns[names[0]]
    for name in names[1:]:
        picked = np.where(np.isnan(picked), columns[name], picked)
    return picked


@cache
def _libraries() -> tuple[Callable[..., Any], Any]:
    with warnings.catch_warnings():
        # Its import reads a pandas attribute that is going away; nothing computed depends on it.
        warnings.simplefilter("ignore")
        import pandas as pd
        import pandas_ta_classic
    # `talib=False` says nothing of tulipy, which one indicator prefers where it is installed.
    pandas_ta_classic.Imports.update(talib=False, tulipy=False)
    return pd.Series, pandas_ta_classic
