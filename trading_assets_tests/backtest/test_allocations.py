"""Textbook portfolio rules, held against their definitions and an independent optimiser."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn.covariance import LedoitWolf

from trading_assets.backtest.allocations import (
    LEAST_BARS,
    inverse_volatility_weights,
    mean_variance_weights,
    minimum_variance_weights,
    momentum_weights,
    trend_weights,
)

Rule = Callable[[np.ndarray], np.ndarray]
RULES: tuple[Rule, ...] = (
    inverse_volatility_weights,
    minimum_variance_weights,
    mean_variance_weights,
    momentum_weights,
    trend_weights,
)


def draw(seed: int, bars: int = 300, symbols: int = 6) -> np.ndarray:
    rng = np.random.default_rng(seed)
    common = 0.008 * rng.standard_normal((bars, 1)) * rng.uniform(0.5, 1.5, symbols)
    own = 0.01 * rng.standard_normal((bars, symbols)) * rng.uniform(0.5, 2.0, symbols)
    return common + own + rng.uniform(-0.0005, 0.001, symbols)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("seed", range(5))
def test_weights_are_long_and_hold_at_most_everything(rule: Rule, seed: int):
    weights = rule(draw(seed))
    assert (weights >= 0.0).all()
    assert weights.sum() <= 1.0 + 1e-12
    if rule in (inverse_volatility_weights, minimum_variance_weights, momentum_weights):
        assert weights.sum() == pytest.approx(1.0)


@pytest.mark.parametrize("rule", RULES)
def test_the_order_of_symbols_changes_nothing(rule: Rule):
    returns = draw(3)
    np.testing.assert_allclose(rule(returns[:, ::-1])[::-1], rule(returns), atol=1e-9)


@pytest.mark.parametrize("rule", RULES)
def test_what_is_older_than_a_year_changes_nothing(rule: Rule):
    returns = draw(4, bars=400)
    np.testing.assert_array_equal(rule(returns[-252:].copy()), rule(returns))


@pytest.mark.parametrize("rule", RULES)
def test_a_symbol_with_too_few_returns_is_not_held(rule: Rule):
    returns = draw(5)
    returns[: -LEAST_BARS + 1, 2] = np.nan
    weights = rule(returns)
    assert weights[2] == 0.0
    np.testing.assert_allclose(
        np.delete(weights, 2), rule(np.delete(returns, 2, axis=1)), atol=1e-9
    )


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("bars", [0, 1, 20])
def test_without_a_history_nothing_is_held(rule: Rule, bars: int):
    assert (rule(draw(1, bars=bars)) == 0.0).all()


@pytest.mark.parametrize("rule", RULES)
def test_a_symbol_that_is_gone_is_not_held(rule: Rule):
    returns = draw(6)
    returns[-1, 1] = np.nan
    assert rule(returns)[1] == 0.0


def sharpe(weights: np.ndarray, mean: np.ndarray, covariance: np.ndarray) -> float:
    return float(mean @ weights / np.sqrt(weights @ covariance @ weights))


@pytest.mark.parametrize("seed", range(8))
def test_least_variance_is_what_an_optimiser_finds(seed: int):
    returns = draw(seed)
    covariance = LedoitWolf().fit(returns[-252:]).covariance_
    found = minimum_variance_weights(returns)
    by_slsqp = minimize(
        lambda w: 1e4 * w @ covariance @ w,
        np.full(6, 1 / 6),
        method="SLSQP",
        bounds=[(0, 1)] * 6,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1},
        options={"ftol": 1e-14, "maxiter": 500},
    )
    assert by_slsqp.success
    np.testing.assert_allclose(found, by_slsqp.x, atol=1e-4)


@pytest.mark.parametrize("seed", range(8))
def test_no_weights_have_a_larger_ratio_of_mean_to_deviation(seed: int):
    returns = draw(seed)
    mean, covariance = returns[-252:].mean(axis=0), LedoitWolf().fit(returns[-252:]).covariance_
    found = mean_variance_weights(returns)
    best = sharpe(found, mean, covariance)
    others = np.random.default_rng(seed).dirichlet(np.full(6, 0.5), 4000)
    assert best >= max(sharpe(each, mean, covariance) for each in others)


def test_where_all_have_fallen_no_mean_is_worth_holding():
    returns = draw(2) - 0.01
    assert (mean_variance_weights(returns) == 0.0).all()
    assert (trend_weights(returns) == 0.0).all()
    assert momentum_weights(returns).sum() == pytest.approx(1.0)


def test_momentum_holds_the_third_that_rose_most_but_for_the_last_month():
    returns = np.full((260, 6), 0.0001)
    returns[:200, 4] = 0.002
    returns[:200, 1] = 0.001
    returns[-21:, 0] = 0.5
    assert momentum_weights(returns).tolist() == [0.0, 0.5, 0.0, 0.0, 0.5, 0.0]


def test_inverse_volatility_is_its_definition():
    returns = draw(7)
    inverse = 1.0 / returns[-63:].std(axis=0, ddof=1)
    np.testing.assert_allclose(inverse_volatility_weights(returns), inverse / inverse.sum())


def test_trend_sizes_what_rose_to_its_share_of_risk():
    returns = np.zeros((252, 2))
    returns[:, 0] = 0.001 + 0.02 * np.tile([1.0, -1.0], 126)
    returns[:, 1] = -0.001
    deviation = returns[-63:, 0].std(ddof=1) * np.sqrt(252)
    assert trend_weights(returns) == pytest.approx([0.5 * 0.1 / deviation, 0.0])
