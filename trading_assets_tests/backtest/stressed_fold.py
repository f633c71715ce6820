"""A fold of three symbols with a split, a dividend and missing bars, forecast and decided on."""

from dataclasses import replace
from datetime import date
from functools import cache

import numpy as np
import polars as pl

from trading_assets.backtest.adjusted_bars import AdjustedBars, adjust_bars
from trading_assets.backtest.fold import FoldBacktest, backtest_fold
from trading_assets.backtest.folds import Fold
from trading_assets.backtest.redeciding import RedecidedFold
from trading_assets.backtest.stress import FoldStress, stress_fold
from trading_assets.features.compute import compute_features
from trading_assets.forecast.fold import predict_window, train_window
from trading_assets.forecast.tables import ForecastTables
from trading_assets.market_data import MarketDataSpec
from trading_assets.policy.ensemble import Ensemble
from trading_assets.policy.fold import TrainingTables
from trading_assets.strategy import Strategy
from trading_assets_tests.features.synthetic_bars import (
    make_actions,
    make_bars,
    make_signal,
    split_bars,
)
from trading_assets_tests.policy.tasks import make_policy

SYMBOLS = ("AAA", "BBB", "CCC")
FOLD = Fold(
    key="2006-01-01",
    train_start=date(2005, 1, 1),
    train_end=date(2005, 12, 31),
    validation_start=date(2005, 10, 1),
    test_start=date(2006, 1, 1),
    test_end=date(2006, 3, 31),
)
SPLIT_DAY, EX_DAY = date(2006, 2, 10), date(2006, 1, 20)
MISSING_DAYS = (date(2006, 2, 21), date(2006, 2, 22))
MARKET_DATA = MarketDataSpec.model_validate(
    {"source": {"kind": "sample"}, "universe": SYMBOLS, "start": "2004-01-01"}
)
ACTIONS = make_actions(
    [
        ("AAA", SPLIT_DAY, "split", 2.0, 0.0),
        ("AAA", date(2005, 6, 10), "split", 0.5, 0.0),
        ("BBB", EX_DAY, "dividend", 1.0, 0.4),
        ("BBB", date(2005, 4, 20), "dividend", 1.0, 0.6),
    ]
)


def make_strategy(**backtest) -> Strategy:
    return Strategy.model_validate(
        {
            "market_data": "three_stocks",
            "costs": {"impact_coefficient": 0.5},
            "features": {
                "names": ["log_return_1", "log_return_5", "bars_since_action", "series_signal"],
                "scale_bars": 20,
            },
            "forecast": {
                "horizon_bars": 2,
                "window_bars": 10,
                "network": "small",
                "members": 1,
                "epochs": 1,
                "cross_fit_parts": 2,
            },
            "policy": {
                "agents": {"ppo": {"seeds": 2}},
                "observed_features": ["log_return_1", "log_return_5", "series_signal"],
            },
            "folds": {"first": "2006-01-01", "period": "quarter", "train_months": 12},
            "risk": {"max_weight": 0.5, "max_gross": 0.98},
            "backtest": {"stress_paths": 3, **backtest},
        }
    )


@cache
def stored_bars() -> pl.DataFrame:
    """Bars as they traded, with splits in prices and without some bars of CCC."""
    bars = make_bars(SYMBOLS, 586, seed=4)
    for day, ratio in ((date(2005, 6, 10), 0.5), (SPLIT_DAY, 2.0)):
        bars = split_bars(bars, "AAA", day, ratio)
    is_missing = (pl.col("symbol") == "CCC") & pl.col("session").is_in(list(MISSING_DAYS))
    return bars.filter(~is_missing)


@cache
def adjusted() -> AdjustedBars:
    return adjust_bars(stored_bars(), ACTIONS, FOLD.test_start, FOLD.test_end)


@cache
def redecided_fold(**backtest) -> RedecidedFold:
    strategy, bars = make_strategy(**backtest), stored_bars()
    series = make_signal(bars, np.sin(0.7 * np.arange(len(bars))).tolist())
    days = bars["session"].filter(bars["session"] >= FOLD.train_start).unique().sort().to_list()
    features = compute_features(bars, ACTIONS, series, strategy.features, days)
    known = ForecastTables(features, bars.filter(pl.col("session") >= FOLD.train_start), ACTIONS)
    trained = ForecastTables(
        features.filter(pl.col("session") <= FOLD.train_end),
        known.bars.filter(pl.col("session") <= FOLD.train_end),
        ACTIONS,
    )
    forecaster = train_window(trained, FOLD, strategy)
    forecasts = predict_window(known, FOLD, forecaster, strategy, FOLD.test_end)
    seeds = [replace(make_policy(strategy, SYMBOLS, seed=seed), seed=seed) for seed in range(2)]
    return RedecidedFold(
        fold=FOLD,
        strategy=strategy,
        market_data=MARKET_DATA,
        tables=TrainingTables(bars, ACTIONS, features, forecasts.rows),
        series=series,
        forecaster=forecaster,
        ensembles={"ppo/ensemble": Ensemble(tuple(seeds))},
        traded_from=date(2005, 1, 1),
    )


@cache
def recorded() -> FoldBacktest:
    given = redecided_fold()
    bars = given.tables.bars.filter(pl.col("session") >= given.traded_from)
    return backtest_fold(
        replace(given.tables, bars=bars),
        {"ppo": list(given.ensembles["ppo/ensemble"])},
        FOLD,
        given.strategy,
        MARKET_DATA,
    )


@cache
def stressed() -> FoldStress:
    tables = recorded().tables
    return stress_fold(redecided_fold(), tables.weights, tables.equity)
