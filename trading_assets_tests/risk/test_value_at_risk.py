"""The entry point: what was declared is measured, or what took its place and why."""

import math

import numpy as np
import pytest
from pydantic import ValidationError

from trading_assets.errors import DataError
from trading_assets.risk.cornish_fisher import cornish_fisher_tail_risk
from trading_assets.risk.filtered_history import (
    Horizon,
    ewma_filtered_tail_risk,
    garch_filtered_tail_risk,
)
from trading_assets.risk.garch import GarchModel, fit_garch
from trading_assets.risk.tail_risk import gaussian_tail_risk, historical_tail_risk
from trading_assets.risk.value_at_risk import measure_tail_risk
from trading_assets.tail_risk_specs import TailRiskMethod, TailRiskSpec
from trading_assets_tests.risk.return_paths import garch_returns

RETURNS = garch_returns(0, 900)
LAST = RETURNS[-600:]
METHODS: tuple[TailRiskMethod, ...] = (
    "historical",
    "gaussian",
    "cornish_fisher",
    "ewma_filtered",
    "garch_filtered",
)


def spec_of(method: TailRiskMethod, **values: object) -> TailRiskSpec:
    return TailRiskSpec.model_validate({"method": method, "window_bars": 600, **values})


@pytest.mark.parametrize("horizon", [1, 10])
def test_the_declared_method_measures_the_last_window(horizon: int):
    ahead = Horizon(horizon, 10_000, 3)
    expected = {
        "historical": historical_tail_risk(LAST, 0.05, horizon),
        "gaussian": gaussian_tail_risk(LAST, 0.05, horizon),
        "cornish_fisher": cornish_fisher_tail_risk(LAST, 0.05, horizon),
        "ewma_filtered": ewma_filtered_tail_risk(LAST, 0.05, 0.9, ahead),
        "garch_filtered": garch_filtered_tail_risk(LAST, 0.05, fit_garch(LAST), ahead),
    }
    assert len({risk.value_at_risk for risk in expected.values()}) == 5
    for method in METHODS:
        spec = spec_of(method, tail=0.05, horizon_bars=horizon, decay=0.9)
        found = measure_tail_risk(RETURNS, spec, seed=3)
        assert (found.method, found.replaced, found.bars) == (method, (), 600)
        assert found.risk == expected[method]


def test_a_model_that_was_fitted_before_is_used():
    model = GarchModel(0.0, 1e-6, 0.05, 0.9, 5.0, 1e-4)
    found = measure_tail_risk(RETURNS, spec_of("garch_filtered"), model=model)
    assert found.risk == garch_filtered_tail_risk(LAST, 0.01, model)


def test_outside_the_domain_of_an_expansion_the_sample_is_taken_as_it_is():
    returns = RETURNS.copy()
    returns[-5:] = -0.2
    found = measure_tail_risk(returns, spec_of("cornish_fisher"))
    assert found.method == "historical"
    assert found.risk == historical_tail_risk(returns[-600:], 0.01)
    assert [one.method for one in found.replaced] == ["cornish_fisher"]
    assert "expected them in the domain" in found.replaced[0].reason


def test_what_no_model_fits_is_replaced_twice_where_nothing_moves():
    found = measure_tail_risk(np.zeros(700), spec_of("garch_filtered"))
    assert found.method == "historical"
    assert found.risk.value_at_risk == 0.0
    assert [one.method for one in found.replaced] == ["garch_filtered", "ewma_filtered"]
    assert all("expected" in one.reason for one in found.replaced)


@pytest.mark.parametrize("method", METHODS)
def test_too_few_or_broken_returns_are_refused(method: TailRiskMethod):
    with pytest.raises(DataError, match="599 returns were given; expected at least 600"):
        measure_tail_risk(RETURNS[:599], spec_of(method))
    broken = RETURNS.copy()
    broken[-1] = math.inf
    with pytest.raises(DataError, match="1 of 900 returns were not finite"):
        measure_tail_risk(broken, spec_of(method))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"tail": 0.0}, "greater than 0"),
        ({"tail": 0.5}, r"less than 0\.5"),
        ({"tail": math.nan}, "finite"),
        ({"horizon_bars": 0}, "greater than or equal to 1"),
        ({"decay": 1.0}, "less than 1"),
        ({"decay": -0.1}, "greater than 0"),
        ({"method": "magic"}, "historical"),
        ({"windw_bars": 3}, "Extra inputs"),
        ({"paths": 1_000, "tail": 0.0005, "window_bars": 5_000}, "expected one in the tail"),
        ({"method": "historical", "window_bars": 108, "horizon_bars": 10}, "at least 109"),
        ({"method": "ewma_filtered", "window_bars": 162}, "at least 163"),
        ({"method": "garch_filtered", "window_bars": 249, "tail": 0.05}, "at least 250"),
    ],
)
def test_a_declaration_that_cannot_be_measured_is_refused(values: dict[str, object], said: str):
    with pytest.raises(ValidationError, match=said):
        TailRiskSpec.model_validate(values)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("tail", [0.01, 0.05, 0.003])
def test_the_shortest_window_that_is_allowed_can_be_measured(method: TailRiskMethod, tail: float):
    for horizon in (1, 63):
        values = {"method": method, "tail": tail, "horizon_bars": horizon}
        for bars in range(100, 600):
            try:
                spec = TailRiskSpec.model_validate({**values, "window_bars": bars})
            except ValidationError:
                continue
            assert measure_tail_risk(RETURNS, spec).bars == bars
            break
