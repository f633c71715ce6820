import math

import numpy as np
import pytest

from trading_assets.backtest import metrics

RETURNS = np.array([0.10, -0.05, 0.02, -0.10, 0.0, 0.20])
NONE = np.array([])


def test_cagr_compounds_to_a_year_of_252_bars():
    one_year = np.full(252, 1.1 ** (1 / 252) - 1)
    assert metrics.cagr(one_year) == pytest.approx(0.1, abs=1e-12)
    assert metrics.cagr(np.array([0.1, 0.1])) == pytest.approx(1.21**126 - 1)


def test_volatility_and_sharpe_follow_their_formulas():
    deviation = math.sqrt(sum((r - RETURNS.mean()) ** 2 for r in RETURNS) / 5)
    assert metrics.volatility_annual(RETURNS) == pytest.approx(deviation * math.sqrt(252))
    assert metrics.sharpe_annual(RETURNS) == pytest.approx(math.sqrt(252) * (0.17 / 6) / deviation)


def test_sortino_counts_losses_only():
    downside = math.sqrt((0.05**2 + 0.10**2) / 6)
    assert metrics.sortino_annual(RETURNS) == pytest.approx(math.sqrt(252) * (0.17 / 6) / downside)


def test_drawdown_is_measured_from_the_highest_value_so_far():
    # Values 1.1, 1.045, 1.0659, 0.95931, 0.95931, 1.151172: the trough is the fourth and fifth.
    assert metrics.max_drawdown(RETURNS) == pytest.approx(1 - 0.95931 / 1.1)
    assert metrics.max_drawdown_bars(RETURNS) == 4
    assert metrics.calmar(RETURNS) == pytest.approx(metrics.cagr(RETURNS) / (1 - 0.95931 / 1.1))


def test_a_loss_in_the_first_bar_is_a_drawdown():
    assert metrics.max_drawdown(np.array([-0.2, 0.1])) == pytest.approx(0.2)
    assert metrics.max_drawdown_bars(np.array([-0.2, 0.1])) == 2


def test_value_at_risk_is_a_positive_loss():
    returns = np.arange(-50, 51) / 1000.0
    assert metrics.value_at_risk(returns) == pytest.approx(0.045)
    assert metrics.conditional_value_at_risk(returns) == pytest.approx(0.0475)


def test_hit_rate_ignores_bars_without_a_return():
    assert metrics.hit_rate(RETURNS) == pytest.approx(3 / 5)


def test_turnover_and_exposure_are_means():
    assert metrics.turnover_annual(np.array([0.0, 0.02])) == pytest.approx(2.52)
    assert metrics.exposure(np.array([0.4, 0.6])) == pytest.approx(0.5)


def test_cost_share_is_undefined_without_a_gross_gain():
    assert metrics.cost_share(np.array([80.0, 20.0]), np.array([5.0, 5.0])) == pytest.approx(0.1)
    assert math.isnan(metrics.cost_share(np.array([-1.0]), np.array([1.0])))


@pytest.mark.parametrize(
    "metric",
    [
        metrics.cagr,
        metrics.volatility_annual,
        metrics.sharpe_annual,
        metrics.sortino_annual,
        metrics.max_drawdown,
        metrics.max_drawdown_bars,
        metrics.calmar,
        metrics.value_at_risk,
        metrics.conditional_value_at_risk,
        metrics.hit_rate,
        metrics.turnover_annual,
        metrics.exposure,
    ],
)
def test_no_bars_give_no_number(metric):
    assert math.isnan(metric(NONE))


def test_equal_returns_have_no_sharpe_ratio():
    assert math.isnan(metrics.sharpe_annual(np.full(100, 0.1)))
    assert math.isnan(metrics.sharpe_annual(np.zeros(100)))


def test_ruin_is_a_growth_of_minus_one():
    assert metrics.cagr(np.array([0.1, -1.0])) == -1.0
