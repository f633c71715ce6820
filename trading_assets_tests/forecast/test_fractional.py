from datetime import date

import numpy as np
import polars as pl
import pytest
from scipy.special import binom
from statsmodels.tsa.stattools import adfuller

from trading_assets.forecast.dataset import build_panel
from trading_assets.forecast.fractional import (
    LEAST_WEIGHT,
    MOST_BARS,
    add_difference,
    adjust_symbols,
    difference_prices,
    difference_weights,
    fit_order,
    measure_unit_root,
)
from trading_assets_tests.features.synthetic_bars import (
    NO_ACTIONS,
    make_actions,
    make_bars,
    split_bars,
)
from trading_assets_tests.forecast.planted_market import NAMES, make_market


@pytest.mark.parametrize("order", [0.0, 0.1, 0.35, 0.5, 0.8, 1.0])
def test_weights_are_signed_binomial_coefficients_cut_where_they_are_small(order: float):
    weights = difference_weights(order)
    lags = np.arange(len(weights))
    np.testing.assert_allclose(weights, (-1.0) ** lags * binom(order, lags), atol=1e-12)
    assert (np.abs(weights) >= LEAST_WEIGHT).all()
    assert len(weights) == MOST_BARS or abs(binom(order, len(weights))) < LEAST_WEIGHT


def test_a_small_order_is_cut_at_504_bars_and_order_1_is_the_first_difference():
    assert len(difference_weights(0.15)) == 504
    assert difference_weights(1.0).tolist() == [1.0, -1.0]
    assert difference_weights(0.0).tolist() == [1.0]


@pytest.mark.parametrize("order", [0.05, 0.4, 0.75, 1.0])
def test_a_difference_is_the_weighted_sum_of_log_prices_over_the_oldest_of_them(order: float):
    bars = adjust_symbols(make_bars(count=700), NO_ACTIONS)["AAA"]
    weights, log_price = difference_weights(order), np.log(bars.close)
    reach = len(weights) - 1
    found = difference_prices(bars, order)
    assert np.isnan(found[:reach]).all()
    assert np.isfinite(found[reach:]).all()
    for row in (reach, reach + 1, 699):
        window = log_price[row - reach : row + 1][::-1]
        assert found[row] == pytest.approx(weights @ (window - window[-1]), abs=1e-12)


def test_order_0_is_the_log_price_over_that_of_504_bars_ago():
    bars = adjust_symbols(make_bars(count=520), NO_ACTIONS)["AAA"]
    found = difference_prices(bars, 0.0)
    assert np.isnan(found[:503]).all()
    assert found[519] == pytest.approx(np.log(bars.close[519] / bars.close[16]), abs=1e-12)


def test_too_few_bars_have_no_difference():
    bars = adjust_symbols(make_bars(count=100), NO_ACTIONS)["AAA"]
    assert np.isnan(difference_prices(bars, 0.2)).all()


def test_a_difference_has_the_same_bytes_whatever_bars_come_before_or_after():
    bars = make_bars(("AAA",), count=700)
    day = bars["session"][300]
    bars = split_bars(bars, "AAA", day, 4.0)
    actions = make_actions([("AAA", day, "split", 4.0, 0.0)])
    whole = difference_prices(adjust_symbols(bars, actions)["AAA"], 0.4)
    part = difference_prices(adjust_symbols(bars[310:650], actions)["AAA"], 0.4)
    reach = len(difference_weights(0.4)) - 1
    assert part[reach:].tobytes() == whole[310 + reach : 650].tobytes()


def test_a_split_moves_no_difference():
    bars = make_bars(("AAA",), count=400)
    day = bars["session"][350]
    plain = difference_prices(adjust_symbols(bars, NO_ACTIONS)["AAA"], 0.6)
    actions = make_actions([("AAA", day, "split", 10.0, 0.0)])
    split = adjust_symbols(split_bars(bars, "AAA", day, 10.0), actions)["AAA"]
    np.testing.assert_allclose(difference_prices(split, 0.6), plain, atol=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_the_unit_root_statistic_is_that_of_statsmodels(seed: int):
    rng = np.random.default_rng(seed)
    series = np.cumsum(rng.normal(size=200 + 50 * seed)) * 0.01 + 4.0
    statistic, critical = measure_unit_root(series)
    expected = adfuller(series, maxlag=1, regression="c", autolag=None, result_object=True)
    assert statistic == pytest.approx(expected.statistic, rel=1e-6)
    assert critical == pytest.approx(expected.critical_values["5%"], abs=1e-3)


def test_a_price_that_does_not_move_has_no_root_to_refuse():
    assert measure_unit_root(np.full(100, 3.0))[0] == 0.0


def simulate(memory: float, count: int, seed: int) -> np.ndarray:
    """Return ARFIMA(0, memory, 0) from 0 on, (count,)."""
    lags = np.arange(1, count)
    response = np.concatenate(([1.0], np.cumprod((lags - 1 + memory) / lags)))
    noise = np.random.default_rng(seed).normal(size=count)
    return 0.01 * np.convolve(noise, response)[:count]


def order_of(series: list[np.ndarray]) -> float:
    return fit_order(
        {str(place): values for place, values in enumerate(series)},
        {str(place): np.ones(len(values), np.bool_) for place, values in enumerate(series)},
    )


# The test refuses a unit root in 800 bars from a memory of about 0.8 down, so the order is what
# takes a series of memory D to that.
@pytest.mark.parametrize("memory", [0.8, 1.0, 1.2, 1.4])
@pytest.mark.parametrize("seed", [0, 100, 200])
def test_the_order_takes_a_series_from_its_memory_to_a_stationary_one(memory: float, seed: int):
    fitted = order_of([simulate(memory, 800, seed + place) for place in range(5)])
    assert fitted == pytest.approx(memory - 0.8, abs=0.15)


def test_the_median_symbol_decides():
    noise = [np.random.default_rng(seed).normal(size=800) for seed in range(3)]
    walks = [simulate(1.4, 800, seed) for seed in range(3)]
    assert order_of([*noise, *walks[:2]]) == 0.0
    assert order_of([*noise[:2], *walks]) > 0.2


def test_the_longest_run_of_train_rows_decides_and_nothing_after_it():
    series = np.concatenate((simulate(1.2, 700, 1), np.zeros(300)))
    is_train = np.zeros(1000, np.bool_)
    is_train[:700] = True
    is_train[800:900] = True
    alone = fit_order({"A": series[:700]}, {"A": np.ones(700, np.bool_)})
    assert 0.0 < alone < 1.0
    assert fit_order({"A": series}, {"A": is_train}) == alone


def test_too_few_train_rows_give_order_1():
    assert fit_order({"A": simulate(0.2, 40, 1)}, {"A": np.ones(40, np.bool_)}) == 1.0
    assert fit_order({"A": simulate(0.2, 40, 1)}, {"A": np.zeros(40, np.bool_)}) == 1.0


def test_a_panel_gets_the_difference_at_its_own_rows():
    market = make_market(0.1, count=300)
    features = market.features.filter(pl.col("session") >= date(2004, 3, 1))
    features = features.filter(
        (pl.col("symbol") != "BBB") | (pl.col("session") != market.train[90])
    )
    panel = build_panel(features, NAMES)
    prices = adjust_symbols(market.bars.filter(pl.col("symbol") != "CCC"), NO_ACTIONS)
    wide = add_difference(panel, prices, 0.7)
    assert wide.values.shape == (3, 5, len(panel.sessions))
    np.testing.assert_array_equal(wide.values[:, :4], panel.values)
    places = np.searchsorted(prices["AAA"].sessions, panel.sessions)
    expected = difference_prices(prices["AAA"], 0.7)[places].astype(np.float32)
    assert np.isfinite(expected).any()
    np.testing.assert_array_equal(wide.values[0, 4], expected)
    assert np.isnan(wide.values[2, 4]).all()
