"""Value at risk and expected shortfall, held against known numbers and counted losses."""

import math

import numpy as np
import pytest
from scipy import stats

from trading_assets.errors import DataError
from trading_assets.risk.return_samples import compound_returns
from trading_assets.risk.tail_risk import (
    gaussian_tail,
    gaussian_tail_risk,
    historical_tail_risk,
)
from trading_assets_tests.risk.return_paths import gaussian_returns, student_returns


@pytest.mark.parametrize(
    ("tail", "at_risk", "shortfall"), [(0.01, 2.32635, 2.66521), (0.05, 1.64485, 2.06271)]
)
def test_a_standard_gaussian_has_the_known_tail(tail: float, at_risk: float, shortfall: float):
    found = gaussian_tail(0.0, 1.0, tail)
    assert found.value_at_risk == pytest.approx(at_risk, abs=5e-6)
    assert found.expected_shortfall == pytest.approx(shortfall, abs=5e-6)


def test_a_mean_is_earned_on_every_loss():
    found, centred = gaussian_tail(0.02, 0.1, 0.05), gaussian_tail(0.0, 0.1, 0.05)
    assert found.value_at_risk == pytest.approx(centred.value_at_risk - 0.02)
    assert found.expected_shortfall == pytest.approx(centred.expected_shortfall - 0.02)


def test_a_gaussian_sample_is_measured_by_its_mean_and_deviation():
    returns = gaussian_returns(0, 500)
    law = stats.norm(10 * returns.mean(), math.sqrt(10) * returns.std(ddof=1))
    found = gaussian_tail_risk(returns, 0.05, horizon_bars=10)
    assert found.value_at_risk == pytest.approx(-law.ppf(0.05))
    assert found.expected_shortfall == pytest.approx(
        -law.expect(lambda x: x, ub=law.ppf(0.05), conditional=True), rel=1e-6
    )


def test_losses_of_a_sample_are_counted():
    # Losses 1 to 99 %, so that p (n + 1) = 5 and p n = 4.95.
    returns = -np.random.default_rng(0).permutation(np.arange(1, 100)) / 100.0
    found = historical_tail_risk(returns, 0.05)
    assert found.value_at_risk == pytest.approx(0.95)
    expected = (0.99 + 0.98 + 0.97 + 0.96 + 0.95 * 0.95) / 4.95
    assert found.expected_shortfall == pytest.approx(expected)


def test_a_position_between_two_losses_is_interpolated():
    returns = -np.arange(1, 51) / 100.0
    # p (n + 1) = 2.55, so 45 % of the second and 55 % of the third loss.
    found = historical_tail_risk(returns, 0.05)
    assert found.value_at_risk == pytest.approx(0.45 * 0.49 + 0.55 * 0.48)
    assert found.expected_shortfall == pytest.approx((0.50 + 0.49 + 0.5 * 0.48) / 2.5)


@pytest.mark.parametrize("tail", [0.01, 0.05])
def test_the_next_draw_is_beyond_with_the_probability_of_the_tail(tail: float):
    rng = np.random.default_rng(1)
    draws = rng.standard_t(4, (20_000, 251))
    beyond = [row[-1] < -historical_tail_risk(row[:-1], tail).value_at_risk for row in draws]
    error = math.sqrt(tail * (1 - tail) / len(draws))
    assert np.mean(beyond) == pytest.approx(tail, abs=3.5 * error)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("tail", [0.01, 0.033, 0.05, 0.25])
def test_a_shortfall_is_at_least_the_value_at_risk(seed: int, tail: float):
    returns = student_returns(seed, 100 + 7 * seed)
    found = historical_tail_risk(returns, tail)
    assert found.expected_shortfall >= found.value_at_risk


@pytest.mark.parametrize("measure", [historical_tail_risk, gaussian_tail_risk])
def test_twice_the_position_has_twice_the_risk(measure):
    returns = student_returns(3, 400)
    once, twice = measure(returns, 0.01), measure(2.0 * returns, 0.01)
    assert twice.value_at_risk == pytest.approx(2.0 * once.value_at_risk)
    assert twice.expected_shortfall == pytest.approx(2.0 * once.expected_shortfall)


def test_a_historical_horizon_compounds_all_overlapping_runs():
    returns = student_returns(4, 300)
    runs = [np.prod(1.0 + returns[start : start + 10]) - 1.0 for start in range(291)]
    np.testing.assert_allclose(compound_returns(returns, 10), runs, rtol=1e-9)
    found = historical_tail_risk(returns, 0.05, horizon_bars=10)
    assert found == historical_tail_risk(np.array(compound_returns(returns, 10)), 0.05)
    assert found.value_at_risk > historical_tail_risk(returns, 0.05).value_at_risk


def test_a_book_that_never_moves_has_no_risk():
    still = np.zeros(200)
    for measure in (historical_tail_risk, gaussian_tail_risk):
        found = measure(still, 0.01)
        assert (found.value_at_risk, found.expected_shortfall) == (0.0, 0.0)


@pytest.mark.parametrize("measure", [historical_tail_risk, gaussian_tail_risk])
@pytest.mark.parametrize("broken", [math.nan, math.inf, -math.inf])
def test_returns_that_are_not_finite_are_refused(measure, broken: float):
    returns = student_returns(0, 200)
    returns[17] = broken
    with pytest.raises(DataError, match="1 of 200 returns were not finite"):
        measure(returns, 0.05)


@pytest.mark.parametrize("measure", [historical_tail_risk, gaussian_tail_risk])
@pytest.mark.parametrize("tail", [0.0, -0.01, 0.5, 0.99, math.nan])
def test_a_tail_that_is_none_is_refused(measure, tail: float):
    with pytest.raises(DataError, match="expected a probability above 0 and below"):
        measure(student_returns(0, 200), tail)


def test_samples_and_horizons_that_say_nothing_are_refused():
    with pytest.raises(DataError, match="99 returns were given; expected at least 100"):
        historical_tail_risk(student_returns(0, 99), 0.01)
    with pytest.raises(DataError, match="108 returns were given; expected at least 109"):
        historical_tail_risk(student_returns(0, 108), 0.01, horizon_bars=10)
    with pytest.raises(DataError, match="29 returns were given; expected at least 30"):
        gaussian_tail_risk(student_returns(0, 29), 0.01)
    with pytest.raises(DataError, match="horizon_bars was 0; expected at least 1"):
        historical_tail_risk(student_returns(0, 200), 0.01, horizon_bars=0)
    with pytest.raises(DataError, match=r"shape \(100, 2\); expected one series"):
        gaussian_tail_risk(np.zeros((100, 2)), 0.01)
    lost = student_returns(0, 200)
    lost[3] = -1.0
    with pytest.raises(DataError, match="1 returns were -1 or less"):
        historical_tail_risk(lost, 0.05, horizon_bars=2)


@pytest.mark.parametrize("deviation", [-0.1, math.nan, math.inf])
def test_a_deviation_that_is_none_is_refused(deviation: float):
    with pytest.raises(DataError, match="mean and deviation were"):
        gaussian_tail(0.0, deviation, 0.01)
