"""The market's volatility regimes at each bar of a month, from a model of the rows before it."""

import math
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from trading_assets.errors import DataError
from trading_assets.features.regime_filter import (
    LOWEST_LOG_VOLATILITY,
    RegimeModel,
    check_observations,
    filter_regimes,
)

Array = NDArray[np.float64]

REGIMES = 3
# Rows before a month that its model is fitted on, and the fewest known ones that allow a fit.
REGIME_FIT_BARS = 378
REGIME_MIN_BARS = 126
VOLATILITY_BARS = 21

_ITERATIONS = 100
_TOLERANCE = 1e-3
_STAY = 0.95
# Rows of prior belief a state has in its start: an empty state keeps it, and a variance never
# falls below _PRIOR_ROWS * _PRIOR_VARIANCE / (_PRIOR_ROWS + rows) of the sample's.
_PRIOR_ROWS = 5.0
_PRIOR_VARIANCE = 0.1
_FLAT = 1e-12


def observe_market(market_return: Array, volatility_bars: int = VOLATILITY_BARS) -> Array:
    """Return what the regimes are told from: log return and log volatility of each row.

    Parameters
    ----------
    market_return : float64 (T,)
        Log returns of the market, nan where unknown.
    volatility_bars : int
        Returns in a volatility, the row's own included.

    Returns
    -------
    float64 (T, 2)
        Log return, and log of the root mean square of the last returns, at least log(1e-8); each
        known at its bar's close, nan where a return is unknown.
    """
    squares = market_return * market_return
    mean_square = np.full(len(squares), np.nan)
    if len(squares) >= volatility_bars:
        # Every window is summed anew, so that no rounding of older rows stays.
        windows = sliding_window_view(squares, volatility_bars)
        mean_square[volatility_bars - 1 :] = windows.sum(axis=1) / volatility_bars
    lowest = math.exp(2.0 * LOWEST_LOG_VOLATILITY)
    log_volatility = 0.5 * np.log(np.maximum(mean_square, lowest))
    return np.stack((market_return, log_volatility), axis=1)


def fit_regimes(observations: Array) -> RegimeModel:
    """Fit three regimes to rows of log return and log volatility by expectation maximisation.

    The start is fixed, the terciles of volatility, so equal rows give an equal model. Each state
    holds a few rows of prior belief in its tercile: a state that no row supports stays there. Where
    volatility does not vary there is nothing to tell regimes apart by: all states are then equal
    and every probability is a third.

    Parameters
    ----------
    observations : float64 (T, 2)
        The train rows only; rows that are not finite are left out.

    Raises
    ------
    DataError
        If there are not two columns, or fewer known rows than three.
    """
    rows = check_observations(observations)
    rows = rows[np.isfinite(rows).all(axis=1)]
    if len(rows) < REGIMES:
        msg = (
            f"known rows to fit regimes on were {len(rows)}; expected at least {REGIMES}: give a"
            f" longer history"
        )
        raise DataError(msg)
    center, spread = rows.mean(axis=0), rows.std(axis=0)
    is_flat = spread <= _FLAT * np.maximum(1.0, np.abs(center))
    spread = np.where(is_flat, 1.0, spread)
    start = np.full(REGIMES, 1.0 / REGIMES)
    transition = np.full((REGIMES, REGIMES), (1.0 - _STAY) / (REGIMES - 1))
    np.fill_diagonal(transition, _STAY)
    if is_flat[1]:
        shape = (REGIMES, 1)
        return RegimeModel(start, transition, np.tile(center, shape), np.tile(spread**2, shape))
    means, variances, transition = _maximise((rows - center) / spread, start, transition)
    order = np.argsort(means[:, 1], kind="stable")
    return RegimeModel(
        start=start,
        transition=np.ascontiguousarray(transition[order][:, order]),
        means=means[order] * spread + center,
        variances=variances[order] * spread**2,
    )


def fit_month(observations: Array, first_row_of_month: int) -> tuple[RegimeModel | None, int]:
    """Return the model of a month and the first row it is fitted on.

    Parameters
    ----------
    observations : float64 (T, 2)
        Log return and log volatility.
    first_row_of_month : int
        The model knows the `REGIME_FIT_BARS` rows before it, or as many as there are.

    Returns
    -------
    model : RegimeModel or None
        None with fewer than `REGIME_MIN_BARS` known rows.
    first_fitted : int
        Where the recursion of the month's probabilities starts.
    """
    first_fitted = max(0, first_row_of_month - REGIME_FIT_BARS)
    fitted = check_observations(observations)[first_fitted:first_row_of_month]
    if int(np.isfinite(fitted).all(axis=1).sum()) < REGIME_MIN_BARS:
        return None, first_fitted
    return fit_regimes(fitted), first_fitted


def compute_month_regimes(observations: Array, first_row_of_month: int) -> Array:
    """Return the filtered probabilities of a month's rows, from a model of the rows before it.

    The model is fitted on the `REGIME_FIT_BARS` rows before the month, or on as many as there are;
    the recursion starts at the first of these and runs through the month.

    Parameters
    ----------
    observations : float64 (T, 2)
        Log return and log volatility up to the month's last row.
    first_row_of_month : int
        Its rows are this one and all after it.

    Returns
    -------
    float64 (T - first_row_of_month, 3)
        nan throughout with fewer than `REGIME_MIN_BARS` known rows before the month.

    Raises
    ------
    DataError
        If there are not two columns, or the first row lies outside the observations.
    """
    rows = check_observations(observations)
    if not 0 <= first_row_of_month <= len(rows):
        msg = (
            f"first row of the month was {first_row_of_month}; expected one from 0 to {len(rows)}:"
            f" give the observations up to the month's end"
        )
        raise DataError(msg)
    model, first_fitted = fit_month(rows, first_row_of_month)
    if model is None:
        return np.full((len(rows) - first_row_of_month, REGIMES), np.nan)
    return filter_regimes(model, rows[first_fitted:])[first_row_of_month - first_fitted :]


class _Progress:
    # The library's own monitor logs a warning where the likelihood falls, which a prior can cause.
    def __init__(self) -> None:
        self.history: list[float] = []

    def _reset(self) -> None:  # pyright: ignore[reportUnusedFunction] # called by hmmlearn
        self.history.clear()

    def report(self, log_prob: float) -> None:
        self.history.append(log_prob)

    @property
    def converged(self) -> bool:
        return len(self.history) > 1 and self.history[-1] - self.history[-2] < _TOLERANCE


def _maximise(rows: Array, start: Array, transition: Array) -> tuple[Array, Array, Array]:
    # Means, variances and transition of standardised rows, in the order of the terciles.
    from hmmlearn.hmm import GaussianHMM

    terciles = np.array_split(np.argsort(rows[:, 1], kind="stable"), REGIMES)
    means = np.array([rows[tercile].mean(axis=0) for tercile in terciles])
    settings: dict[str, Any] = {
        "n_components": REGIMES,
        "covariance_type": "diag",
        "n_iter": _ITERATIONS,
        "tol": _TOLERANCE,
        # The start stays even: one first row says little of it.
        "params": "tmc",
        "init_params": "",
        "means_prior": means,
        "means_weight": 1.0,
        "covars_prior": _PRIOR_ROWS * _PRIOR_VARIANCE,
        "covars_weight": 1.0 + _PRIOR_ROWS,
        "transmat_prior": 1.0 + _PRIOR_ROWS * transition,
    }
    model: Any = GaussianHMM(**settings)
    model.monitor_ = _Progress()
    model.startprob_ = start
    model.transmat_ = transition
    model.means_ = means
    variances = np.array([rows[tercile].var(axis=0) for tercile in terciles])
    model.covars_ = np.maximum(variances, _PRIOR_VARIANCE)
    model.fit(rows)
    return model.means_, np.diagonal(model.covars_, axis1=1, axis2=2), model.transmat_
