import numpy as np
import pytest

from trading_assets.features.newey_west import choose_lag, newey_west_t
from trading_assets_tests.features.labelled_tables import lasting_noise


@pytest.mark.parametrize("lag", [0, 4, 10])
def test_the_newey_west_t_is_that_of_statsmodels(lag: int):
    from statsmodels.regression.linear_model import OLS

    series = 0.1 + lasting_noise(np.random.default_rng(3), (250,), 0.7)
    fit = OLS(series, np.ones(250)).fit(cov_type="HAC", cov_kwds={"maxlags": lag})
    assert newey_west_t(series, lag) == pytest.approx(fit.tvalues[0], rel=1e-9)


def test_an_unknown_value_keeps_its_place_in_time():
    series = 0.1 + lasting_noise(np.random.default_rng(4), (60,), 0.7)
    series[[0, 20, 21, 40]] = np.nan
    known = np.flatnonzero(~np.isnan(series))
    apart = series[known] - series[known].mean()
    weights = np.maximum(1.0 - np.abs(known[:, None] - known) / 7.0, 0.0)
    error = np.sqrt(apart @ weights @ apart) / len(known)
    assert newey_west_t(series, 6) == pytest.approx(series[known].mean() / error, rel=1e-12)


def test_equal_or_too_few_values_have_no_t():
    assert np.isnan(newey_west_t(np.full(50, 0.1), 3))
    assert np.isnan(newey_west_t(np.array([np.nan, 1.0]), 3))


def test_the_lag_covers_twice_the_overlap_and_more_in_long_windows():
    assert choose_lag(756, 5) == 10
    assert choose_lag(756, 1) == 6
    assert choose_lag(756, 21) == 42
