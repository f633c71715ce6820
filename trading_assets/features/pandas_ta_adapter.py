"""Indicators of pandas-ta-classic on plain arrays; the only module that imports it, or pandas.

Indicators that use later bars are refused by name. TA-Lib is never used, even where it is
installed, so that results do not depend on it.
"""

import warnings
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trading_assets.errors import UserError
from trading_assets.features.adjustment import SymbolBars

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


@cache
def _libraries() -> tuple[Callable[..., Any], Any]:
    with warnings.catch_warnings():
        # Its import reads a pandas attribute that is going away; nothing computed depends on it.
        warnings.simplefilter("ignore")
        import pandas as pd
        import pandas_ta_classic
    return pd.Series, pandas_ta_classic
