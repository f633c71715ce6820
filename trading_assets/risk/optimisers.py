"""Weights by optimisation, by the package skfolio: what learned portfolios are alternatives to.

A function of past returns, of what is held and of what trading costs, and of nothing else: it is
known at the close that the last return ends with. Sources: Markowitz, Portfolio Selection, Journal
of Finance 7 (1952); Maillard, Roncalli and Teiletche, The Properties of Equally Weighted Risk
Contribution Portfolios, Journal of Portfolio Management 36 (2010); Rockafellar and Uryasev,
Optimization of Conditional Value-at-Risk, Journal of Risk 2(3), 2000.
"""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trading_assets.errors import DataError
from trading_assets.optimiser_specs import OptimiserKind, OptimiserSpec
from trading_assets.risk.closed_form_weights import (
    hierarchical_risk_parity,
    inverse_volatility,
    minimum_variance,
)

Floats = NDArray[np.float64]

# Deviation of a bar's return, a thousandth of a basis point, below which nothing has moved.
STILL = 1e-7
_BPS = 1e-4
# Of Clarabel, whose own are 1e-8: risk is flat around its least, so weights are less exact.
_EXACT = {"tol_gap_abs": 1e-12, "tol_gap_rel": 1e-12, "tol_feas": 1e-12, "max_iter": 500}

# What takes the place of a search that fails.
CLOSED_FORMS: Mapping[OptimiserKind, Callable[[Floats], Floats]] = {
    "mean_variance": minimum_variance,
    "minimum_variance": minimum_variance,
    "risk_parity": inverse_volatility,
    "hierarchical_risk_parity": hierarchical_risk_parity,
    "cvar": minimum_variance,
}


@dataclass(frozen=True, slots=True)
class OptimisedWeights:
    """Weights of all symbols, and whether they are those that were asked for.

    Attributes
    ----------
    weights : float64 (N,)
        Not negative, with a sum of at most 1; 0 where a symbol has too few returns or never moved.
    replaced : str
        Why a closed form took the optimiser's place; empty where it did not.
    """

    weights: Floats
    replaced: str = ""


def optimise_weights(
    returns: Floats, held: Floats, cost_bps: Floats, spec: OptimiserSpec
) -> OptimisedWeights:
    """Return long-only weights for the bars to come.

    `mean_variance` and `cvar` weigh expected returns, less the cost of the way from what is held
    spread over `holding_bars`, against risk; the others look at risk alone, and costs change
    nothing. Variances are shrunk as Ledoit and Wolf do, but for `hierarchical_risk_parity`, which
    takes the sample's.

    Parameters
    ----------
    returns : float64 (T, N)
        Past total returns, oldest first, nan where a symbol had none. The last
        `spec.lookback_bars` are read.
    held : float64 (N,)
        Weights held now, drifted with prices.
    cost_bps : float64 (N,)
        Cost of trading, basis points of what is traded.
    spec : OptimiserSpec
        What is optimised.

    Raises
    ------
    DataError
        If shapes differ, a weight or cost is not finite, a cost is negative, or a return is
        infinite.
    """
    _require_inputs(returns, held, cost_bps)
    columns, window = _known_moves(returns, spec)
    weights = np.zeros(len(held))
    if not len(columns):
        return OptimisedWeights(weights, "no symbol has enough returns that move")
    found, reason = _searched(window, held[columns], cost_bps[columns], spec)
    if found is None:
        found = CLOSED_FORMS[spec.kind](_shrunk_covariance(window))
    weights[columns] = found
    return OptimisedWeights(weights, reason)


def _searched(
    window: Floats, held: Floats, cost_bps: Floats, spec: OptimiserSpec
) -> tuple[Floats | None, str]:
    """Return what the search found, or None and why it failed."""
    # What the package or one of its own says while it is imported or fitted concerns no one here.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from skfolio.exceptions import SkfolioError

        # In deviations: variances of a bar are no larger than what a solver stops at.
        scale = float(window.std(axis=0).mean())
        costs = cost_bps * _BPS / spec.holding_bars / scale
        try:
            fitted = _estimator(spec, held, costs, scale).fit(window / scale)
            raw = np.asarray(fitted.weights_, dtype=np.float64)
        except SkfolioError as error:
            return None, f"{spec.kind} was not solved: {error}"
    if not np.isfinite(raw).all() or raw.sum() > 1.0 + 1e-6 or raw.min() < -1e-6:
        return None, f"{spec.kind} was solved by weights from {raw.min():.3g}, sum {raw.sum():.6g}"
    positive = np.maximum(raw, 0.0)
    return positive / max(float(positive.sum()), 1.0), ""


def _estimator(spec: OptimiserSpec, held: Floats, costs: Floats, scale: float) -> Any:  # noqa: ANN401
    """Return skfolio's estimator for returns and costs divided by a scale."""
    from skfolio import RiskMeasure
    from skfolio.moments import LedoitWolf
    from skfolio.optimization import (
        HierarchicalRiskParity,
        MeanRisk,
        ObjectiveFunction,
        RiskBudgeting,
    )
    from skfolio.prior import EmpiricalPrior

    prior = EmpiricalPrior(covariance_estimator=LedoitWolf())
    if spec.kind == "hierarchical_risk_parity":
        return HierarchicalRiskParity()
    exact: dict[str, Any] = {"prior_estimator": prior, "solver_params": dict(_EXACT)}
    if spec.kind == "risk_parity":
        return RiskBudgeting(**exact)
    if spec.kind == "minimum_variance":
        return MeanRisk(**exact)
    is_variance = spec.kind == "mean_variance"
    budget: dict[str, Any] = {"budget": 1.0}
    if not spec.is_fully_invested:
        budget = {"budget": None, "min_budget": 0.0, "max_budget": 1.0}
    return MeanRisk(
        objective_function=ObjectiveFunction.MAXIMIZE_UTILITY,
        risk_measure=RiskMeasure.VARIANCE if is_variance else RiskMeasure.CVAR,
        # skfolio's utility has no half, and a variance is divided by the scale twice.
        risk_aversion=spec.risk_aversion * (scale / 2.0 if is_variance else 1.0),
        cvar_beta=1.0 - spec.tail,
        transaction_costs=costs,
        previous_weights=held,
        **exact,
        **budget,
    )


def _shrunk_covariance(window: Floats) -> Floats:
    from sklearn.covariance import LedoitWolf

    return np.asarray(LedoitWolf().fit(window).covariance_, dtype=np.float64)


def _known_moves(returns: Floats, spec: OptimiserSpec) -> tuple[NDArray[np.intp], Floats]:
    """Return the columns of symbols that can be judged, and their returns, 0 where none was."""
    recent = returns[-spec.lookback_bars :]
    is_there = np.isfinite(recent)
    if not len(recent):
        return np.zeros(0, np.intp), recent
    columns = np.flatnonzero(is_there[-1] & (is_there.sum(axis=0) >= spec.least_bars))
    window = np.nan_to_num(recent[:, columns])
    moves = window.std(axis=0) > STILL if len(columns) else np.zeros(0, np.bool_)
    return columns[moves], window[:, moves]


def _require_inputs(returns: Floats, held: Floats, cost_bps: Floats) -> None:
    if returns.ndim != 2 or not held.shape == cost_bps.shape == returns.shape[1:]:
        msg = (
            f"returns, held and cost_bps had the shapes {returns.shape}, {held.shape} and"
            f" {cost_bps.shape}; expected (T, N), (N,) and (N,)"
        )
        raise DataError(msg)
    if np.isinf(returns).any() or not np.isfinite(held).all():
        msg = (
            f"{int(np.isinf(returns).sum())} returns were infinite and"
            f" {int((~np.isfinite(held)).sum())} weights held not finite; expected none"
        )
        raise DataError(msg)
    if not (np.isfinite(cost_bps).all() and (cost_bps >= 0.0).all()):
        msg = f"cost_bps were {cost_bps.tolist()}; expected finite numbers that are not negative"
        raise DataError(msg)
