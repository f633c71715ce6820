"""The Cornish-Fisher expansion, held against known numbers, quadrature and its own slope."""

import math
from statistics import NormalDist

import numpy as np
import pytest
from scipy import integrate, stats

from trading_assets.errors import DataError
from trading_assets.risk.cornish_fisher import (
    Shape,
    cornish_fisher_tail_risk,
    expand_quantile,
    shape_of,
)
from trading_assets.risk.return_samples import InapplicableError
from trading_assets.risk.tail_risk import gaussian_tail_risk

LAW = stats.norminvgauss(3.0, -0.8, loc=0.004, scale=0.02)
Z = NormalDist().inv_cdf(0.01)
INSIDE = [Shape(0.0, 0.0), Shape(-0.5, 3.0), Shape(0.3, 1.0), Shape(0.0, 7.9), Shape(1.0, 8.8)]
OUTSIDE = [
    Shape(0.1, 0.0),
    Shape(0.0, -0.1),
    Shape(0.0, 8.1),
    Shape(-1.0, 1.0),
    Shape(1.0, 8.9),
    Shape(-3.0, 20.0),
]


def skewed_returns(seed: int, bars: int = 4_000) -> np.ndarray:
    return LAW.rvs(bars, random_state=np.random.default_rng(seed))


def test_the_expansion_gives_the_known_quantile():
    assert expand_quantile(Z, Shape(-0.5, 3.0)) == pytest.approx(-3.30128, abs=5e-6)


def test_a_gaussian_is_left_as_it_is():
    assert expand_quantile(Z, Shape(0.0, 0.0)) == Z


@pytest.mark.parametrize("shape", [*INSIDE, *OUTSIDE])
def test_the_domain_is_where_the_expansion_rises(shape: Shape):
    s, k = shape.skewness, shape.excess_kurtosis
    z = np.linspace(-30.0, 30.0, 60_001)
    values = z + (z**2 - 1) * s / 6 + (z**3 - 3 * z) * k / 24 - (2 * z**3 - 5 * z) * s**2 / 36
    assert shape.is_monotone == bool((np.diff(values) > 0.0).all()) == (shape in INSIDE)


@pytest.mark.parametrize("shape", OUTSIDE)
def test_outside_its_domain_the_expansion_is_refused(shape: Shape):
    with pytest.raises(InapplicableError, match="in the domain where the Cornish-Fisher expansion"):
        expand_quantile(Z, shape)


@pytest.mark.parametrize("horizon", [1, 10])
@pytest.mark.parametrize("tail", [0.01, 0.05])
def test_a_skewed_sample_is_measured_by_its_moments(tail: float, horizon: int):
    returns = skewed_returns(0)
    mean, deviation = horizon * returns.mean(), math.sqrt(horizon) * returns.std(ddof=1)
    shape = Shape(
        float(stats.skew(returns)) / math.sqrt(horizon), float(stats.kurtosis(returns)) / horizon
    )

    def loss(z: float) -> float:
        return -(mean + deviation * expand_quantile(z, shape))

    z = stats.norm.ppf(tail)
    beyond, _ = integrate.quad(lambda x: loss(x) * stats.norm.pdf(x), -12.0, z)
    found = cornish_fisher_tail_risk(returns, tail, horizon)
    assert found.value_at_risk == pytest.approx(loss(z), rel=1e-9)
    assert found.expected_shortfall == pytest.approx(beyond / tail, rel=1e-7)


def test_a_skewed_sample_loses_more_than_a_gaussian():
    returns = skewed_returns(1)
    found, gaussian = (m(returns, 0.01) for m in (cornish_fisher_tail_risk, gaussian_tail_risk))
    true = -LAW.ppf(0.01)
    assert abs(found.value_at_risk - true) < 0.4 * abs(gaussian.value_at_risk - true)


def test_moments_are_those_of_scipy():
    returns = skewed_returns(2)
    shape = shape_of(returns)
    assert shape.skewness == pytest.approx(stats.skew(returns))
    assert shape.excess_kurtosis == pytest.approx(stats.kurtosis(returns))


def test_a_book_that_never_moves_has_no_risk():
    assert cornish_fisher_tail_risk(np.zeros(100), 0.01).value_at_risk == 0.0
    assert cornish_fisher_tail_risk(np.full(100, 0.01), 0.01).value_at_risk == pytest.approx(-0.01)


def test_what_is_no_sample_is_refused():
    with pytest.raises(DataError, match="29 returns were given"):
        cornish_fisher_tail_risk(skewed_returns(0, 29), 0.01)
    with pytest.raises(DataError, match=r"tail was 0\.5"):
        cornish_fisher_tail_risk(skewed_returns(0), 0.5)
    with pytest.raises(DataError, match="horizon_bars was 0"):
        cornish_fisher_tail_risk(skewed_returns(0), 0.01, 0)
    holed = skewed_returns(0)
    holed[5] = math.nan
    with pytest.raises(DataError, match="1 of 4000 returns were not finite"):
        cornish_fisher_tail_risk(holed, 0.01)
