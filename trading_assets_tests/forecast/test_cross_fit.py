import copy
from collections.abc import Sequence
from datetime import date
from typing import Any

import numpy as np
import polars as pl
import pytest

from trading_assets.errors import DataError
from trading_assets.forecast.cross_fit import cross_fit
from trading_assets.forecast.labels import compute_labels
from trading_assets.forecast.predictions import CandidateName
from trading_assets.forecast.seen_rows import find_seen_rows
from trading_assets.forecast.train import train_forecaster
from trading_assets.forecast_specs import ForecastSpec
from trading_assets_tests.features.synthetic_bars import NO_ACTIONS
from trading_assets_tests.forecast.planted_market import NAMES, SPEC, PlantedMarket, make_market

Fitted = tuple[pl.DataFrame, dict[str, Any]]


def fit(
    market: PlantedMarket,
    days: Sequence[date] | None = None,
    served: CandidateName = "logistic",
    spec: ForecastSpec = SPEC,
) -> Fitted:
    days = days or market.train + market.validation
    found = cross_fit(market.up_to_validation(), days, spec, NAMES, served)
    return found.rows, found.card


@pytest.fixture(scope="module")
def market() -> PlantedMarket:
    return make_market(0.6)


@pytest.fixture(scope="module")
def fitted(market: PlantedMarket) -> Fitted:
    return fit(market)


def test_every_session_with_a_full_window_is_predicted_once(fitted: Fitted, market: PlantedMarket):
    table, _ = fitted
    days = (market.train + market.validation)[SPEC.window_bars - 1 :]
    assert table["session"].unique().sort().to_list() == days
    assert table.height == 3 * len(days)
    assert table.select("symbol", "session").is_unique().all()
    assert set(table["window"]) == {"train"}
    assert set(table["model"]) == {"part-0", "part-1", "part-2"}


def test_cross_fitted_forecasts_carry_the_planted_signal(fitted: Fitted, market: PlantedMarket):
    labels = compute_labels(market.bars, NO_ACTIONS, SPEC.horizon_bars)
    rows = fitted[0].join(labels, on=["symbol", "session"])
    correlation = np.corrcoef(rows["expected_return"], rows["forward_return"])[0, 1]
    assert correlation == pytest.approx(0.35, abs=0.1)


def test_cross_fitting_noise_finds_nothing():
    market = make_market(0.0, seed=8)
    table, _ = fit(market, market.train)
    rows = table.join(
        compute_labels(market.bars, NO_ACTIONS, SPEC.horizon_bars), on=["symbol", "session"]
    )
    # In sample the same models would correlate; out of sample 900 overlapping rows give sd 0.06.
    assert abs(np.corrcoef(rows["expected_return"], rows["forward_return"])[0, 1]) < 0.15


def test_no_row_was_predicted_by_a_model_that_saw_it(fitted: Fitted, market: PlantedMarket):
    table, card = fitted
    assert find_seen_rows(table, card) == []
    forecaster = train_forecaster(
        market.up_to_validation(), market.train, market.validation, SPEC, NAMES
    )
    later = forecaster.predict(market.tables(), market.test)
    assert find_seen_rows(pl.concat([table, later]), card, forecaster.card) == []


def test_a_row_inside_the_training_of_its_model_is_found(fitted: Fitted):
    table, card = fitted
    swapped = table.with_columns(
        pl.when(pl.col("model") == "part-0")
        .then(pl.lit("part-1"))
        .otherwise(pl.col("model"))
        .alias("model")
    )
    sentences = find_seen_rows(swapped, card)
    assert len(sentences) == 1
    assert sentences[0].startswith("part-1 predicted")


def test_a_label_that_lives_into_the_training_is_found(fitted: Fitted):
    table, card = fitted
    days = table["session"].unique().sort().to_list()
    leaky = copy.deepcopy(card)
    last = leaky["parts"]["part-0"]["predicted"][1]
    label_end = [str(day) for day in days].index(last) + SPEC.horizon_bars
    leaky["parts"]["part-0"]["trained"][0][0] = str(days[label_end - 1])
    assert "part-0 predicted" in find_seen_rows(table, leaky)[0]
    # A row decided at the close on which the label ends has nothing in common with it.
    leaky["parts"]["part-0"]["trained"][0][0] = str(days[label_end])
    assert find_seen_rows(table, leaky) == []


def test_a_label_of_a_halted_symbol_that_lives_into_the_training_is_found(fitted: Fitted):
    table, card = fitted
    later = card["parts"]["part-0"]["trained"][-1][0]
    days = [str(day) for day in table["session"].unique().sort().to_list()]
    leaky = copy.deepcopy(card)
    # Fewer bars of its own than the table has sessions: the label ends later than h sessions on.
    leaky["parts"]["part-0"]["labels_live_to"] = days[days.index(later) + 1]
    assert "whose labels live to" in find_seen_rows(table, leaky)[0]
    leaky["parts"]["part-0"]["labels_live_to"] = later
    assert find_seen_rows(table, leaky) == []


def test_a_model_without_a_card_is_found(fitted: Fitted):
    table, card = fitted
    less = {**card, "parts": {k: v for k, v in card["parts"].items() if k != "part-2"}}
    assert "no card tells" in find_seen_rows(table, less)[0]


def test_the_card_lists_each_parts_metrics_and_stretches(fitted: Fitted):
    _, card = fitted
    middle = card["parts"]["part-1"]
    assert len(middle["trained"]) == 2
    assert middle["trained"][0][1] < middle["predicted"][0] < middle["trained"][1][0]
    assert {"served", "metrics", "seed"} <= set(middle)


def test_the_embargo_grows_with_the_train_window(market: PlantedMarket):
    days = market.train + market.validation
    spec = SPEC.model_copy(update={"embargo_share": 0.1, "epochs": 1, "labels": "triple_barrier"})
    _, card = fit(market, spec=spec)
    middle = card["parts"]["part-1"]
    sessions = [str(day) for day in days]
    resumed = sessions.index(middle["trained"][1][0])
    last_label_end = sessions.index(middle["predicted"][1]) + spec.horizon_bars
    assert resumed == last_label_end + 40 + 1
    assert middle["class_rule"]["kind"] == "barriers"


def test_the_same_seed_gives_the_same_table(fitted: Fitted, market: PlantedMarket):
    again = fit(market)
    assert again[0].equals(fitted[0])
    assert again[1] == fitted[1]


def test_more_parts_than_the_window_allows_are_refused(market: PlantedMarket):
    with pytest.raises(DataError, match=r"train windows|expected more sessions than parts"):
        fit(market, market.train[:25])
    spec = SPEC.model_copy(update={"cross_fit_parts": 40})
    with pytest.raises(DataError, match="expected more sessions than parts"):
        fit(market, market.train[:25], spec=spec)
