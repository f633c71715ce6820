from datetime import timedelta
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from trading_assets.features.redundancy import correlate_features, lay_correlations
from trading_assets.forecast.fold import measure_window
from trading_assets.forecast.tables import ForecastTables
from trading_assets.schema import conform
from trading_assets_tests.backtest.markets import strategy_of
from trading_assets_tests.features.synthetic_bars import NO_ACTIONS
from trading_assets_tests.forecast.planted_market import NAMES, PlantedMarket, make_market

# `weekday_sin` is not scaled, the others are.
DECLARED = ("log_return_1", "rsi_14", "weekday_sin", "log_return_5")
STRATEGY = strategy_of(features={"names": list(DECLARED)}, forecast={"horizon_bars": 3})


@pytest.fixture(scope="module")
def market() -> PlantedMarket:
    found = make_market(0.6)
    features = found.features.rename(dict(zip(NAMES, DECLARED, strict=True)))
    return PlantedMarket(found.bars, features, found.train, found.validation, found.test)


def window_of(market: PlantedMarket) -> SimpleNamespace:
    return SimpleNamespace(
        train_start=market.train[0],
        validation_start=market.validation[0],
        train_end=market.validation[-1],
    )


def test_the_planted_feature_is_worth_something_on_the_training_days(market: PlantedMarket):
    quality = measure_window(market.up_to_validation(), window_of(market), STRATEGY)
    assert conform("feature_quality", quality.features).equals(quality.features)
    assert conform("feature_correlations", quality.correlations).equals(quality.correlations)
    table = quality.features
    assert table["feature"].to_list() == list(DECLARED)
    assert table["t_newey_west"][0] > 5.0 > table["t_newey_west"].abs()[1:].max()
    # Labels of the last sessions end on validation days.
    assert table["ic_sessions"].to_list() == [len(market.train) - 3] * 4
    assert table["clipped_share"].is_null().to_list() == [False, False, True, False]


def test_correlations_are_of_the_training_days_in_the_order_of_the_table(market: PlantedMarket):
    quality = measure_window(market.up_to_validation(), window_of(market), STRATEGY)
    found = lay_correlations(quality.correlations, DECLARED)
    expected = correlate_features(market.features, DECLARED, market.train)
    np.testing.assert_array_equal(found, expected)


def test_no_row_from_validation_on_changes_what_a_feature_was_worth(market: PlantedMarket):
    is_later = pl.col("session") >= market.validation[0]

    def scale(frame: pl.DataFrame, names: tuple[str, ...]) -> pl.DataFrame:
        noise = np.random.default_rng(0).uniform(0.2, 3.0, frame.height)
        return frame.with_columns(
            pl.when(is_later)
            .then((pl.col(name) * pl.Series(noise)).cast(frame.schema[name]))
            .otherwise(pl.col(name))
            .alias(name)
            for name in names
        )

    tables = market.up_to_validation()
    changed = ForecastTables(
        scale(tables.features, DECLARED), scale(tables.bars, ("open", "close")), NO_ACTIONS
    )
    assert not changed.bars.equals(tables.bars)
    quality = measure_window(tables, window_of(market), STRATEGY)
    other = measure_window(changed, window_of(market), STRATEGY)
    assert other.features.equals(quality.features)
    assert other.correlations.equals(quality.correlations)


def test_rows_before_the_window_are_left_out(market: PlantedMarket):
    window = window_of(market)
    window.train_start = market.train[50]
    later = measure_window(market.up_to_validation(), window, STRATEGY)
    assert later.features["ic_sessions"].to_list() == [len(market.train) - 3 - 50] * 4
    window.train_start = market.train[49] + timedelta(days=1)
    assert measure_window(market.up_to_validation(), window, STRATEGY).features.equals(
        later.features
    )
