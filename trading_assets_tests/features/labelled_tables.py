"""Tables of features and labels of which is known what each feature is worth."""

from collections.abc import Mapping, Sequence
from datetime import date

import numpy as np
import polars as pl
from scipy.signal import lfilter

from trading_assets_tests.features.synthetic_bars import weekdays

HORIZON = 5
START = date(2004, 1, 1)


def make_tables(
    values: Mapping[str, np.ndarray], returns: np.ndarray
) -> tuple[pl.DataFrame, pl.DataFrame, list[date]]:
    """Return features, labels and sessions of arrays (N, T); nan becomes null."""
    symbols, count = returns.shape
    days = weekdays(START, count + HORIZON)
    keys = {
        "symbol": np.repeat([f"S{row:02d}" for row in range(symbols)], count),
        "session": days[:count] * symbols,
    }
    columns = {name: pl.Series(v.ravel()).fill_nan(None) for name, v in values.items()}
    labels = pl.DataFrame(
        {**keys, "label_end": days[HORIZON:] * symbols, "forward_return": returns.ravel()}
    )
    return pl.DataFrame({**keys, **columns}), labels, days[:count]


def overlapping_returns(rng: np.random.Generator, symbols: int, count: int) -> np.ndarray:
    """Return sums of HORIZON returns to come (N, T), of symbols that share a market."""
    bars = 0.01 * rng.normal(size=(symbols, count + HORIZON))
    bars += 0.008 * rng.normal(size=(1, count + HORIZON))
    return np.lib.stride_tricks.sliding_window_view(bars, HORIZON, axis=1).sum(-1)[:, 1:]


def lasting_noise(rng: np.random.Generator, shape: Sequence[int], memory: float) -> np.ndarray:
    drawn = rng.normal(size=(*shape[:-1], shape[-1] + 200))
    return lfilter([1.0], [1.0, -memory], drawn, axis=-1)[..., 200:]
