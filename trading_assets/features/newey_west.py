"""How sure the mean of a series is whose values depend on those before them."""

import math

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def newey_west_t(values: Array, lag: int) -> float:
    """Return the t statistic of the mean of a series, robust to autocorrelation up to `lag`.

    `mean / sqrt((S_0 + 2 sum_{k=1}^{L} (1 - k / (L + 1)) S_k) / n^2)`, `S_k` the sum of
    `e_t e_{t+k}` and `e` the deviation from the mean (Newey and West, A Simple, Positive
    Semi-Definite, Heteroskedasticity and Autocorrelation Consistent Covariance Matrix, Econometrica
    55(3), 1987). Unknown values keep their place in time with a deviation of 0 (Datta and Du,
    Nonparametric HAC Estimation for Time Series Data with Missing Observations, International
    Finance Discussion Papers 1060, 2012).

    Parameters
    ----------
    values : float64 (T,)
        In time order, nan where unknown.
    lag : int
        L, sessions.

    Returns
    -------
    float
        nan for fewer than 2 known values, or equal ones.
    """
    known = values[~np.isnan(values)]
    if len(known) < 2 or np.ptp(known) <= 1e-12 * np.abs(known).max():
        return math.nan
    mean = float(known.mean())
    deviations = np.nan_to_num(values - mean, nan=0.0)
    long_run = float((deviations * deviations).sum())
    for step in range(1, min(lag, len(values) - 1) + 1):
        shared = float((deviations[step:] * deviations[:-step]).sum())
        long_run += 2.0 * (1.0 - step / (lag + 1)) * shared
    # Positive semi-definite, so at worst a rounding error away from 0.
    return mean * len(known) / math.sqrt(long_run) if long_run > 0.0 else math.nan


def choose_lag(ic_sessions: int, horizon_bars: int) -> int:
    """Return the lag, sessions, for rank-ICs of labels that overlap.

    The larger of `2 horizon_bars` and `4 (n / 100)^(2/9)` (Newey and West, Automatic Lag Selection
    in Covariance Matrix Estimation, Review of Economic Studies 61(4), 1994). With the overlap
    itself, `horizon_bars - 1`, the falling weights miss a third of the variance of a lasting
    feature: of noise at horizon 5 some 10 % then shows |t| > 2, with this lag 5 to 8 %.
    """
    return max(2 * horizon_bars, math.floor(4.0 * (ic_sessions / 100.0) ** (2.0 / 9.0)))


def two_sided_p(t: float, ic_sessions: int, lag_sessions: int) -> float:
    """Return the probability that noise shows a larger |t|.

    By Student's t with 1.5 n / (L + 1) degrees of freedom, those of a Bartlett window (Priestley,
    Spectral Analysis and Time Series, 1981, section 6.2).
    """
    from scipy.special import stdtr

    return 2.0 * float(stdtr(1.5 * ic_sessions / (lag_sessions + 1), -abs(t)))
