"""GARCH(1,1) with Student's t: fitted by the package arch, filtered and carried on here.

Source: Bollerslev, A Conditionally Heteroskedastic Time Series Model for Speculative Prices and
Rates of Return, Review of Economics and Statistics 69 (1987).
"""

import math
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from trading_assets.errors import DataError
from trading_assets.risk.return_samples import InapplicableError, Series, require_returns
from trading_assets.risk.variance_filter import decayed_sum
from trading_assets.tail_risk_specs import LEAST_FITTED_BARS

_STILL = 1e-12
# A search ends this near to a sum of 1 where variance has no mean to return to.
_ROUNDING = 1e-6


@dataclass(frozen=True, slots=True)
class GarchModel:
    """`r_t = m + e_t`, `v_t = omega + alpha e_(t-1)^2 + beta v_(t-1)`.

    Attributes
    ----------
    mean : float
        m, return of a bar.
    omega : float
        Variance of a bar that does not depend on the past.
    alpha, beta : float
        Shares of the last square and the last variance, not negative, with a sum of at most 1.
    degrees_of_freedom : float
        Of Student's t that `e_t / sqrt(v_t)` has, scaled to variance 1; above 2.
    start_variance : float
        v of the first bar: the variance of the returns that the model was fitted on.

    Raises
    ------
    DataError
        If a number is not finite or out of range.
    """

    mean: float
    omega: float
    alpha: float
    beta: float
    degrees_of_freedom: float
    start_variance: float

    def __post_init__(self) -> None:
        numbers = (self.omega, self.alpha, self.beta, self.degrees_of_freedom)
        is_start = math.isfinite(self.start_variance) and self.start_variance > 0.0
        if not (math.isfinite(self.mean) and _is_model(*numbers) and is_start):
            msg = (
                f"mean was {self.mean}, omega, alpha, beta and degrees of freedom {numbers}, start"
                f" {self.start_variance}; expected finite numbers, variances above 0, alpha and"
                " beta not negative with a sum of at most 1, and degrees of freedom above 2"
            )
            raise DataError(msg)

    def filter_variance(self, returns: Series) -> Series:
        """Return the variance of each bar and of the one to come.

        Parameters
        ----------
        returns : float64 (T,)
            Simple returns, oldest first.

        Returns
        -------
        float64 (T + 1,)
            Element t uses returns before t; the first is `start_variance`.

        Raises
        ------
        DataError
            If there are no returns or one is not finite.
        """
        require_returns(returns, 1)
        pushed = self.omega + self.alpha * (returns - self.mean) ** 2
        start = self.start_variance
        return np.concatenate([[start], decayed_sum(pushed, self.beta, start)])


def fit_garch(returns: Series) -> GarchModel:
    """Return the model of largest likelihood.

    Parameters
    ----------
    returns : float64 (T,)
        Simple returns, oldest first; they are scaled to deviation 1 for the search.

    Raises
    ------
    InapplicableError
        If nothing moves, or the search ends without a model.
    DataError
        If there are too few returns or one is not finite.
    """
    require_returns(returns, LEAST_FITTED_BARS)
    scale = float(returns.std(ddof=1))
    if scale <= _STILL:
        msg = f"the deviation of {len(returns)} returns was {scale:.3g}; expected some that move"
        raise InapplicableError(msg)
    found = _searched(returns / scale)
    mean, omega, alpha, beta, freedom = (float(number) for number in found.params)
    is_found = not found.convergence_flag and _is_model(omega, alpha, beta, freedom)
    if not is_found or not math.isfinite(mean):
        msg = (
            f"a search for GARCH of {len(returns)} returns ended with flag"
            f" {found.convergence_flag}, alpha {alpha:.4g} and beta {beta:.4g}; expected flag 0 and"
            " a sum of at most 1: measure by another method"
        )
        raise InapplicableError(msg)
    return GarchModel(mean * scale, omega * scale**2, alpha, beta, freedom, scale**2)


def _searched(scaled: Series) -> Any:  # noqa: ANN401  arch's own
    from arch import arch_model

    model: Any = arch_model(scaled, mean="Constant", vol="GARCH", p=1, q=1, dist="t", rescale=False)
    with warnings.catch_warnings():
        # What a search says of its way there concerns no one: how it ended is looked at.
        warnings.simplefilter("ignore")
        return model.fit(disp="off", show_warning=False)


def _is_model(omega: float, alpha: float, beta: float, freedom: float) -> bool:
    is_finite = all(map(math.isfinite, (omega, alpha, beta, freedom)))
    is_share = alpha >= 0.0 and 0.0 <= beta < 1.0 and alpha + beta <= 1.0 + _ROUNDING
    return is_finite and omega > 0.0 and is_share and freedom > 2.0
