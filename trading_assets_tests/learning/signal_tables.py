"""Worlds W5 and W4 as tables of a data set: features, bars, and what could be known at best.

Returns follow an AR(1) signal with a known correlation, hidden in one of many features; the best
forecast of the return over the horizon is Gaussian, so the best classes are known too.
"""

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.signal import lfilter
from scipy.stats import norm

from trading_assets.features.windows import VOLATILITY_COLUMN

Array = NDArray[np.float64]

FIRST_DAY = date(1990, 1, 1)
VOLATILITY = 0.01


@dataclass(frozen=True)
class SignalWorld:
    """Returns `r' = sigma (ic f + u)` of a signal `f' = phi f + sqrt(1 - phi^2) e`.

    Attributes
    ----------
    information_coefficient : float
        ic, correlation of the signal with the next bar's return.
    persistence : float
        phi.
    horizon_bars : int
        Bars of a label.
    """

    information_coefficient: float
    persistence: float = 0.9
    horizon_bars: int = 5

    @property
    def gain(self) -> float:
        """Scaled return over the horizon that a signal of 1 leads to on average."""
        phi, h = self.persistence, self.horizon_bars
        return self.information_coefficient * (1 - phi**h) / (1 - phi) / np.sqrt(h)

    @property
    def deviation(self) -> float:
        """Standard deviation of the scaled return when the signal is known."""
        phi, h = self.persistence, self.horizon_bars
        # A shock of the signal k bars before the last return moves all returns after it.
        shares = [(1 - phi**k) / (1 - phi) for k in range(1, h)]
        hidden = self.information_coefficient**2 * (1 - phi**2) * sum(s * s for s in shares)
        return float(np.sqrt(1.0 + hidden / h))

    def best_probabilities(self, signal: Array, cuts: tuple[float, float]) -> Array:
        """Return the probabilities (n, 3) of classes cut at scaled returns, given the signal."""
        centre = self.gain * signal
        below = norm.cdf((cuts[0] - centre) / self.deviation)
        within = norm.cdf((cuts[1] - centre) / self.deviation)
        return np.stack([below, within - below, 1.0 - within], axis=1)


@dataclass(frozen=True)
class SignalTables:
    """Tables of a world, and the signal behind them.

    Attributes
    ----------
    features, bars : DataFrame
        Tables `features` and `validated_bars`.
    sessions : list of date
        In order.
    signal : float64 (T, N)
        What the best forecast knows at each close.
    names : tuple of str
        Features in order.
    """

    features: pl.DataFrame
    bars: pl.DataFrame
    sessions: list[date]
    signal: Array
    names: tuple[str, ...]

    def scaled_returns(self, horizon_bars: int) -> Array:
        """Return what labels are made of, float64 (N, T - horizon)."""
        close = self.bars["close"].to_numpy().reshape(len(self.signal[0]), -1)
        earned = close[:, horizon_bars:] / close[:, :-horizon_bars] - 1.0
        return earned / (VOLATILITY * np.sqrt(horizon_bars))


def draw_tables(
    world: SignalWorld, n_symbols: int, n_sessions: int, n_features: int, seed: int
) -> SignalTables:
    """Return tables whose feature number `n_features // 2` is the signal, the others noise."""
    rng = np.random.default_rng(seed)
    shape = (n_sessions, n_symbols)
    phi = world.persistence
    shocks = np.sqrt(1 - phi**2) * rng.standard_normal(shape)
    shocks[0] /= np.sqrt(1 - phi**2)
    signal = lfilter([1.0], [1.0, -phi], shocks, axis=0)
    returns = np.zeros(shape)
    drawn = world.information_coefficient * signal[:-1] + rng.standard_normal(
        (n_sessions - 1, n_symbols)
    )
    returns[1:] = VOLATILITY * drawn
    names = tuple(f"feature_{place:02d}" for place in range(n_features))
    planted = n_features // 2
    values = {
        name: signal.T.ravel() if place == planted else rng.standard_normal(signal.size)
        for place, name in enumerate(names)
    }
    features, bars, sessions = lay_tables(returns, values)
    return SignalTables(features, bars, sessions, signal, names)


def lay_tables(
    returns: Array, values: dict[str, Array]
) -> tuple[pl.DataFrame, pl.DataFrame, list[date]]:
    """Return features and bars of close-to-close returns (T, N), and their sessions.

    A bar opens at the close before it. Features are given symbol after symbol, (N x T,).
    """
    n_sessions, n_symbols = returns.shape
    # Every day is a session: so many years of weekdays would not fit into a calendar.
    sessions = [FIRST_DAY + timedelta(days=day) for day in range(n_sessions)]
    close = 100.0 * np.exp(np.cumsum(np.log1p(returns), axis=0))
    opened = np.vstack([close[:1] / (1.0 + returns[:1]), close[:-1]])
    keys = pl.DataFrame(
        {
            "symbol": np.repeat([f"S{n:03d}" for n in range(n_symbols)], n_sessions),
            "session": sessions * n_symbols,
        }
    ).with_columns(
        (pl.col("session").cast(pl.Datetime("us", "UTC")) + pl.duration(hours=21)).alias(
            "knowledge_time"
        )
    )
    bars = keys.with_columns(
        pl.Series("open", opened.T.ravel()),
        pl.Series("high", np.maximum(opened, close).T.ravel()),
        pl.Series("low", np.minimum(opened, close).T.ravel()),
        pl.Series("close", close.T.ravel()),
        pl.Series("volume", np.ones(returns.size)),
    )
    features = keys.with_columns(
        pl.lit(VOLATILITY, pl.Float32).alias(VOLATILITY_COLUMN),
        *(pl.Series(name, column, pl.Float32) for name, column in values.items()),
    )
    return features, bars, sessions
