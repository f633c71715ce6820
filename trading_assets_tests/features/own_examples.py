"""Features of a user's own, as a strategy's declaration names them."""

import numpy as np

from trading_assets.features.adjustment import SymbolBars
from trading_assets.features.own import feature


@feature(lookback_bars=1, unit="fraction", formula="(close - low) / (high - low)")
def close_in_range(bars: SymbolBars) -> np.ndarray:
    return (bars.close - bars.low) / np.maximum(bars.high - bars.low, 1e-12)


@feature(lookback_bars=5, unit="bars", formula="up bars of the last 5", is_scaled=False)
def up_bars_5(bars: SymbolBars) -> np.ndarray:
    is_up = (bars.close > bars.open).astype(float)
    counts = np.full(len(is_up), np.nan)
    if len(is_up) >= 5:
        counts[4:] = np.lib.stride_tricks.sliding_window_view(is_up, 5).sum(axis=1)
    return counts


@feature(lookback_bars=1, unit="USD", formula="tomorrow's close")
def tomorrow(bars: SymbolBars) -> np.ndarray:
    return np.append(bars.close[1:], np.nan)


@feature(lookback_bars=1, unit="USD", formula="closes, one too few")
def one_too_few(bars: SymbolBars) -> np.ndarray:
    return bars.close[1:]


@feature(lookback_bars=1, unit="USD", formula="a hole in every tenth row")
def holed(bars: SymbolBars) -> np.ndarray:
    return np.where(np.arange(len(bars.close)) % 10 == 0, np.nan, bars.close)
