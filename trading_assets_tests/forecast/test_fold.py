import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from trading_assets.errors import DataError, MissingKeyError
from trading_assets.features.redundancy import correlate_features, lay_correlations
from trading_assets.forecast.fold import (
    measure_window,
    naming,
    predict_window,
    train_window,
)
from trading_assets.forecast.forecaster import Forecaster
from trading_assets.forecast.tables import ForecastTables
from trading_assets.schema import conform
from trading_assets_tests.backtest.markets import strategy_of
from trading_assets_tests.features.synthetic_bars import NO_ACTIONS, make_actions
from trading_assets_tests.forecast.planted_market import NAMES, SPEC, PlantedMarket, make_market

# `weekday_sin` is not scaled, the others are.
DECLARED = ("log_return_1", "rsi_14", "weekday_sin", "log_return_5")
STRATEGY = strategy_of(features={"names": list(DECLARED)}, forecast={"horizon_bars": 3})
SERVED = STRATEGY.model_copy(update={"forecast": SPEC.model_copy(update={"epochs": 1})})


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


@pytest.fixture(scope="module")
def forecaster(market: PlantedMarket) -> Forecaster:
    return train_window(market.up_to_validation(), window_of(market), SERVED)


def test_a_window_is_trained_on_its_training_days_and_judged_on_its_validation_days(
    forecaster: Forecaster, market: PlantedMarket
):
    card = forecaster.card
    assert card["train"][1] == str(market.train[-1])
    assert card["validation"] == [str(market.validation[0]), str(market.validation[-1])]
    assert forecaster.feature_names == DECLARED
    assert len(card["metrics"]["candidates"]) == 4


def test_a_window_is_predicted_by_parts_and_what_follows_by_the_forecaster(
    forecaster: Forecaster, market: PlantedMarket
):
    found = predict_window(
        market.tables(), window_of(market), forecaster, SERVED, market.test[40], threads=2
    )
    assert found.seen == []
    rows = found.rows
    assert conform("forecasts", rows).equals(rows)
    assert rows.select("symbol", "session").is_unique().all()
    tested = rows.filter(pl.col("window") == "test")
    assert tested.equals(forecaster.predict(market.tables(), market.test[:41]))
    before = forecaster.forecast(market.tables(), market.test[:40])
    assert found.state_before_last == before.state
    trained = rows.filter(pl.col("window") == "train")
    days = (market.train + market.validation)[SPEC.window_bars - 1 :]
    assert trained["session"].unique().sort().to_list() == days
    card = json.loads(found.card_json)
    assert card == found.card
    assert json.dumps(card, sort_keys=True, separators=(",", ":")).encode() == found.card_json
    # Policies learn from forecasts of the kind that serves later.
    assert {part["served"] for part in card["parts"].values()} == {forecaster.served}


def test_nothing_is_predicted_after_the_last_day_asked_for(
    forecaster: Forecaster, market: PlantedMarket
):
    window = window_of(market)
    found = predict_window(market.tables(), window, forecaster, SERVED, window.train_end)
    assert set(found.rows["window"]) == {"train"}
    assert found.state_before_last is None
    one = predict_window(market.tables(), window, forecaster, SERVED, market.test[0])
    assert one.state_before_last == forecaster.start_state
    tested = one.rows.filter(pl.col("window") == "test")
    assert tested.equals(forecaster.predict(market.tables(), market.test[:1]))
    assert found.rows["session"].max() == window.train_end


def test_no_row_after_a_window_changes_its_train_forecasts(
    forecaster: Forecaster, market: PlantedMarket
):
    window, last = window_of(market), market.test[5]
    is_later = pl.col("session") > window.train_end
    noise = pl.Series(np.random.default_rng(2).uniform(0.5, 2.0, market.bars.height))
    bars = market.bars.with_columns(
        pl.when(is_later).then(pl.col(name) * noise).otherwise(pl.col(name)).alias(name)
        for name in ("open", "high", "low", "close")
    )
    split = ("AAA", market.test[0], "split", 2.0, 0.0)
    changed = replace(market.tables(), bars=bars, actions=make_actions([split]))
    one, other = (
        predict_window(tables, window, forecaster, SERVED, last)
        for tables in (market.tables(), changed)
    )
    upto = pl.col("session") <= window.train_end
    assert other.rows.filter(upto).equals(one.rows.filter(upto))
    assert other.card == one.card
    assert not other.rows.filter(~upto).equals(one.rows.filter(~upto))


def test_a_forecaster_of_other_features_is_refused_by_its_window(
    forecaster: Forecaster, market: PlantedMarket
):
    names = [*DECLARED[:-1], "log_return_20"]
    other = SERVED.model_copy(
        update={"features": SERVED.features.model_copy(update={"names": tuple(names)})}
    )
    sentence = (
        f"train window {market.train[0]} to {market.validation[-1]}: the strategy lacks"
        " log_return_5 and has log_return_20 besides"
    )
    with pytest.raises(DataError, match=sentence):
        predict_window(market.tables(), window_of(market), forecaster, other, market.test[5])


def with_nan(market: PlantedMarket) -> ForecastTables:
    value = pl.when(pl.col("session") == market.train[20]).then(float("nan")).otherwise("rsi_14")
    tables = market.up_to_validation()
    features = tables.features.with_columns(value.cast(pl.Float32).alias("rsi_14"))
    return replace(tables, features=features)


def with_stale_prices(market: PlantedMarket) -> ForecastTables:
    tables = market.up_to_validation()
    flat = (pl.lit(5.0).alias(name) for name in ("open", "high", "low", "close"))
    return replace(tables, bars=tables.bars.with_columns(*flat))


@pytest.mark.parametrize(
    ("break_tables", "sentence"),
    [
        (with_nan, "feature rsi_14 is nan or infinite in 3 rows"),
        (with_stale_prices, r"class \w+ holds 0.0% of .* look for stale prices"),
    ],
)
def test_what_a_window_is_refused_for_names_it(
    forecaster: Forecaster,
    market: PlantedMarket,
    break_tables: Callable[[PlantedMarket], ForecastTables],
    sentence: str,
):
    tables, window = break_tables(market), window_of(market)
    named = f"train window {market.train[0]} to {market.validation[-1]}: {sentence}"
    with pytest.raises(DataError, match=named):
        train_window(tables, window, SERVED)
    with pytest.raises(DataError, match=named):
        predict_window(tables, window, forecaster, SERVED, window.train_end)


def test_a_window_of_too_few_days_is_named(forecaster: Forecaster, market: PlantedMarket):
    window = window_of(market)
    window.train_start = market.train[-15]
    named = f"train window {market.train[-15]} to {market.validation[-1]}: \\d+ train windows have"
    with pytest.raises(DataError, match=named):
        train_window(market.up_to_validation(), window, SERVED)
    window.validation_start = market.test[0]
    with pytest.raises(DataError, match="validation sessions were empty"):
        train_window(market.up_to_validation(), window, SERVED)
    window.train_start = market.validation[-40]
    with pytest.raises(DataError, match=f"train window {window.train_start} to .*: .* windows"):
        predict_window(market.up_to_validation(), window, forecaster, SERVED, window.train_end)


def test_a_named_refusal_keeps_its_kind_and_its_cause(market: PlantedMarket):
    cause = MissingKeyError("no key")
    named = pytest.raises(MissingKeyError, match=r"^train window .*: no key$")
    with named as caught, naming(window_of(market)):
        raise cause
    assert caught.value.__cause__ is cause


def test_rows_before_the_window_are_left_out(market: PlantedMarket):
    window = window_of(market)
    window.train_start = market.train[50]
    later = measure_window(market.up_to_validation(), window, STRATEGY)
    assert later.features["ic_sessions"].to_list() == [len(market.train) - 3 - 50] * 4
    window.train_start = market.train[49] + timedelta(days=1)
    assert measure_window(market.up_to_validation(), window, STRATEGY).features.equals(
        later.features
    )
