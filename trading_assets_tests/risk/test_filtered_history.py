"""Filtered historical simulation, held against its definition by hand and against long draws."""

import math
from collections.abc import Callable

import numpy as np
import pytest

from trading_assets.errors import DataError
from trading_assets.risk.filtered_history import (
    ONE_BAR,
    Horizon,
    ewma_filtered_tail_risk,
    garch_filtered_tail_risk,
)
from trading_assets.risk.garch import GarchModel
from trading_assets.risk.return_samples import InapplicableError
from trading_assets.risk.tail_risk import TailRisk, historical_tail_risk
from trading_assets.tail_risk_specs import WARM_UP_BARS
from trading_assets_tests.risk.return_paths import garch_returns

MODEL = GarchModel(0.0005, 2e-6, 0.1, 0.88, 6.0, 1e-4)
Measure = Callable[..., TailRisk]


def by_garch(returns: np.ndarray, tail: float, horizon: Horizon = ONE_BAR) -> TailRisk:
    return garch_filtered_tail_risk(returns, tail, MODEL, horizon)


def by_ewma(returns: np.ndarray, tail: float, horizon: Horizon = ONE_BAR) -> TailRisk:
    return ewma_filtered_tail_risk(returns, tail, horizon=horizon)


def loop_variances(returns: np.ndarray, omega: float, alpha: float, beta: float) -> list[float]:
    found = [1e-4]
    for earned in returns:
        found.append(omega + alpha * (earned - 0.0005) ** 2 + beta * found[-1])
    return found


@pytest.mark.parametrize("tail", [0.01, 0.05])
def test_surprises_of_a_model_are_drawn_at_the_size_to_come(tail: float):
    returns = garch_returns(0, 600)
    variances = np.array(loop_variances(returns, 2e-6, 0.1, 0.88))
    surprises = (returns - 0.0005) / np.sqrt(variances[:-1])
    sample = historical_tail_risk(
        0.0005 + math.sqrt(variances[-1]) * surprises[WARM_UP_BARS:], tail
    )
    found = by_garch(returns, tail)
    assert found.value_at_risk == pytest.approx(sample.value_at_risk, rel=1e-9)
    assert found.expected_shortfall == pytest.approx(sample.expected_shortfall, rel=1e-9)


def test_surprises_of_a_weighted_mean_are_drawn_at_the_size_to_come():
    returns = garch_returns(1, 500)
    scaled: list[float] = []
    for bar in range(WARM_UP_BARS, 501):
        weights = 0.94 ** np.arange(bar)[::-1]
        deviation = math.sqrt((weights * returns[:bar] ** 2).sum() / weights.sum())
        if bar < 500:
            scaled.append(returns[bar] / deviation)
    sample = historical_tail_risk(deviation * np.array(scaled), 0.05)
    found = by_ewma(returns, 0.05)
    assert found.value_at_risk == pytest.approx(sample.value_at_risk, rel=1e-9)
    assert found.expected_shortfall == pytest.approx(sample.expected_shortfall, rel=1e-9)


@pytest.mark.parametrize("measure", [by_ewma, by_garch])
def test_after_large_moves_more_is_at_risk(measure: Measure):
    calm, wild = garch_returns(2, 600), garch_returns(2, 600)
    calm[-20:] *= 0.2
    wild[-20:] *= 3.0
    assert measure(wild, 0.01).value_at_risk > 2.0 * measure(calm, 0.01).value_at_risk


def test_several_bars_ahead_the_variance_is_carried_on():
    returns = garch_returns(4, 1_000)
    returns[-10:] *= 4.0
    rng = np.random.default_rng(9)
    variances = loop_variances(returns, 2e-6, 0.1, 0.88)
    surprises = (returns - 0.0005) / np.sqrt(variances[:-1])
    earned = np.empty(20_000)
    for path in range(len(earned)):
        variance, growth = variances[-1], 1.0
        for draw in rng.choice(surprises[WARM_UP_BARS:], 5):
            move = math.sqrt(variance) * draw
            growth *= 1.0 + 0.0005 + move
            variance = 2e-6 + 0.1 * move**2 + 0.88 * variance
        earned[path] = growth - 1.0
    expected = historical_tail_risk(earned, 0.05)
    found = by_garch(returns, 0.05, Horizon(bars=5, paths=100_000))
    assert found.value_at_risk == pytest.approx(expected.value_at_risk, rel=0.03)
    assert found.expected_shortfall == pytest.approx(expected.expected_shortfall, rel=0.04)


@pytest.mark.parametrize("measure", [by_ewma, by_garch])
def test_the_same_seed_draws_the_same_paths(measure: Measure):
    returns = garch_returns(5, 500)
    first, again, other = (measure(returns, 0.01, Horizon(10, 2_000, seed)) for seed in (4, 4, 5))
    assert first == again
    assert first != other


def test_no_path_loses_more_than_everything():
    returns = 20.0 * garch_returns(6, 400)
    found = by_ewma(returns, 0.01, Horizon(63, 2_000, 0))
    assert 0.5 < found.value_at_risk <= found.expected_shortfall <= 1.0


def test_returns_that_stand_still_cannot_be_filtered():
    returns = garch_returns(7, 400)
    returns[:200] = 0.0
    with pytest.raises(InapplicableError, match="variance expected of a bar was 0"):
        by_ewma(returns, 0.01)


@pytest.mark.parametrize("measure", [by_ewma, by_garch])
def test_what_says_too_little_is_refused(measure: Measure):
    returns = garch_returns(8, 400)
    with pytest.raises(DataError, match="162 returns were given; expected at least 163"):
        measure(returns[:162], 0.01)
    with pytest.raises(DataError, match="expected a probability above 0"):
        measure(returns, 0.7)
    with pytest.raises(DataError, match="horizon_bars was 0"):
        measure(returns, 0.01, Horizon(0))
    returns[3] = math.nan
    with pytest.raises(DataError, match="1 of 400 returns were not finite"):
        measure(returns, 0.01)
