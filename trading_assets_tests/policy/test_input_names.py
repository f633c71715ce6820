"""Names of an observation's numbers, held against what puts them there."""

import numpy as np
import polars as pl
import pytest

from trading_assets.policy.decision_rules import FORECAST_INPUTS, declared_rules
from trading_assets.policy.input_names import ObservedInput, name_inputs, symbol_places
from trading_assets.policy.rollout import build_task
from trading_assets.simulation.account_rows import Accounts, whole_observations
from trading_assets.simulation.trackers.tracker import Memory
from trading_assets_tests.policy.tasks import SYMBOLS, make_strategy, make_tables, random_market

MARKET = random_market(60)
FEATURES, FORECASTS = make_tables(MARKET)
ROWS = np.array([40], dtype=np.int64)


def observe(strategy, features=FEATURES, forecasts=FORECASTS, held=0.0, pending=0.0):
    task = build_task(MARKET, features, forecasts, strategy)
    accounts = Accounts(
        np.full((1, 3), held),
        np.full((1, strategy.costs.latency_bars - 1, 3), pending),
        Memory(task.trackers, 1),
    )
    return whole_observations(task, ROWS, accounts)[0]


def moved(strategy, before, after):
    """Return the inputs whose columns differ."""
    names = name_inputs(declared_rules(strategy, SYMBOLS))
    assert len(names.place) == len(before)
    return {names.inputs[names.place[column]] for column in np.flatnonzero(before != after)}


@pytest.mark.parametrize("window_bars", [1, 4])
@pytest.mark.parametrize("name", ["momentum", "reversal"])
def test_a_feature_stands_where_its_name_says(name, window_bars):
    strategy = make_strategy(policy={"window_bars": window_bars, "confidence_sizing": "none"})
    day = MARKET.sessions[40 - window_bars + 1].item()
    meant = (pl.col("symbol") == "B") & (pl.col("session") == day)
    changed = FEATURES.with_columns(pl.when(meant).then(4.5).otherwise(pl.col(name)).alias(name))
    before, after = observe(strategy), observe(strategy, changed.cast(FEATURES.schema))
    found = moved(strategy, before, after) - {ObservedInput("known", "is_known", "B")}
    assert found == {ObservedInput("feature", name, "B")}


def test_what_is_shown_of_forecasts_stands_where_its_name_says():
    strategy = make_strategy(policy={"confidence_sizing": "none"})
    meant = (pl.col("symbol") == "C") & (pl.col("session") == MARKET.sessions[40].item())
    wider = pl.when(meant).then(pl.col("interval_high") + 0.02).otherwise(pl.col("interval_high"))
    after = observe(strategy, forecasts=FORECASTS.with_columns(interval_high=wider))
    assert moved(strategy, observe(strategy), after) == {
        ObservedInput("forecast", "interval_over_sigma", "C")
    }


def test_a_symbol_without_a_forecast_is_told_by_its_mask_besides():
    strategy = make_strategy(policy={"confidence_sizing": "none"})
    day = MARKET.sessions[40].item()
    kept = FORECASTS.filter((pl.col("symbol") != "A") | (pl.col("session") != day))
    after = moved(strategy, observe(strategy), observe(strategy, forecasts=kept))
    assert ObservedInput("known", "is_known", "A") in after
    assert {each.of_symbol for each in after} == {"A"}


def test_the_account_comes_last():
    strategy = make_strategy(costs={"latency_bars": 3}, policy={"observed_account": ["drawdown"]})
    seen = observe(strategy)
    held = moved(strategy, seen, observe(strategy, held=0.1))
    weights = {ObservedInput("account", "held_weight", symbol) for symbol in SYMBOLS}
    assert held == {*weights, ObservedInput("account", "cash_share")}
    waiting = moved(strategy, seen, observe(strategy, pending=0.1))
    assert {each.name for each in waiting} == {"waiting_weight_1", "waiting_weight_2"}
    names = name_inputs(declared_rules(strategy, SYMBOLS))
    assert names.inputs[-1].kind == "account"
    assert "drawdown" in names.inputs[-1].name


def test_bars_of_all_ages_are_one_input_whose_newest_value_is_known():
    strategy = make_strategy(policy={"window_bars": 4})
    names = name_inputs(declared_rules(strategy, SYMBOLS))
    width = 3 * (2 + len(FORECAST_INPUTS) + 1)
    first = names.inputs.index(ObservedInput("feature", "momentum", "A"))
    assert np.flatnonzero(names.place == first).tolist() == [0, width, 2 * width, 3 * width]
    assert names.newest[first] == 3 * width
    summed = names.sum_columns(np.arange(float(len(names.place)))[None])
    assert summed[0, first] == 6 * width


def test_places_are_those_among_the_numbers_of_a_symbol():
    rules = declared_rules(make_strategy(), SYMBOLS)
    assert symbol_places(rules, ["reversal"]) == [1]
    assert symbol_places(rules, FORECAST_INPUTS) == [2, 3, 4, 5, 6, 7]
    assert symbol_places(rules, ["forecast_confidence"]) == []


def test_titles_are_short_and_features_keep_their_names():
    assert ObservedInput("forecast", "expected_return_over_sigma", "A").title == "forecast mean"
    assert ObservedInput("feature", "log_return_5", "A").title == "log_return_5"
    assert ObservedInput("account", "held_weight", "A").title == "held weight"
