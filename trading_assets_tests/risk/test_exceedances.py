"""Tests of coverage, held against known numbers, binomials by scipy and chains by hand."""

import math

import numpy as np
import pytest
from scipy import stats

from trading_assets.errors import DataError
from trading_assets.risk.exceedances import (
    find_exceedances,
    judge_conditional_coverage,
    judge_coverage,
    judge_independence,
)


def test_kupiec_has_the_known_value():
    found = judge_coverage(7, 250, 0.01)
    assert found.statistic == pytest.approx(5.4970, abs=5e-5)
    assert found.p_value == pytest.approx(0.0190, abs=5e-5)


@pytest.mark.parametrize(
    ("exceedances", "bars", "tail"), [(0, 250, 0.01), (7, 250, 0.01), (250, 250, 0.05), (3, 9, 0.2)]
)
def test_kupiec_is_a_ratio_of_binomial_likelihoods(exceedances: int, bars: int, tail: float):
    best = stats.binom.logpmf(exceedances, bars, exceedances / bars)
    expected = 2.0 * (best - stats.binom.logpmf(exceedances, bars, tail))
    found = judge_coverage(exceedances, bars, tail)
    assert found.statistic == pytest.approx(expected)
    assert found.p_value == pytest.approx(stats.chi2.sf(expected, 1))


def test_as_many_as_promised_speak_for_a_forecast():
    assert judge_coverage(10, 1_000, 0.01).statistic == 0.0
    assert judge_coverage(10, 1_000, 0.01).p_value == 1.0


def test_kupiec_lets_pass_what_the_bars_name():
    passed = [x for x in range(100) if judge_coverage(x, 1_000, 0.01).p_value > 0.05]
    assert (passed[0], passed[-1]) == (5, 16)
    passed = [x for x in range(200) if judge_coverage(x, 1_000, 0.05).p_value > 0.05]
    assert (passed[0], passed[-1]) == (38, 64)


def test_independence_compares_a_chain_with_single_bars():
    beyond = np.array([0, 1, 1, 0, 0, 1, 0, 0, 0, 0], dtype=bool)
    # After 6 calm bars 2 were beyond, after 3 that were beyond 1 was: 00 4, 01 2, 10 2, 11 1.
    chain = 4 * math.log(4 / 6) + 2 * math.log(2 / 6) + 2 * math.log(2 / 3) + math.log(1 / 3)
    alike = 6 * math.log(6 / 9) + 3 * math.log(3 / 9)
    found = judge_independence(beyond)
    assert found.statistic == pytest.approx(2.0 * (chain - alike), abs=1e-12)


def test_exceedances_in_clusters_are_found():
    spread, clustered = np.zeros(1_000, bool), np.zeros(1_000, bool)
    spread[::100] = True
    clustered[500:510] = True
    assert judge_independence(spread).p_value > 0.3
    assert judge_independence(clustered).p_value < 1e-6
    # Both are as many as promised.
    assert judge_conditional_coverage(spread, 0.01).p_value > 0.5
    assert judge_conditional_coverage(clustered, 0.01).p_value < 1e-6


def test_conditional_coverage_adds_both_statistics():
    beyond = np.random.default_rng(0).random(600) < 0.03
    found = judge_conditional_coverage(beyond, 0.01)
    both = judge_coverage(int(beyond.sum()), 600, 0.01).statistic
    both += judge_independence(beyond).statistic
    assert found.statistic == pytest.approx(both)
    assert found.p_value == pytest.approx(stats.chi2.sf(both, 2))


@pytest.mark.parametrize("value", [False, True])
def test_where_all_bars_are_alike_nothing_speaks_against_independence(value: bool):
    found = judge_independence(np.full(300, value))
    assert (found.statistic, found.p_value) == (0.0, 1.0)


def test_right_forecasts_are_rejected_as_often_as_promised():
    rng = np.random.default_rng(3)
    series = rng.random((2_000, 1_000)) < 0.05
    rejected = [judge_coverage(int(one.sum()), 1_000, 0.05).p_value < 0.05 for one in series]
    assert np.mean(rejected) == pytest.approx(0.05, abs=0.02)
    rejected = [judge_conditional_coverage(one, 0.05).p_value < 0.05 for one in series]
    assert np.mean(rejected) == pytest.approx(0.05, abs=0.03)


def test_a_loss_is_beyond_where_it_is_larger():
    returns = np.array([-0.03, -0.02, -0.019, 0.5, 0.01])
    at_risk = np.array([0.02, 0.02, 0.02, 0.02, -0.015])
    assert find_exceedances(returns, at_risk).tolist() == [True, False, False, False, True]


def test_what_cannot_be_judged_is_refused():
    flat = np.zeros(5)
    with pytest.raises(DataError, match="expected one forecast for each return"):
        find_exceedances(flat, np.zeros(6))
    with pytest.raises(DataError, match="2 of 5 forecasts of value_at_risk were not finite"):
        find_exceedances(flat, np.array([math.nan, 0.1, math.inf, 0.1, 0.1]))
    with pytest.raises(DataError, match="1 of 5 returns were not finite"):
        find_exceedances(np.array([0.0, math.nan, 0.0, 0.0, 0.0]), flat)
    with pytest.raises(DataError, match="0 returns were given"):
        find_exceedances(np.zeros(0), np.zeros(0))
    for exceedances, bars in ((-1, 10), (11, 10), (0, 0)):
        with pytest.raises(DataError, match=f"exceedances were {exceedances} of {bars} bars"):
            judge_coverage(exceedances, bars, 0.01)
    for tail in (0.0, 0.5, -1.0, math.nan):
        with pytest.raises(DataError, match="expected a probability above 0"):
            judge_coverage(1, 100, tail)
    for bars in (0, 1):
        with pytest.raises(DataError, match="expected a series of at least 2 bars"):
            judge_independence(np.zeros(bars, bool))
