import math

import numpy as np
import pytest

from trading_assets.backtest.bootstrap import (
    cagr_interval,
    paired_sharpe_difference,
    sharpe_interval,
)
from trading_assets.backtest.metrics import cagr, sharpe_annual
from trading_assets.bootstrap import optimal_block_bars, resampled_positions
from trading_assets_tests.dependent_series import autoregressive


def test_the_sharpe_interval_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(5)
    truth = 0.05 * math.sqrt(252)
    covered = 0
    for _ in range(200):
        returns = rng.normal(0.0005, 0.01, 252)
        positions = resampled_positions(252, 2.0, 200, rng)
        interval = sharpe_interval(returns, positions)
        covered += interval.low <= truth <= interval.high
    assert 0.90 <= covered / 200 <= 0.99


def test_intervals_contain_the_observed_figures():
    returns = autoregressive(0.2, 800, 1) + 0.001
    positions = resampled_positions(800, optimal_block_bars(returns), 500, np.random.default_rng(2))
    sharpe, growth = sharpe_interval(returns, positions), cagr_interval(returns, positions)
    assert sharpe.low < sharpe_annual(returns) < sharpe.high
    assert growth.low < cagr(returns) < growth.high


def test_a_real_advantage_has_a_small_p_value():
    rng = np.random.default_rng(8)
    market = rng.normal(0.0003, 0.01, 1000)
    better = market + rng.normal(0.0008, 0.003, 1000)
    positions = resampled_positions(1000, 3.0, 500, rng)
    result = paired_sharpe_difference(better, market, positions)
    assert result.low > 0
    assert result.p_value < 0.01
    assert result.difference == pytest.approx(sharpe_annual(better) - sharpe_annual(market))


def test_no_advantage_is_found_about_as_often_as_the_level_says():
    rng = np.random.default_rng(9)
    found = 0
    for _ in range(200):
        pair = rng.normal(0.0003, 0.01, (2, 400))
        positions = resampled_positions(400, 2.0, 200, rng)
        found += paired_sharpe_difference(pair[0], pair[1], positions).p_value <= 0.1
    assert 0.04 <= found / 200 <= 0.17


def test_a_difference_to_a_series_without_variance_is_undefined():
    positions = resampled_positions(50, 2.0, 100, np.random.default_rng(0))
    result = paired_sharpe_difference(autoregressive(0, 50, 0), np.full(50, 0.1), positions)
    assert math.isnan(result.difference)
    assert math.isnan(result.p_value)


def test_the_difference_to_cash_is_the_ratio_itself():
    returns = autoregressive(0.1, 300, 4) + 0.0005
    positions = resampled_positions(300, 2.0, 400, np.random.default_rng(0))
    result, interval = (
        paired_sharpe_difference(returns, np.zeros(300), positions),
        sharpe_interval(returns, positions),
    )
    assert result.difference == sharpe_annual(returns)
    assert (result.low, result.high) == (interval.low, interval.high)
