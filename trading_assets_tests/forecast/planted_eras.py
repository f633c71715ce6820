"""A market whose mean return changes from era to era: who saw a later part of an era knows it."""

from datetime import date

import numpy as np
import polars as pl

from trading_assets.features.windows import VOLATILITY_COLUMN
from trading_assets_tests.features.synthetic_bars import make_bars, weekdays
from trading_assets_tests.forecast.planted_market import NAMES, PlantedMarket

# Mean returns of the eras in deviations of a bar's return. A feature tells which era it is.
_MEANS = (0.5, -0.5, 0.0, 0.0)
# Eras over the sessions: the first two thirds are one each, and both come back at the end.
_LENGTHS = ((0, 1 / 3), (1, 1 / 3), (3, 1 / 15), (0, 2 / 15), (1, 2 / 15))


def make_eras(count: int = 600, seed: int = 0) -> PlantedMarket:
    """Return three symbols of a market of eras; all but one session are train and validation."""
    rng = np.random.default_rng(seed)
    era = np.concatenate([np.full(round(share * count), kind) for kind, share in _LENGTHS])
    returns = rng.normal(size=(count, 3))
    returns[1:] += np.array(_MEANS)[era[:-1], None]
    symbols = ("AAA", "BBB", "CCC")
    bars = make_bars(symbols, count, returns=0.01 * returns, seed=seed)
    features = bars.select("symbol", "session", "event_time", "knowledge_time").with_columns(
        pl.lit(0.01, pl.Float32).alias(VOLATILITY_COLUMN),
        *(
            pl.Series(name, np.tile(era == number, len(symbols)), pl.Boolean).cast(pl.Float32)
            for number, name in enumerate(NAMES)
        ),
    )
    days = weekdays(date(2004, 1, 1), count)
    cut = int(0.8 * count)
    return PlantedMarket(bars, features, days[:cut], days[cut:-1], days[-1:])
