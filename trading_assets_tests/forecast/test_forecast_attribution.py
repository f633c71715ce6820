"""What moves forecasts: whatever serves, as it serves, back to features and ages of bars."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from trading_assets.forecast.dataset import build_panel
from trading_assets.forecast.forecast_attribution import MOST_ROWS, attribute_forecasts
from trading_assets.forecast.forecaster import Forecaster
from trading_assets.forecast.gates.logistic import LogisticGate
from trading_assets.forecast.tables import ForecastTables
from trading_assets.forecast_specs import ForecastSpec
from trading_assets_tests.features.synthetic_bars import NO_ACTIONS
from trading_assets_tests.forecast.planted_market import NAMES, PlantedMarket, make_market, train
from trading_assets_tests.forecast.test_fitted_inputs import FULL, with_gaps
from trading_assets_tests.forecast.test_fitted_inputs import train as train_full

TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def market() -> PlantedMarket:
    return make_market(0.6)


@pytest.fixture(scope="module")
def logistic(market: PlantedMarket) -> Forecaster:
    return train(market, ["logistic"])


def served_of(forecaster: Forecaster, market: PlantedMarket) -> pl.DataFrame:
    return forecaster.predict(market.tables(), market.test)


def test_the_linear_gate_owes_each_feature_its_weight_times_its_deviation(logistic, market):
    found = attribute_forecasts(logistic, market.tables(), market.test)
    gate, transforms = logistic.models.served.gate, logistic.models.transforms
    assert isinstance(gate, LogisticGate)
    panel = build_panel(market.features, NAMES)
    symbol = np.array([panel.symbols.index(name) for name in found.symbols])
    session = np.searchsorted(panel.sessions, found.sessions)
    standard = transforms.apply(panel.values).numpy()[symbol, :, session].astype(np.float64)
    odds = (gate.class_weight[2] - gate.class_weight[0]) / logistic.temperature
    np.testing.assert_allclose(found.by_feature[:, 0], standard * odds, rtol=1e-9, atol=1e-14)
    mean = standard * gate.ridge.weight
    np.testing.assert_allclose(found.by_feature[:, 1], mean, rtol=1e-9, atol=1e-14)
    # Only the row's own bar is seen.
    np.testing.assert_allclose(found.by_age[:, :, 0], found.by_feature.sum(axis=2), atol=1e-13)
    np.testing.assert_array_equal(found.by_age[:, :, 1:], 0.0)


@pytest.mark.parametrize("name", ["network", "logistic", "boosting", "prior"])
def test_contributions_add_up_to_what_was_served(market, name):
    forecaster = train(market, [name], epochs=12, learning_rate=1e-2)
    assert forecaster.served == name
    found = attribute_forecasts(forecaster, market.tables(), market.test)
    served = served_of(forecaster, market).sort("session", "symbol")
    rows = pl.DataFrame({"symbol": found.symbols, "session": found.sessions})
    rows = rows.join(served, on=["symbol", "session"], how="left", maintain_order="left")
    log_odds = np.log(rows["p_up"].to_numpy() / rows["p_down"].to_numpy())
    np.testing.assert_allclose(found.said[:, 0], log_odds, atol=1e-5)
    scale = 0.01 * np.sqrt(forecaster.horizon_bars)
    expected = rows["expected_return"].to_numpy() / scale
    np.testing.assert_allclose(found.said[:, 1], expected, atol=1e-5)
    assert found.form_gap < TOLERANCE
    assert found.completeness_error <= 0.01
    for parts in (found.by_feature, found.by_age):
        summed = found.at_baseline + parts.sum(axis=2)
        change = np.abs(found.said - found.at_baseline).mean(axis=0)
        assert (np.abs(summed - found.said) <= 0.01 * change + 1e-12).all()
    if name == "prior":
        np.testing.assert_array_equal(found.by_feature, 0.0)
    else:
        assert np.abs(found.by_feature[:, 0]).mean(axis=0).argmax() == NAMES.index("planted")


def test_an_ensemble_of_one_is_explained_through_all_its_dropout_passes(market):
    forecaster = train(market, ["network"], members=1)
    assert len(forecaster.models.served.masks) > 1
    found = attribute_forecasts(forecaster, market.tables(), market.test, most_rows=20)
    assert found.form_gap < TOLERANCE
    assert found.completeness_error <= 0.01


def test_a_network_owes_forecasts_to_the_age_of_bar_that_matters():
    # The return goes with the feature of three bars before.
    lagged = make_market(0.8, count=1000, lag_bars=3)
    forecaster = train(lagged, ["network"], epochs=12, learning_rate=1e-2)
    found = attribute_forecasts(forecaster, lagged.tables(), lagged.test, most_rows=60)
    by_age = np.abs(found.by_age[:, 0]).mean(axis=0)
    # A label of three bars sums the features of ages 1, 2 and 3.
    assert set(np.argsort(-by_age)[:3]) == {1, 2, 3}
    assert found.features[np.abs(found.by_feature[:, 0]).mean(axis=0).argmax()] == "planted"


@pytest.mark.parametrize("name", ["network", "logistic", "boosting"])
def test_components_masks_and_a_fractional_difference_come_back_to_features(name):
    market = with_gaps(make_market(0.6, count=700))
    full = train_full(market, FULL)
    model = train_full(market, ForecastSpec(**{**FULL.model_dump(), "epochs": 1}))
    # Trained with all candidates: serve the one that is asked for.
    served = full.training.candidates[name]
    forecaster = Forecaster(
        full._card, replace(full.models, served=served), training=model.training
    )
    found = attribute_forecasts(forecaster, market.tables(), market.test, most_rows=40)
    assert found.features == (*NAMES, "fractional_difference")
    # A column that was null in every train row is read by nobody.
    np.testing.assert_array_equal(found.by_feature[:, :, NAMES.index("noise_2")], 0.0)
    # Components are rounded to single precision on their way to the models.
    assert found.completeness_error <= 0.01
    change = np.abs(found.said - found.at_baseline).mean(axis=0)
    summed = found.at_baseline + found.by_feature.sum(axis=2)
    assert (np.abs(summed - found.said) <= 0.011 * change + 1e-6).all()


def test_of_many_rows_some_are_explained_from_the_first_to_the_last(logistic, market):
    found = attribute_forecasts(logistic, market.tables(), market.test)
    assert len(found.symbols) == MOST_ROWS < 3 * len(market.test)
    assert found.sessions[0] == np.datetime64(market.test[0])
    assert found.sessions[-1] == np.datetime64(market.test[-1])


def test_later_bars_change_nothing_of_an_earlier_explanation(logistic, market):
    early = market.test[:20]
    known = pl.col("session") <= early[-1]
    tables = ForecastTables(market.features.filter(known), market.bars.filter(known), NO_ACTIONS)
    short = attribute_forecasts(logistic, tables, early)
    whole = attribute_forecasts(logistic, market.tables(), early)
    np.testing.assert_array_equal(short.by_feature, whole.by_feature)


def test_the_same_rows_are_explained_by_the_same_bytes(market):
    forecaster = train(market, ["network"])
    first, second = (
        attribute_forecasts(forecaster, market.tables(), market.test, most_rows=20)
        for _ in range(2)
    )
    assert first.by_feature.tobytes() == second.by_feature.tobytes()
