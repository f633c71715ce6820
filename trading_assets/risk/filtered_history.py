"""Filtered historical simulation: past surprises at the size that is expected of the bar to come.

Returns are divided by the deviation that was expected of them, and what is left is a sample that
the next bar draws from, times the deviation expected of it. Sources: Hull and White, Incorporating
Volatility Updating into the Historical Simulation Method, Journal of Risk 1(1), 1998; Barone-Adesi,
Giannopoulos and Vosper, VaR without Correlations, Journal of Futures Markets 19 (1999).
"""

from dataclasses import dataclass

import numpy as np

from trading_assets.risk.garch import GarchModel
from trading_assets.risk.return_samples import (
    InapplicableError,
    Series,
    least_returns,
    require_horizon,
    require_returns,
    require_tail,
)
from trading_assets.risk.tail_risk import TailRisk, historical_tail_risk
from trading_assets.risk.variance_filter import ewma_variance
from trading_assets.tail_risk_specs import WARM_UP_BARS

# Below it a bar's deviation, a thousandth of a basis point, is that of nothing.
_STILL_VARIANCE = 1e-14


@dataclass(frozen=True, slots=True)
class Horizon:
    """How far ahead losses are simulated.

    Attributes
    ----------
    bars : int
        Bars that a loss is made over; with 1 nothing is simulated.
    paths : int
        Simulated paths.
    seed : int
        Of the draws.
    """

    bars: int = 1
    paths: int = 10_000
    seed: int = 0


ONE_BAR = Horizon()


def ewma_filtered_tail_risk(
    returns: Series, tail: float, decay: float = 0.94, horizon: Horizon = ONE_BAR
) -> TailRisk:
    """Return the tail risk of the bars to come, filtered by exponentially weighted variance.

    Parameters
    ----------
    returns : float64 (T,)
        Simple returns before the bar that is forecast, oldest first. The first `WARM_UP_BARS` are
        filtered from, not drawn.
    tail : float
        p, in (0, 0.5).
    decay : float
        As in `variance_filter.ewma_variance`.
    horizon : Horizon
        Of the loss.

    Raises
    ------
    InapplicableError
        If the variance of a bar is 0.
    DataError
        If there are too few returns for a loss in the tail, one is not finite, or a number is out
        of range.
    """
    _require_sample(returns, tail, horizon)
    recursion = _Recursion(mean=0.0, omega=0.0, alpha=1.0 - decay, beta=decay)
    return _simulated(returns, ewma_variance(returns, decay), recursion, tail, horizon)


def garch_filtered_tail_risk(
    returns: Series, tail: float, model: GarchModel, horizon: Horizon = ONE_BAR
) -> TailRisk:
    """Return the tail risk of the bars to come, filtered by a GARCH model.

    Parameters
    ----------
    returns : float64 (T,)
        As in `ewma_filtered_tail_risk`.
    tail : float
        p, in (0, 0.5).
    model : GarchModel
        Fitted on returns before the bar that is forecast.
    horizon : Horizon
        Of the loss.

    Raises
    ------
    DataError
        As `ewma_filtered_tail_risk` does.
    """
    _require_sample(returns, tail, horizon)
    recursion = _Recursion(model.mean, model.omega, model.alpha, model.beta)
    return _simulated(returns, model.filter_variance(returns), recursion, tail, horizon)


@dataclass(frozen=True, slots=True)
class _Recursion:
    """`v_(t+1) = omega + alpha (r_t - mean)^2 + beta v_t`."""

    mean: float
    omega: float
    alpha: float
    beta: float


def _simulated(
    returns: Series, variance: Series, recursion: _Recursion, tail: float, horizon: Horizon
) -> TailRisk:
    known = variance[WARM_UP_BARS:]
    if float(known.min()) <= _STILL_VARIANCE:
        msg = (
            f"the variance expected of a bar was {float(known.min()):.3g}; expected returns that"
            " move in every stretch of the window: measure by another method"
        )
        raise InapplicableError(msg)
    surprises = (returns[WARM_UP_BARS:] - recursion.mean) / np.sqrt(known[:-1])
    if horizon.bars > 1:
        paths = _paths(surprises, float(known[-1]), recursion, horizon)
        return historical_tail_risk(paths, tail)
    standard = historical_tail_risk(surprises, tail)
    deviation = float(np.sqrt(known[-1]))
    return TailRisk(
        value_at_risk=deviation * standard.value_at_risk - recursion.mean,
        expected_shortfall=deviation * standard.expected_shortfall - recursion.mean,
    )


def _paths(
    surprises: Series, next_variance: float, recursion: _Recursion, horizon: Horizon
) -> Series:
    """Return what is earned over the horizon on each path, float64 (paths,)."""
    rng = np.random.default_rng(horizon.seed)
    variance = np.full(horizon.paths, next_variance)
    growth = np.ones(horizon.paths)
    for _ in range(horizon.bars):
        moves = np.sqrt(variance) * rng.choice(surprises, horizon.paths)
        # What has lost everything has nothing left to lose.
        growth *= np.maximum(1.0 + recursion.mean + moves, 0.0)
        variance = recursion.omega + recursion.alpha * moves**2 + recursion.beta * variance
    return growth - 1.0


def _require_sample(returns: Series, tail: float, horizon: Horizon) -> None:
    require_tail(tail)
    require_horizon(horizon.bars)
    require_returns(returns, least_returns(tail) + WARM_UP_BARS)
