"""Rolling forecasts: what was known at the time, no more, and beyond as often as promised."""

import math

import numpy as np
import pytest

from trading_assets.errors import DataError
from trading_assets.risk.garch import fit_garch
from trading_assets.risk.rolling_tail_risk import forecast_tail_risk
from trading_assets.risk.value_at_risk import measure_tail_risk
from trading_assets.tail_risk_specs import TailRiskMethod, TailRiskSpec
from trading_assets_tests.risk.return_paths import (
    exceedances_of,
    expanded_returns,
    garch_returns,
    gaussian_returns,
    share_that_pass,
    student_returns,
)

METHODS: tuple[TailRiskMethod, ...] = (
    "historical",
    "gaussian",
    "cornish_fisher",
    "ewma_filtered",
    "garch_filtered",
)
RETURNS = garch_returns(11, 380)


def spec_of(method: TailRiskMethod, **values: object) -> TailRiskSpec:
    return TailRiskSpec.model_validate(
        {"method": method, "tail": 0.05, "window_bars": 300, "refit_bars": 25, **values}
    )


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("bar", [300, 325, 349, 379])
@pytest.mark.parametrize("altered", [0.5, -0.5])
def test_a_forecast_does_not_change_with_its_bar_or_later_ones(
    method: TailRiskMethod, bar: int, altered: float
):
    returns = RETURNS.copy()
    returns[bar:] = altered
    found, again = (forecast_tail_risk(series, spec_of(method)) for series in (RETURNS, returns))
    np.testing.assert_array_equal(found.value_at_risk[: bar + 1], again.value_at_risk[: bar + 1])
    np.testing.assert_array_equal(
        found.expected_shortfall[: bar + 1], again.expected_shortfall[: bar + 1]
    )


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("bar", [300, 333, 380])
def test_a_forecast_is_the_same_where_the_series_ends_before_it(method: TailRiskMethod, bar: int):
    whole = forecast_tail_risk(RETURNS, spec_of(method))
    ended = forecast_tail_risk(RETURNS[:bar], spec_of(method))
    np.testing.assert_array_equal(whole.value_at_risk[: bar + 1], ended.value_at_risk)


@pytest.mark.parametrize("method", METHODS)
def test_a_forecast_is_what_would_have_been_measured(method: TailRiskMethod):
    spec = spec_of(method)
    found = forecast_tail_risk(RETURNS, spec)
    assert found.value_at_risk.dtype == found.expected_shortfall.dtype == np.float64
    assert found.value_at_risk.shape == (381,)
    assert np.isnan(found.value_at_risk[:300]).all()
    for bar in (300, 312, 380):
        fitted = bar - (bar - 300) % 25
        model = fit_garch(RETURNS[fitted - 300 : fitted]) if method == "garch_filtered" else None
        expected = measure_tail_risk(RETURNS[:bar], spec, model=model)
        assert found.value_at_risk[bar] == expected.risk.value_at_risk
        assert found.expected_shortfall[bar] == expected.risk.expected_shortfall


def test_a_model_is_fitted_as_often_as_declared():
    assert forecast_tail_risk(RETURNS, spec_of("garch_filtered")).fits == 4
    assert forecast_tail_risk(RETURNS, spec_of("garch_filtered", refit_bars=80)).fits == 2
    assert forecast_tail_risk(RETURNS, spec_of("garch_filtered", refit_bars=81)).fits == 1
    assert forecast_tail_risk(RETURNS, spec_of("ewma_filtered")).fits == 0


def test_bars_that_another_method_served_are_counted():
    still = np.concatenate([np.zeros(310), RETURNS[:70]])
    found = forecast_tail_risk(still, spec_of("garch_filtered"))
    by_sample = forecast_tail_risk(still, spec_of("historical"))
    # Up to the second fit nothing had moved much, and the first window holds zeros only.
    assert 25 <= found.replaced_bars <= 81
    assert found.value_at_risk[300] == by_sample.value_at_risk[300] == 0.0
    assert by_sample.replaced_bars == 0


MATCHING = {
    "gaussian": gaussian_returns,
    "historical": student_returns,
    "cornish_fisher": expanded_returns,
    "ewma_filtered": garch_returns,
    "garch_filtered": garch_returns,
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("tail", "least", "most"), [(0.01, 4, 17), (0.05, 37, 64)])
def test_a_thousand_days_are_beyond_as_often_as_promised(
    method: TailRiskMethod, tail: float, least: int, most: int
):
    assert least <= exceedances_of(MATCHING[method](100), method, tail).sum() <= most


@pytest.mark.slow
def test_filtered_history_keeps_its_promise_where_a_gaussian_does_not():
    assert share_that_pass("garch_filtered", 50) >= 0.9
    assert share_that_pass("ewma_filtered", 50) >= 0.9
    assert share_that_pass("gaussian", 50) <= 0.6


def test_what_cannot_be_forecast_is_refused():
    with pytest.raises(DataError, match="horizon_bars was 2; expected 1"):
        forecast_tail_risk(RETURNS, spec_of("gaussian", horizon_bars=2))
    with pytest.raises(DataError, match="299 returns were given; expected at least 300"):
        forecast_tail_risk(RETURNS[:299], spec_of("gaussian"))
    holed = RETURNS.copy()
    holed[370] = math.nan
    with pytest.raises(DataError, match="1 of 380 returns were not finite"):
        forecast_tail_risk(holed, spec_of("gaussian"))
