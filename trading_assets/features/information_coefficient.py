"""How far values go with the returns that follow: information coefficients and their t."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trading_assets.features.newey_west import choose_lag, newey_west_t, two_sided_p
from trading_assets.features.redundancy import average_ranks, correlate_pairs

Array = NDArray[np.float64]
Index = NDArray[np.int64]

CROSS_SECTION = "cross_section"
TIME_SERIES = "time_series"

LEAST_SYMBOLS = 5
# Fewer sessions give no correlation over time, and no t.
LEAST_SESSIONS = 30


@dataclass(frozen=True, slots=True)
class Grid:
    """Places of rows on symbols x sessions.

    Attributes
    ----------
    symbol, session : int64 (n,)
        Place of each row, from 0.
    shape : tuple of int
        Symbols N and sessions T.
    """

    symbol: Index
    session: Index
    shape: tuple[int, int]

    def lay(self, column: Array) -> Array:
        """Return a column of the rows (n,) as an array (N, T), nan where there is no row."""
        grid = np.full(self.shape, np.nan)
        grid[self.symbol, self.session] = column
        return grid


@dataclass(frozen=True, slots=True)
class InformationCoefficient:
    """A correlation of values with the returns that follow, and how sure it is.

    Attributes
    ----------
    form : str
        `cross_section`: across at least 5 symbols, mean over sessions; `time_series`, where more
        than half of the sessions lack such a cross-section: over time, mean over symbols.
    mean : float
        The correlation; nan where `sessions` is 0.
    t : float
        Newey-West t of that mean with lag `lag_sessions`; nan of fewer than 30 sessions, or fewer
        than three spans of the lag.
    sessions, lag_sessions : int
        Sessions that count, and the lag.
    p_value : float
        Two-sided, see `two_sided_p`; nan where `t` is.
    """

    form: str
    mean: float
    t: float
    sessions: int
    lag_sessions: int
    p_value: float


def measure_ic(
    values: Array, returns: Array, horizon_bars: int, ranked: bool = True
) -> InformationCoefficient:
    """Return how far values go with the returns that follow.

    Parameters
    ----------
    values, returns : float64 (N, T)
        Of symbols x sessions, nan where unknown.
    horizon_bars : int
        Bars of a return; those of sessions closer than that overlap.
    ranked : bool
        Whether Spearman's correlation is taken, by default, or Pearson's.
    """
    is_paired = ~np.isnan(values) & ~np.isnan(returns)
    values = np.where(is_paired, values, np.nan)
    returns = np.where(is_paired, returns, np.nan)
    paired_sessions = int(is_paired.any(axis=0).sum())
    form, ics = CROSS_SECTION, _ics_across(values, returns, ranked)
    if 2 * int((~np.isnan(ics)).sum()) < max(paired_sessions, 1):
        form, ics = TIME_SERIES, _ics_over_time(values, returns, ranked)
    known = ics[~np.isnan(ics)]
    count = len(known)
    lag = choose_lag(count, horizon_bars)
    # Shorter than three spans of the lag, the variance is a guess.
    is_long = count >= max(LEAST_SESSIONS, 3 * (lag + 1))
    t = newey_west_t(ics, lag) if is_long else math.nan
    return InformationCoefficient(
        form=form,
        mean=float(known.mean()) if count else math.nan,
        t=t,
        sessions=count,
        lag_sessions=lag,
        p_value=math.nan if math.isnan(t) else two_sided_p(t, count, lag),
    )


def _ics_across(values: Array, returns: Array, ranked: bool) -> Array:
    """Return the correlation across symbols (T,) of each session, nan where undefined."""
    return correlate_pairs(_ranks(values.T, ranked), _ranks(returns.T, ranked), LEAST_SYMBOLS)[0]


def _ics_over_time(values: Array, returns: Array, ranked: bool) -> Array:
    """Return what each session adds to the correlation over time (T,); their mean is its mean."""
    correlations, products = correlate_pairs(
        _ranks(values, ranked), _ranks(returns, ranked), LEAST_SESSIONS
    )
    is_used = ~np.isnan(correlations)
    if not is_used.any():
        return np.full(values.shape[1], np.nan)
    products = products[is_used]
    is_known = ~np.isnan(products)
    sessions = is_known.any(axis=0)
    # A symbol's products sum to its correlation; scaled so that the mean over sessions is theirs.
    added = np.where(is_known, products, 0.0).sum(axis=0) * (sessions.sum() / is_used.sum())
    return np.where(sessions, added, np.nan)


def _ranks(values: Array, ranked: bool) -> Array:
    return average_ranks(values) if ranked else values
