"""Returns explained by factors: exposures, what is left as alpha, and how sure that is."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

ALPHA, RESIDUAL, LEFT_OUT = "alpha", "residual", "sessions without factors"
# Fewer sessions than this for each coefficient tell nothing.
_LEAST_SESSIONS_A_COEFFICIENT = 10


@dataclass(frozen=True, slots=True)
class FactorFit:
    """A regression of net returns on factors.

    Attributes
    ----------
    names : tuple of str
        `alpha`, then the factors that vary.
    coefficients, t_values : tuple of float
        Alpha a session and exposures, and their Newey-West t statistics.
    parts : mapping of str to float
        Alpha, each factor, the residual and the sessions left out, as sums of returns.
    total : float
        Sum of all returns.
    r_squared : float
        Share of the variance that factors explain.
    sessions, lag : int
        Sessions of the fit, and lag of the errors.
    left_out : tuple of str
        Factors that do not vary, or say the same as others.
    """

    names: tuple[str, ...]
    coefficients: tuple[float, ...]
    t_values: tuple[float, ...]
    parts: Mapping[str, float]
    total: float
    r_squared: float
    sessions: int
    lag: int
    left_out: tuple[str, ...]


def regress_on_factors(returns: Array, factors: Array, names: Sequence[str]) -> FactorFit | None:
    """Return the least-squares fit of returns on factors; None without one, or with few sessions.

    Sessions without one of the factors that are known at all are left out. Errors are Newey and
    West's with `4 (T / 100)^(2/9)` lags.

    Parameters
    ----------
    returns : float64 (T,)
        Net returns, one a session in time order.
    factors : float64 (T, K)
        Returns of factors, nan where unknown.
    names : sequence of str
        Names of the factors.
    """
    is_known = np.isfinite(factors)
    is_given = is_known.any(axis=0)
    rows = is_known[:, is_given].all(axis=1)
    kept = _independent(factors[rows], np.flatnonzero(is_given))
    if not kept or rows.sum() < _LEAST_SESSIONS_A_COEFFICIENT * (1 + len(kept)):
        return None
    design = np.column_stack([np.ones(int(rows.sum())), factors[rows][:, kept]])
    own = returns[rows]
    coefficients = np.linalg.lstsq(design, own, rcond=None)[0]
    residual = own - design @ coefficients
    lag = math.floor(4.0 * (len(own) / 100.0) ** (2.0 / 9.0))
    errors = np.sqrt(np.diag(_covariance(design, residual, lag)))
    t_values = np.divide(
        coefficients, errors, out=np.full_like(coefficients, math.nan), where=errors > 0.0
    )
    titles = (ALPHA, *(names[place] for place in kept))
    explained = (design * coefficients).sum(axis=0)
    spread = float(((own - own.mean()) ** 2).sum())
    return FactorFit(
        names=titles,
        coefficients=tuple(coefficients.tolist()),
        t_values=tuple(t_values.tolist()),
        parts={
            **dict(zip(titles, explained.tolist(), strict=True)),
            RESIDUAL: float(residual.sum()),
            LEFT_OUT: float(returns[~rows].sum()),
        },
        total=float(returns.sum()),
        r_squared=1.0 - float((residual**2).sum()) / spread if spread > 0.0 else math.nan,
        sessions=len(own),
        lag=lag,
        left_out=tuple(name for place, name in enumerate(names) if place not in kept),
    )


def _independent(factors: Array, candidates: NDArray[np.intp]) -> list[int]:
    """Return the factors that vary and are no combination of those before them."""
    kept: list[int] = []
    for place in candidates:
        design = np.column_stack([np.ones(len(factors)), factors[:, [*kept, int(place)]]])
        size = np.linalg.norm(design, axis=0)
        if (size > 0.0).all() and np.linalg.matrix_rank(design / size) == design.shape[1]:
            kept.append(int(place))
    return kept


def _covariance(design: Array, residual: Array, lag: int) -> Array:
    """Return the covariance of coefficients (K, K), robust to autocorrelation up to `lag`."""
    moments = design * residual[:, None]
    middle = moments.T @ moments
    for step in range(1, min(lag, len(moments) - 1) + 1):
        shared = moments[step:].T @ moments[:-step]
        middle += (1.0 - step / (lag + 1)) * (shared + shared.T)
    inverse = np.linalg.inv(design.T @ design)
    return inverse @ middle @ inverse
