"""Sizes of positions, held against hand numbers and the growth they are to keep."""

import math

import numpy as np
import pytest
from pydantic import ValidationError

from trading_assets.errors import DataError
from trading_assets.risk.sizing import (
    ExpectedReturn,
    kelly_weight,
    size_position,
    volatility_target_weight,
)
from trading_assets.risk.variance_filter import forecast_volatility
from trading_assets.sizing_specs import SizingSpec
from trading_assets_tests.risk.return_paths import gaussian_returns

# Deviation 1 % a day, about 16 % a year.
RETURNS = gaussian_returns(0, 400)
SPEC = SizingSpec()


def expected(mean: float, error: float = 0.0) -> ExpectedReturn:
    return ExpectedReturn(mean, deviation=0.01, error=error, prior=0.001)


def test_a_quarter_of_kelly_is_held():
    # 0.25 x 0.0002 / 0.0001.
    assert kelly_weight(expected(0.0002)) == pytest.approx(0.5)
    assert kelly_weight(expected(-0.0002), 0.1) == pytest.approx(-0.2)
    assert kelly_weight(expected(0.0)) == 0.0


def test_a_mean_that_is_not_sure_counts_less():
    # An error as large as the prior: half the mean, over 1e-4 + 1e-6.
    unsure = expected(0.0002, error=0.001)
    assert unsure.shrunk_mean == pytest.approx(0.0001)
    assert kelly_weight(unsure) == pytest.approx(0.25 * 0.0001 / 1.01e-4)
    assert ExpectedReturn(0.01, 0.01, 0.0, 0.0).shrunk_mean == 0.0
    assert ExpectedReturn(0.01, 0.01, 0.5, 0.0).shrunk_mean == 0.0


def test_full_kelly_of_the_shrunk_mean_grows_fastest_where_means_are_drawn():
    rng = np.random.default_rng(0)
    mean = 0.01 * rng.standard_normal(400_000)
    seen = mean + 0.02 * rng.standard_normal(400_000)
    earned = mean + 0.1 * rng.standard_normal(400_000)

    def utility(scale: float) -> float:
        case = ExpectedReturn(1.0, 0.1, 0.02, 0.01)
        weights = 4.0 * scale * kelly_weight(case) * seen
        return float(np.mean(weights * earned - weights**2 * earned**2 / 2.0))

    # The posterior variance, 0.1^2 + 0.00008, is a little less than the one that is divided by.
    best = utility(1.0)
    assert best > max(utility(0.5), utility(2.0))
    assert best > 0.0 > utility(5.0)


def test_a_position_is_sized_to_its_volatility():
    assert volatility_target_weight(0.16, 0.10) == pytest.approx(0.625)
    assert volatility_target_weight(0.05, 0.10) == pytest.approx(2.0)


def test_the_smallest_size_counts_and_is_named():
    annual = forecast_volatility(RETURNS, 0.94, 252)
    by_kelly = size_position(expected(0.0001), RETURNS, SPEC)
    assert (by_kelly.weight, by_kelly.binding) == (pytest.approx(0.25), "kelly")
    by_volatility = size_position(expected(0.01), RETURNS, SPEC)
    assert by_volatility.weight == pytest.approx(0.10 / annual)
    assert by_volatility.binding == "volatility_target"
    calm = size_position(expected(0.01), 0.1 * RETURNS, SPEC)
    assert (calm.weight, calm.binding) == (1.0, "max_leverage")
    lower = SizingSpec(max_leverage=0.2)
    assert size_position(expected(0.01), RETURNS, lower).weight == 0.2


def test_a_short_position_is_the_mirror_of_a_long_one():
    for mean in (0.0001, 0.01):
        long, short = (size_position(expected(m), RETURNS, SPEC) for m in (mean, -mean))
        assert short.weight == -long.weight < 0.0
        assert short.binding == long.binding


def test_without_an_edge_nothing_is_held():
    assert size_position(expected(0.0), RETURNS, SPEC).weight == 0.0


@pytest.mark.parametrize("fraction", [0.0, -0.1, 0.2501, 1.0, math.nan])
def test_more_than_a_quarter_of_kelly_is_refused(fraction: float):
    with pytest.raises(DataError, match="expected a share of Kelly above 0 and at most"):
        kelly_weight(expected(0.001), fraction)


@pytest.mark.parametrize(
    ("numbers", "said"),
    [
        ((math.nan, 0.01, 0.0, 0.0), "mean was nan"),
        ((math.inf, 0.01, 0.0, 0.0), "mean was inf"),
        ((0.0, 0.0, 0.0, 0.0), "deviation was 0"),
        ((0.0, -0.01, 0.0, 0.0), "deviation was -0"),
        ((0.0, math.nan, 0.0, 0.0), "deviation was nan"),
        ((0.0, 0.01, -0.1, 0.0), "error was -0"),
        ((0.0, 0.01, 0.0, -0.1), "prior was -0"),
        ((0.0, 0.01, math.nan, 0.1), "error was nan"),
        ((0.0, 0.01, 0.0, math.inf), "prior was inf"),
    ],
)
def test_expectations_that_are_none_are_refused(numbers: tuple[float, ...], said: str):
    with pytest.raises(DataError, match=said):
        ExpectedReturn(*numbers)


@pytest.mark.parametrize("volatility", [0.0, -0.1, math.nan, math.inf])
def test_volatilities_that_are_none_are_refused(volatility: float):
    with pytest.raises(DataError, match="volatility_annual was"):
        volatility_target_weight(volatility, 0.1)
    with pytest.raises(DataError, match="target_annual was"):
        volatility_target_weight(0.1, volatility)


def test_returns_that_say_nothing_are_refused():
    with pytest.raises(DataError, match=r"volatility_annual was 0\.0"):
        size_position(expected(0.001), np.zeros(100), SPEC)
    with pytest.raises(DataError, match="29 returns were given"):
        size_position(expected(0.001), RETURNS[:29], SPEC)
    with pytest.raises(DataError, match="1 of 400 returns were not finite"):
        size_position(expected(0.001), np.where(np.arange(400) == 7, math.nan, RETURNS), SPEC)


@pytest.mark.parametrize(
    "values",
    [
        {"kelly_fraction": 0.26},
        {"kelly_fraction": 0},
        {"target_volatility_annual": -0.1},
        {"max_leverage": 0},
        {"decay": 1},
        {"bars_per_year": 0},
        {"max_leverage": math.inf},
    ],
)
def test_declarations_out_of_range_are_refused(values: dict[str, float]):
    with pytest.raises(ValidationError):
        SizingSpec.model_validate(values)
