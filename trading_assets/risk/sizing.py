"""How large a position may be: the smallest of what its edge, its risk and a cap on it allow."""

import math
from dataclasses import dataclass
from typing import Literal

from trading_assets.errors import DataError
from trading_assets.risk.return_samples import Series
from trading_assets.risk.variance_filter import forecast_volatility
from trading_assets.sizing_specs import SizingSpec

MOST_KELLY = 0.25

Binding = Literal["kelly", "volatility_target", "max_leverage"]


@dataclass(frozen=True, slots=True)
class ExpectedReturn:
    """What is expected of a bar, and how sure that is.

    Attributes
    ----------
    mean : float
        Estimate of the bar's expected return, before shrinking.
    deviation : float
        sigma, standard deviation of the return around its expectation, positive.
    error : float
        tau, standard error of the estimate, not negative.
    prior : float
        s, standard deviation of expected returns around 0 as they are mostly, not negative.

    Raises
    ------
    DataError
        If a number is not finite or out of range.
    """

    mean: float
    deviation: float
    error: float
    prior: float

    def __post_init__(self) -> None:
        _require_finite("mean", self.mean)
        _require_positive("deviation", self.deviation)
        for name, value in (("error", self.error), ("prior", self.prior)):
            _require_finite(name, value)
            if value < 0.0:
                msg = f"{name} was {value}; expected a standard deviation that is not negative"
                raise DataError(msg)

    @property
    def shrunk_mean(self) -> float:
        """`mu s^2 / (s^2 + tau^2)`: the posterior mean under a normal prior around 0."""
        total = self.prior**2 + self.error**2
        return self.mean * self.prior**2 / total if total > 0.0 else 0.0

    @property
    def variance(self) -> float:
        """`sigma^2 + tau^2`: what the return may be off by, the estimate's error included."""
        return self.deviation**2 + self.error**2


@dataclass(frozen=True, slots=True)
class PositionSize:
    """A weight, and what kept it from being larger.

    Attributes
    ----------
    weight : float
        Share of equity, negative for a short position.
    binding : {"kelly", "volatility_target", "max_leverage"}
        The size that was smallest; of equal ones the first.
    """

    weight: float
    binding: Binding


def kelly_weight(expected: ExpectedReturn, fraction: float = MOST_KELLY) -> float:
    """Return `k mu / (sigma^2 + tau^2)`, mu the shrunk mean; negative for a short position.

    Sources: Kelly, A New Interpretation of Information Rate, Bell System Technical Journal 35
    (1956); Thorp, The Kelly Criterion in Blackjack, Sports Betting and the Stock Market, 2006.

    Parameters
    ----------
    expected : ExpectedReturn
        Of the bar to come.
    fraction : float
        k, at most 0.25: a full Kelly bet of a mean that is not known loses.

    Raises
    ------
    DataError
        If the fraction is out of range.
    """
    if not 0.0 < fraction <= MOST_KELLY:
        msg = f"fraction was {fraction}; expected a share of Kelly above 0 and at most {MOST_KELLY}"
        raise DataError(msg)
    return fraction * expected.shrunk_mean / expected.variance


def volatility_target_weight(volatility_annual: float, target_annual: float) -> float:
    """Return the weight at which a position has the annual volatility that is wanted.

    Parameters
    ----------
    volatility_annual : float
        Expected of the asset, such as `variance_filter.forecast_volatility`; positive.
    target_annual : float
        Wanted of the position; positive.

    Raises
    ------
    DataError
        If one is not finite and positive.
    """
    _require_positive("volatility_annual", volatility_annual)
    _require_positive("target_annual", target_annual)
    return target_annual / volatility_annual


def size_position(expected: ExpectedReturn, returns: Series, spec: SizingSpec) -> PositionSize:
    """Return the smallest of fractional Kelly, the volatility target and the leverage cap.

    Parameters
    ----------
    expected : ExpectedReturn
        Of the bar to come; the sign of its mean is that of the position.
    returns : float64 (T,)
        Simple returns of the asset up to and including the last close, oldest first.
    spec : SizingSpec
        Sizes that the position is held to.

    Raises
    ------
    DataError
        If there are too few returns, one is not finite, or none has moved.
    """
    volatility = forecast_volatility(returns, spec.decay, spec.bars_per_year)
    kelly = kelly_weight(expected, spec.kelly_fraction)
    sizes: dict[Binding, float] = {
        "kelly": abs(kelly),
        "volatility_target": volatility_target_weight(volatility, spec.target_volatility_annual),
        "max_leverage": spec.max_leverage,
    }
    binding = min(sizes, key=sizes.__getitem__)
    return PositionSize(math.copysign(sizes[binding], kelly), binding)


def _require_finite(name: str, value: float) -> None:
    if not math.isfinite(value):
        msg = f"{name} was {value}; expected a finite number"
        raise DataError(msg)


def _require_positive(name: str, value: float) -> None:
    if not (math.isfinite(value) and value > 0.0):
        msg = f"{name} was {value}; expected a finite number above 0"
        raise DataError(msg)
