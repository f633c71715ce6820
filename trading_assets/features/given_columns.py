"""Unscaled values of the features that no program computes: pandas-ta's, and a user's own."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from trading_assets.features.adjustment import SymbolBars
from trading_assets.features.own import own_features
from trading_assets.features.pandas_ta_adapter import compute_indicators
from trading_assets.features.pandas_ta_table import OUTPUTS

Array = NDArray[np.float64]


def compute_given(names: Sequence[str], module: str | None, bars: SymbolBars) -> Array:
    """Return the columns (F, T) of features without an expression, float64.

    Parameters
    ----------
    names : sequence of str
        Indicators `ta_...`, or features of the module.
    module : str, optional
        The user's own.
    bars : SymbolBars
        One symbol's bars.

    Raises
    ------
    DataError
        If an indicator fails, or a function returns anything else than one value a bar.
    """
    indicators = compute_indicators([name for name in names if name in OUTPUTS], bars)
    # Bars at rest divide by zero; the value is then unknown.
    with np.errstate(all="ignore"):
        columns = [
            indicators[name] if name in indicators else own_features(module or "")[name](bars)
            for name in names
        ]
    return np.array(columns).reshape(len(names), len(bars.close))
