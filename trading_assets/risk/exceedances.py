"""Whether losses went beyond a value at risk as often as promised, and one at a time.

Sources: Kupiec, Techniques for Verifying the Accuracy of Risk Measurement Models, Journal of
Derivatives 3(2), 1995; Christoffersen, Evaluating Interval Forecasts, International Economic Review
39(4), 1998.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trading_assets.errors import DataError
from trading_assets.risk.return_samples import Series, require_returns, require_tail


@dataclass(frozen=True, slots=True)
class LikelihoodRatio:
    """A likelihood-ratio test.

    Attributes
    ----------
    statistic : float
        Twice the difference of log-likelihoods, not negative.
    p_value : float
        Probability of one as large under the hypothesis, by the chi-squared distribution, which
        holds for many bars.
    """

    statistic: float
    p_value: float


def find_exceedances(returns: Series, value_at_risk: Series) -> NDArray[np.bool_]:
    """Return the bars whose loss was beyond the value at risk that was forecast, bool (T,).

    Parameters
    ----------
    returns : float64 (T,)
        Simple returns of the bars.
    value_at_risk : float64 (T,)
        Forecasts for the same bars, losses positive.

    Raises
    ------
    DataError
        If the series are of different lengths, empty, or not finite.
    """
    require_forecasts(returns, value_at_risk, "value_at_risk")
    return returns < -value_at_risk


def require_forecasts(returns: Series, forecasts: Series, name: str) -> None:
    """Refuse forecasts that are not finite, or not one for each return.

    Raises
    ------
    DataError
        Naming what is wrong.
    """
    require_returns(returns, 1)
    if forecasts.shape != returns.shape:
        msg = (
            f"{name} had the shape {forecasts.shape} and returns {returns.shape}; expected one"
            " forecast for each return"
        )
        raise DataError(msg)
    broken = int((~np.isfinite(forecasts)).sum())
    if broken:
        msg = (
            f"{broken} of {len(forecasts)} forecasts of {name} were not finite; expected none:"
            " leave out bars before the first full window"
        )
        raise DataError(msg)


def judge_coverage(exceedances: int, bars: int, tail: float) -> LikelihoodRatio:
    """Return Kupiec's test that exceedances have the probability that was promised.

    Parameters
    ----------
    exceedances : int
        Bars beyond the value at risk.
    bars : int
        Bars that it was forecast for.
    tail : float
        p, the probability that was promised, in (0, 0.5).

    Raises
    ------
    DataError
        If there are no bars, more exceedances than bars, or the tail is out of range.
    """
    require_tail(tail)
    if bars < 1 or not 0 <= exceedances <= bars:
        msg = f"exceedances were {exceedances} of {bars} bars; expected 0 to bars, of at least 1"
        raise DataError(msg)
    promised = _log_likelihood(exceedances, bars - exceedances, tail)
    observed = _log_likelihood(exceedances, bars - exceedances, exceedances / bars)
    return _ratio(observed - promised, 1)


def judge_independence(beyond: NDArray[np.bool_]) -> LikelihoodRatio:
    """Return Christoffersen's test that an exceedance says nothing of the next bar.

    Against a Markov chain of first order. Where no bar is beyond, or all are, nothing speaks
    against it: statistic 0.

    Parameters
    ----------
    beyond : bool (T,)
        Whether each bar was beyond its value at risk, in order.

    Raises
    ------
    DataError
        If there are fewer than 2 bars.
    """
    if beyond.ndim != 1 or len(beyond) < 2:
        msg = f"exceedances had the shape {beyond.shape}; expected a series of at least 2 bars"
        raise DataError(msg)
    before, after = beyond[:-1], beyond[1:]
    calm_calm, calm_hit = int((~before & ~after).sum()), int((~before & after).sum())
    hit_calm, hit_hit = int((before & ~after).sum()), int((before & after).sum())
    chained = _best_likelihood(calm_hit, calm_calm) + _best_likelihood(hit_hit, hit_calm)
    return _ratio(chained - _best_likelihood(calm_hit + hit_hit, calm_calm + hit_calm), 1)


def judge_conditional_coverage(beyond: NDArray[np.bool_], tail: float) -> LikelihoodRatio:
    """Return Christoffersen's test of both: the promised probability, at every bar anew.

    The sum of both statistics, with two degrees of freedom.

    Parameters
    ----------
    beyond : bool (T,)
        Whether each bar was beyond its value at risk, in order.
    tail : float
        p, the probability that was promised, in (0, 0.5).

    Raises
    ------
    DataError
        If there are fewer than 2 bars or the tail is out of range.
    """
    apart = judge_independence(beyond)
    often = judge_coverage(int(beyond.sum()), len(beyond), tail)
    return _ratio((often.statistic + apart.statistic) / 2.0, 2)


def _best_likelihood(hits: int, misses: int) -> float:
    return _log_likelihood(hits, misses, hits / max(hits + misses, 1))


def _log_likelihood(hits: int, misses: int, probability: float) -> float:
    """Return the log-likelihood of independent bars; what did not happen counts nothing."""
    of_hits = hits * math.log(probability) if hits else 0.0
    return of_hits + (misses * math.log1p(-probability) if misses else 0.0)


def _ratio(log_likelihood_gain: float, degrees_of_freedom: int) -> LikelihoodRatio:
    from scipy.special import chdtrc

    statistic = max(2.0 * log_likelihood_gain, 0.0)
    return LikelihoodRatio(statistic, float(chdtrc(degrees_of_freedom, statistic)))
