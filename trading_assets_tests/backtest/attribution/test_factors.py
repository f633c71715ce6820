"""Factors built from a universe, and returns regressed on them."""

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st

from trading_assets.backtest.attribution.factor_regression import (
    ALPHA,
    LEFT_OUT,
    RESIDUAL,
    regress_on_factors,
)
from trading_assets.backtest.attribution.factor_returns import FACTORS, build_factors
from trading_assets.backtest.attribution.profit_parts import EXACTNESS, relative_gap


def drawn(seed=0, bars=400, symbols=6):
    return np.random.default_rng(seed).normal(0.0003, 0.01, (bars, symbols))


def test_the_market_is_the_mean_of_symbols_with_a_return():
    returns = np.array([[0.01, 0.03], [np.nan, 0.02], [np.nan, np.nan]])
    market = build_factors(returns).market
    assert market[:2].tolist() == pytest.approx([0.02, 0.02])
    assert np.isnan(market[2])


def test_winners_of_twelve_months_to_one_are_held_against_losers():
    returns = np.zeros((254, 3))
    returns[100] = [0.10, 0.0, -0.10]
    # Of the last month nothing counts.
    returns[245] = [-0.5, 0.0, 0.9]
    returns[253] = [0.01, 0.02, 0.04]
    momentum = build_factors(returns).momentum
    assert np.isnan(momentum[:252]).all()
    assert momentum[253] == pytest.approx(0.01 - 0.04)


def test_calm_symbols_are_held_against_wild_ones():
    returns = np.tile([0.001, -0.01, 0.03], (64, 1))
    # What makes the first one wild is not known before.
    returns[63] = [0.5, 0.0, 0.02]
    assert build_factors(returns).low_volatility[63] == pytest.approx(0.5 - 0.02)
    assert np.isnan(build_factors(returns).low_volatility[62])


def test_symbols_that_were_hardly_traded_are_not_ranked():
    returns = drawn(symbols=3)
    returns[:300, 2] = np.nan
    ranked = build_factors(returns[:320])
    pair = build_factors(returns[:320, :2])
    np.testing.assert_array_equal(ranked.momentum, pair.momentum)


def test_one_symbol_has_no_long_and_short_side():
    factors = build_factors(drawn(symbols=1))
    assert np.isnan(factors.momentum).all()
    assert np.isnan(factors.low_volatility).all()


def test_a_session_changes_no_factor_before_it_and_no_rank_of_its_own():
    returns = drawn()
    later = returns.copy()
    later[350] += np.array([0.5, -0.3, 0.0, 0.2, 0.1, -0.1])
    before, after = build_factors(returns).stacked(), build_factors(later).stacked()
    np.testing.assert_array_equal(before[:350], after[:350])
    # Ranks at the close before are the same: the session's factor moves by its own returns alone.
    moved = after[350] - before[350]
    assert np.abs(moved[1:]).max() > 0.05
    assert moved[0] == pytest.approx((later[350] - returns[350]).mean())


def fitted(seed=0, bars=500, lag_noise=0.0):
    rng = np.random.default_rng(seed)
    factors = rng.normal(0.0, 0.01, (bars, 3))
    noise = rng.normal(0.0, 0.005, bars)
    noise[1:] += lag_noise * noise[:-1]
    returns = 0.0004 + factors @ np.array([0.8, -0.3, 0.0]) + noise
    return returns, factors


@pytest.mark.parametrize("lag_noise", [0.0, 0.8])
def test_coefficients_and_t_values_are_those_of_statsmodels(lag_noise):
    returns, factors = fitted(lag_noise=lag_noise)
    found = regress_on_factors(returns, factors, FACTORS)
    referee = sm.OLS(returns, sm.add_constant(factors)).fit(
        cov_type="HAC", cov_kwds={"maxlags": found.lag, "use_correction": False}
    )
    assert found.lag == 5
    np.testing.assert_allclose(found.coefficients, referee.params, rtol=1e-9)
    np.testing.assert_allclose(found.t_values, referee.tvalues, rtol=1e-9)
    assert found.r_squared == pytest.approx(referee.rsquared)
    assert found.names == (ALPHA, *FACTORS)


@given(st.integers(0, 10_000), st.floats(0.0, 0.4))
def test_parts_add_up_to_the_sum_of_returns(seed, unknown):
    returns, factors = fitted(seed, 200)
    rng = np.random.default_rng(seed)
    factors[rng.random(200) < unknown, rng.integers(3)] = np.nan
    found = regress_on_factors(returns, factors, FACTORS)
    assert relative_gap(tuple(found.parts.values()), found.total) <= EXACTNESS
    assert found.total == pytest.approx(returns.sum())
    assert abs(found.parts[RESIDUAL]) < 1e-12
    is_left_out = ~np.isfinite(factors).all(axis=1)
    assert found.parts[LEFT_OUT] == pytest.approx(returns[is_left_out].sum())
    assert found.sessions == 200 - is_left_out.sum()


def test_factors_that_are_never_known_or_say_the_same_are_left_out():
    returns, factors = fitted()
    factors[:, 1] = np.nan
    factors[:, 2] = 2.0 * factors[:, 0] + 0.001
    found = regress_on_factors(returns, factors, FACTORS)
    assert found.names == (ALPHA, "market")
    assert found.left_out == ("momentum", "low_volatility")
    assert found.sessions == 500


def test_an_exact_copy_of_a_factor_has_exposure_1_and_no_alpha():
    _, factors = fitted()
    found = regress_on_factors(factors[:, 0].copy(), factors, FACTORS)
    assert found.coefficients == pytest.approx((0.0, 1.0, 0.0, 0.0), abs=1e-12)
    assert found.r_squared == pytest.approx(1.0)


def test_too_few_sessions_tell_nothing():
    returns, factors = fitted(bars=39)
    assert regress_on_factors(returns, factors, FACTORS) is None
    assert regress_on_factors(returns[:0], factors[:0], FACTORS) is None
    nothing = np.full_like(factors, np.nan)
    assert regress_on_factors(returns, nothing, FACTORS) is None
