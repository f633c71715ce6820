"""What a Sharpe ratio proves: its significance, corrected for many trials.

Closed forms take Sharpe ratios *of one bar* and the raw kurtosis (3 for a Gaussian). Sources:
Bailey and Lopez de Prado, The Sharpe Ratio Efficient Frontier, Journal of Risk 15(2), 2012, and The
Deflated Sharpe Ratio, Journal of Portfolio Management 40(5), 2014. Intervals and paired differences
are in `trading_assets.backtest.bootstrap`.
"""

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from trading_assets.backtest.metrics import Series, sharpe_per_bar

_EULER_GAMMA = 0.5772156649015329
_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class SharpeSample:
    """What the closed forms need to know of a return series.

    Attributes
    ----------
    sharpe : float
        Sharpe ratio of one bar.
    bars : int
        Number of returns.
    skewness : float
        Third standardised moment.
    kurtosis : float
        Fourth standardised moment, raw: 3 for a Gaussian.
    """

    sharpe: float
    bars: int
    skewness: float
    kurtosis: float

    @property
    def variance_factor(self) -> float:
        """`1 - g3 SR + (g4 - 1) / 4 SR^2`: the estimator's variance times `T - 1`."""
        return 1.0 - self.skewness * self.sharpe + (self.kurtosis - 1.0) / 4.0 * self.sharpe**2


def describe_sharpe(returns: Series) -> SharpeSample:
    """Return the Sharpe ratio of a series with its length and higher moments.

    Parameters
    ----------
    returns : float64 (T,)
        Net simple returns, one a bar. Without variance every moment is `nan`.
    """
    sharpe = sharpe_per_bar(returns)
    if math.isnan(sharpe):
        return SharpeSample(math.nan, len(returns), math.nan, math.nan)
    centred = returns - returns.mean()
    scale = math.sqrt(float(np.mean(centred**2)))
    return SharpeSample(
        sharpe=sharpe,
        bars=len(returns),
        skewness=float(np.mean((centred / scale) ** 3)),
        kurtosis=float(np.mean((centred / scale) ** 4)),
    )


def probabilistic_sharpe(sample: SharpeSample, benchmark: float = 0.0) -> float:
    """Return the probability that the true Sharpe ratio exceeds `benchmark`.

    `Phi((SR - SR0) sqrt(T - 1) / sqrt(1 - g3 SR + (g4 - 1) / 4 SR^2))`.

    Parameters
    ----------
    sample : SharpeSample
        Observed Sharpe ratio of one bar and its moments.
    benchmark : float
        SR0, a Sharpe ratio of one bar.
    """
    # With extreme moments the expansion's variance turns negative: the formula then says nothing.
    if math.isnan(sample.sharpe) or sample.variance_factor <= 0 or sample.bars < 2:
        return math.nan
    distance = (sample.sharpe - benchmark) * math.sqrt(sample.bars - 1)
    return _NORMAL.cdf(distance / math.sqrt(sample.variance_factor))


def expected_maximum_sharpe(trials: int, variance: float) -> float:
    """Return the Sharpe ratio that the best of `trials` worthless strategies is expected to show.

    `sqrt(V) ((1 - e) Phi^-1(1 - 1/N) + e Phi^-1(1 - 1/(N exp(1))))`, `e` the Euler-Mascheroni
    constant; 0 for a single trial, which nothing was selected from.

    Parameters
    ----------
    trials : int
        N, independent trials, at least 1.
    variance : float
        V, variance over the trials of their Sharpe ratios of one bar.
    """
    if trials < 1:
        msg = f"trials was {trials}; expected at least the one that is judged"
        raise ValueError(msg)
    if trials == 1:
        return 0.0
    largest = _NORMAL.inv_cdf(1.0 - 1.0 / trials)
    beyond = _NORMAL.inv_cdf(1.0 - 1.0 / (trials * math.e))
    return math.sqrt(variance) * ((1.0 - _EULER_GAMMA) * largest + _EULER_GAMMA * beyond)


def deflated_sharpe(sample: SharpeSample, trials: int, variance: float | None = None) -> float:
    """Return the probability that the true Sharpe ratio exceeds what `trials` would show by luck.

    Parameters
    ----------
    sample : SharpeSample
        Observed Sharpe ratio of one bar and its moments.
    trials : int
        Strategies tried, this one included.
    variance : float, optional
        Variance over the trials of their Sharpe ratios of one bar. Without it, the variance that
        worthless Gaussian trials of this length would show, `1 / (T - 1)`.
    """
    if math.isnan(sample.sharpe) or sample.bars < 2:
        return math.nan
    spread = 1.0 / (sample.bars - 1) if variance is None else variance
    return probabilistic_sharpe(sample, expected_maximum_sharpe(trials, spread))


def minimum_track_record_bars(
    sample: SharpeSample, benchmark: float = 0.0, confidence: float = 0.95
) -> float:
    """Return how many bars it takes to show that the Sharpe ratio exceeds `benchmark`.

    `1 + (1 - g3 SR + (g4 - 1) / 4 SR^2) (z / (SR - SR0))^2`.

    Parameters
    ----------
    sample : SharpeSample
        Observed Sharpe ratio of one bar and its moments; `bars` is not used.
    benchmark : float
        SR0, a Sharpe ratio of one bar.
    confidence : float
        One-sided confidence that fixes z.

    Returns
    -------
    float
        Bars, or `inf` where the observed ratio does not exceed the benchmark.
    """
    if math.isnan(sample.sharpe):
        return math.nan
    if sample.sharpe <= benchmark:
        return math.inf
    quantile = _NORMAL.inv_cdf(confidence)
    return 1.0 + sample.variance_factor * (quantile / (sample.sharpe - benchmark)) ** 2
