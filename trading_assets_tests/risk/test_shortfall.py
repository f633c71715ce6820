"""The test of expected shortfalls, held against its formula and against how often it errs."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from trading_assets.errors import DataError
from trading_assets.risk.shortfall import ForecastTail, judge_shortfall

BARS = 1_000


def forecast_by(law: stats.rv_continuous, scale: np.ndarray, tail: float) -> ForecastTail:
    quantile = law.ppf(tail)
    shortfall = -law.expect(lambda x: x, ub=quantile, conditional=True)
    freedom = law.kwds.get("df")
    return ForecastTail(-quantile * scale, shortfall * scale, tail, freedom)


LAWS = {"gaussian": stats.norm(), "moved": stats.norm(loc=0.7), "student": stats.t(df=5)}
SCALE = 0.01 * np.exp(np.sin(np.arange(BARS) / 50.0))


def test_the_statistic_is_that_of_its_formula():
    returns = np.array([-0.04, 0.02, -0.01, -0.03, 0.0])
    forecast = ForecastTail(np.full(5, 0.02), np.array([0.03, 0.03, 0.03, 0.06, 0.03]), 0.2)
    # Two losses beyond, 4/3 and 1/2 of the shortfall, of the one that was expected.
    assert judge_shortfall(returns, forecast).statistic == pytest.approx(1 - (4 / 3 + 0.5) / 1.0)


def test_without_losses_beyond_nothing_speaks_against_a_forecast():
    forecast = forecast_by(LAWS["gaussian"], SCALE, 0.01)
    found = judge_shortfall(np.zeros(BARS), forecast, samples=200)
    assert (found.statistic, found.p_value) == (1.0, 1.0)


@pytest.mark.parametrize("name", LAWS)
@pytest.mark.parametrize("tail", [0.025, 0.05])
def test_right_forecasts_are_rejected_as_often_as_promised(name: str, tail: float):
    forecast = forecast_by(LAWS[name], SCALE, tail)
    rng = np.random.default_rng(2)
    found = [
        judge_shortfall(SCALE * LAWS[name].rvs(BARS, random_state=rng), forecast, 150, seed)
        for seed in range(100)
    ]
    assert np.mean([one.statistic for one in found]) == pytest.approx(0.0, abs=0.06)
    values = [one.p_value for one in found]
    # Uniform, up to the luck of 100.
    assert stats.kstest(values, "uniform").pvalue > 0.01


def test_larger_losses_than_forecast_are_found():
    returns = SCALE * np.random.default_rng(6).standard_normal(BARS)
    forecast = forecast_by(LAWS["gaussian"], SCALE, 0.025)
    assert judge_shortfall(returns, forecast).p_value > 0.1
    # As many are beyond as before, seven tenths larger.
    worse = np.where(returns < -forecast.value_at_risk, 1.7 * returns, returns)
    found = judge_shortfall(worse, forecast)
    assert found.statistic < -0.3
    assert found.p_value < 0.03


def test_frequent_losses_are_found_too():
    rng = np.random.default_rng(5)
    returns = 1.5 * SCALE * rng.standard_normal(BARS)
    assert judge_shortfall(returns, forecast_by(LAWS["gaussian"], SCALE, 0.025)).p_value < 0.01


def test_the_same_seed_gives_the_same_answer():
    returns = SCALE * np.random.default_rng(6).standard_normal(BARS)
    forecast = forecast_by(LAWS["gaussian"], SCALE, 0.05)
    assert judge_shortfall(returns, forecast) == judge_shortfall(returns, forecast)
    other = judge_shortfall(returns, forecast, seed=1)
    assert other.statistic == judge_shortfall(returns, forecast).statistic


@pytest.mark.parametrize("freedom", [None, 2.5, 5.0, 30.0])
def test_no_value_of_p_is_smaller_than_the_samples_allow(freedom: float | None):
    forecast = forecast_by(LAWS["gaussian"], SCALE, 0.05)
    found = judge_shortfall(
        np.full(BARS, -0.5), replace(forecast, degrees_of_freedom=freedom), samples=99
    )
    assert found.p_value == 0.01


def test_what_cannot_be_judged_is_refused():
    good = forecast_by(LAWS["gaussian"], SCALE, 0.05)
    returns = np.zeros(BARS)
    refused = [
        (replace(good, tail=0.5), "tail was"),
        (replace(good, expected_shortfall=SCALE[1:]), "expected one forecast for each return"),
        (replace(good, value_at_risk=np.full(BARS, math.nan)), "1000 of 1000 forecasts of value"),
        (replace(good, expected_shortfall=good.value_at_risk - 1e-6), "below value_at_risk, on"),
        (
            replace(good, value_at_risk=-SCALE, expected_shortfall=0.0 * SCALE),
            "0 or less, or below value_at_risk, on 1000 of 1000",
        ),
        (replace(good, degrees_of_freedom=1.0), r"degrees_of_freedom was 1\.0"),
        (replace(good, degrees_of_freedom=math.nan), "degrees_of_freedom was nan"),
    ]
    for forecast, said in refused:
        with pytest.raises(DataError, match=said):
            judge_shortfall(returns, forecast)
    with pytest.raises(DataError, match="samples was 0"):
        judge_shortfall(returns, good, samples=0)
    with pytest.raises(DataError, match="1 of 1000 returns were not finite"):
        judge_shortfall(np.where(np.arange(BARS) == 4, math.inf, 0.0), good)
