"""Whether losses beyond a value at risk are as large as an expected shortfall promised.

Source: Acerbi and Szekely, Backtesting Expected Shortfall, Risk, December 2014, test 2.
"""

import math
from dataclasses import dataclass

import numpy as np

from trading_assets.errors import DataError
from trading_assets.risk.exceedances import find_exceedances, require_forecasts
from trading_assets.risk.return_samples import Series, require_tail

SAMPLES = 2_000


@dataclass(frozen=True, slots=True)
class ShortfallTest:
    """What losses beyond the value at risk say of the expected shortfall.

    Attributes
    ----------
    statistic : float
        Z2: 0 is expected of a right forecast, -1 where losses beyond it come to twice as much.
    p_value : float
        Probability of one as low if the forecast is right, by simulation: at least
        1 / (samples + 1).
    """

    statistic: float
    p_value: float


@dataclass(frozen=True, slots=True)
class ForecastTail:
    """What was forecast for T bars.

    Attributes
    ----------
    value_at_risk, expected_shortfall : float64 (T,)
        Losses positive, the second above the first.
    tail : float
        p, in (0, 0.5).
    degrees_of_freedom : float or None
        Of Student's t that returns are drawn from under the hypothesis, moved and scaled so that it
        has the value at risk and the shortfall of each bar; None for a Gaussian.
    """

    value_at_risk: Series
    expected_shortfall: Series
    tail: float
    degrees_of_freedom: float | None = None


def judge_shortfall(
    returns: Series, forecast: ForecastTail, samples: int = SAMPLES, seed: int = 0
) -> ShortfallTest:
    """Return the test that shortfalls were as forecast, against larger or more frequent ones.

    `Z2 = sum(r_t [r_t < -VaR_t] / ES_t) / (T p) + 1`.

    Parameters
    ----------
    returns : float64 (T,)
        Simple returns of the bars.
    forecast : ForecastTail
        Known before each of them.
    samples : int
        Series simulated under the hypothesis.
    seed : int
        Of the simulation.

    Raises
    ------
    DataError
        If the series are of different lengths or not finite, a shortfall is not positive or below
        its value at risk, or a number is out of range.
    """
    _require_forecast(returns, forecast, samples)
    at_risk, shortfall = forecast.value_at_risk, forecast.expected_shortfall
    expected = len(returns) * forecast.tail
    is_beyond = find_exceedances(returns, at_risk)
    statistic = float((returns[is_beyond] / shortfall[is_beyond]).sum()) / expected + 1.0
    standard = _standard_tail(forecast.tail, forecast.degrees_of_freedom)
    scale = (shortfall - at_risk) / (standard.shortfall - standard.quantile)
    location = scale * standard.quantile - at_risk
    rng = np.random.default_rng(seed)
    as_low = 0
    for _ in range(samples):
        drawn = _draw(rng, len(returns), forecast.degrees_of_freedom)
        hits = drawn < -standard.quantile
        earned = location[hits] + scale[hits] * drawn[hits]
        simulated = float((earned / shortfall[hits]).sum()) / expected + 1.0
        as_low += simulated <= statistic
    return ShortfallTest(statistic, (1 + as_low) / (1 + samples))


@dataclass(frozen=True, slots=True)
class _StandardTail:
    """Value at risk and shortfall of a standard Gaussian or Student's t, not scaled."""

    quantile: float
    shortfall: float


def _standard_tail(tail: float, freedom: float | None) -> _StandardTail:
    from scipy.special import gamma, ndtri, stdtrit

    if freedom is None:
        quantile = -float(ndtri(tail))
        density = math.exp(-0.5 * quantile**2) / math.sqrt(2.0 * math.pi)
        return _StandardTail(quantile, density / tail)
    quantile = -float(stdtrit(freedom, tail))
    half = 0.5 * (freedom + 1.0)
    height = float(gamma(half) / gamma(0.5 * freedom)) / math.sqrt(freedom * math.pi)
    density = height * (1.0 + quantile**2 / freedom) ** -half
    # McNeil, Frey and Embrechts, Quantitative Risk Management, 2015, example 2.15.
    return _StandardTail(quantile, density / tail * (freedom + quantile**2) / (freedom - 1.0))


def _draw(rng: np.random.Generator, bars: int, freedom: float | None) -> Series:
    return rng.standard_normal(bars) if freedom is None else rng.standard_t(freedom, bars)


def _require_forecast(returns: Series, forecast: ForecastTail, samples: int) -> None:
    at_risk, shortfall = forecast.value_at_risk, forecast.expected_shortfall
    require_tail(forecast.tail)
    require_forecasts(returns, at_risk, "value_at_risk")
    require_forecasts(returns, shortfall, "expected_shortfall")
    wrong = int(((shortfall <= 0.0) | (shortfall < at_risk)).sum())
    if wrong:
        msg = (
            f"expected_shortfall was 0 or less, or below value_at_risk, on {wrong} of"
            f" {len(returns)} bars; expected a loss at least as large on all"
        )
        raise DataError(msg)
    freedom = forecast.degrees_of_freedom
    if freedom is not None and not 1.0 < freedom <= 100.0:
        msg = (
            f"degrees_of_freedom was {freedom}; expected above 1, as a shortfall has no mean"
            " otherwise, to 100, or None for a Gaussian"
        )
        raise DataError(msg)
    if samples < 1:
        msg = f"samples was {samples}; expected at least 1"
        raise DataError(msg)
