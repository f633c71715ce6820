"""A small market whose forecastable share is known: features, bars and sessions for tests."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl

from trading_assets.features.windows import VOLATILITY_COLUMN
from trading_assets.forecast.forecaster import Forecaster
from trading_assets.forecast.predictions import CANDIDATES, CandidateName
from trading_assets.forecast.tables import ForecastTables
from trading_assets.forecast.train import train_forecaster
from trading_assets.strategy import ForecastSpec
from trading_assets_tests.features.synthetic_bars import NO_ACTIONS, make_bars, weekdays

NAMES = ("planted", "noise_1", "noise_2", "noise_3")
SPEC = ForecastSpec(
    horizon_bars=3,
    window_bars=8,
    network="small",
    members=2,
    epochs=2,
    batch_size=128,
    cross_fit_parts=3,
)


@dataclass(frozen=True)
class PlantedMarket:
    """Tables of one market and its train, validation and test sessions."""

    bars: pl.DataFrame
    features: pl.DataFrame
    train: list[date]
    validation: list[date]
    test: list[date]

    def tables(self) -> ForecastTables:
        """Return all there is."""
        return ForecastTables(self.features, self.bars, NO_ACTIONS)

    def up_to_validation(self) -> ForecastTables:
        """Return what is known when the validation window ends."""
        is_known = pl.col("session") <= self.validation[-1]
        return ForecastTables(
            self.features.filter(is_known), self.bars.filter(is_known), NO_ACTIONS
        )


def make_market(
    strength: float, count: int = 500, seed: int = 4, lag_bars: int = 0
) -> PlantedMarket:
    """Return three symbols whose next return has correlation `strength` with feature `planted`.

    The return of bar t+1 goes with the feature of bar t, or of `lag_bars` bars before.
    """
    rng = np.random.default_rng(seed)
    symbols = ("AAA", "BBB", "CCC")
    signal = rng.normal(size=(count, 3))
    noise = rng.normal(size=(count, 3))
    returns = np.zeros((count, 3))
    returns[1:] = 0.01 * np.sqrt(1 - strength**2) * noise[1:]
    returns[1 + lag_bars :] += 0.01 * strength * signal[: count - 1 - lag_bars]
    bars = make_bars(symbols, count, returns=returns, seed=seed)
    features = bars.select("symbol", "session", "event_time", "knowledge_time").with_columns(
        pl.lit(0.01, pl.Float32).alias(VOLATILITY_COLUMN),
        pl.Series("planted", signal.T.ravel(), pl.Float32),
        *(pl.Series(n, rng.normal(size=3 * count), pl.Float32) for n in NAMES[1:]),
    )
    days = weekdays(date(2004, 1, 1), count)
    first, second = int(count * 0.6), int(count * 0.8)
    return PlantedMarket(bars, features, days[:first], days[first:second], days[second:])


def train(
    market: PlantedMarket,
    candidates: Collection[CandidateName] = CANDIDATES,
    threads: int = 1,
    **changes: object,
) -> Forecaster:
    """Return a forecaster of the market's train window under `SPEC` with some changes."""
    return train_forecaster(
        market.up_to_validation(),
        market.train,
        market.validation,
        SPEC.model_copy(update=changes),
        NAMES,
        candidates=candidates,
        threads=threads,
    )
