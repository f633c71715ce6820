"""Exponentially weighted variance, held against its definition and the market core's own."""

import math

import numpy as np
import pytest

from trading_assets.errors import DataError
from trading_assets.risk.variance_filter import ewma_variance, forecast_volatility
from trading_assets.simulation.market import ewma_volatility
from trading_assets_tests.risk.return_paths import garch_returns


def test_variance_is_the_weighted_mean_of_squares_before_a_bar():
    returns = garch_returns(0, 40)
    found = ewma_variance(returns, 0.9)
    assert math.isnan(found[0])
    for bar in range(1, 41):
        weights = 0.9 ** np.arange(bar)[::-1]
        expected = (weights * returns[:bar] ** 2).sum() / weights.sum()
        assert found[bar] == pytest.approx(expected, rel=1e-12)


def test_variance_is_that_of_the_market_core_a_bar_later():
    returns = garch_returns(1, 300)
    expected = ewma_volatility(returns[:, None])[:, 0] ** 2
    np.testing.assert_allclose(ewma_variance(returns)[1:], expected, rtol=1e-9)


@pytest.mark.parametrize("bar", [1, 50, 199])
def test_variance_of_a_bar_does_not_change_with_the_bar_or_later_ones(bar: int):
    returns = garch_returns(2, 200)
    altered = returns.copy()
    altered[bar:] = 9.0
    found, again = ewma_variance(returns), ewma_variance(altered)
    np.testing.assert_array_equal(found[: bar + 1], again[: bar + 1])
    assert found[bar + 1] != again[bar + 1]


def test_an_annual_volatility_counts_the_bars_of_a_year():
    returns = garch_returns(3, 100)
    daily = forecast_volatility(returns)
    assert daily == pytest.approx(math.sqrt(ewma_variance(returns)[-1]))
    assert forecast_volatility(returns, bars_per_year=252) == pytest.approx(math.sqrt(252) * daily)


@pytest.mark.parametrize("decay", [0.0, 1.0, -0.5, math.nan])
def test_a_decay_that_is_none_is_refused(decay: float):
    with pytest.raises(DataError, match="expected a share above 0 and below 1"):
        ewma_variance(garch_returns(0, 10), decay)


def test_what_is_no_series_is_refused():
    with pytest.raises(DataError, match="0 returns were given; expected at least 1"):
        ewma_variance(np.zeros(0))
    with pytest.raises(DataError, match="29 returns were given; expected at least 30"):
        forecast_volatility(garch_returns(0, 29))
    with pytest.raises(DataError, match="1 of 3 returns were not finite"):
        ewma_variance(np.array([0.1, math.inf, 0.2]))
