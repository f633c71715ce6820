"""Figures of a cross-validation: what policies, baselines and forecasts did on each path."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from trading_assets.backtest.baselines import BASELINES
from trading_assets.backtest.metrics import max_drawdown, sharpe_annual

Values = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class ValidatedPaths:
    """A stored cross-validation.

    Attributes
    ----------
    returns, forecasts : DataFrame
        Tables `cross_validated_returns` and `cross_validated_forecasts`.
    absences : mapping of str to str
        Why a policy, a baseline or the forecaster is not among them, by name.
    facts : mapping of str to values
        Groups, splits and gaps, as JSON values.
    """

    returns: pl.DataFrame
    forecasts: pl.DataFrame
    absences: Mapping[str, str] = field(default_factory=dict[str, str])
    facts: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class Spread:
    """One figure on every path, in order of paths.

    Minimum, median and maximum are nan where the figure is undefined on a path.
    """

    paths: Values
    minimum: float
    median: float
    maximum: float


@dataclass(frozen=True, slots=True)
class PolicyPaths:
    """One policy on all paths.

    Attributes
    ----------
    sharpe_annual, max_drawdown : Spread
        After costs; the drawdown as a positive fraction.
    paths_above_baseline : int
        Paths with a larger Sharpe ratio than the best baseline.
    share_above_baseline : float
        Those over all paths; nan without a baseline.
    """

    sharpe_annual: Spread
    max_drawdown: Spread
    paths_above_baseline: int
    share_above_baseline: float


@dataclass(frozen=True, slots=True)
class ForecastPaths:
    """The forecaster on all paths.

    Attributes
    ----------
    log_loss_gain : Spread
        Log-loss of the train class shares less that of the forecaster, nats.
    ic, rank_ic : Spread
        Information coefficients.
    """

    log_loss_gain: Spread
    ic: Spread
    rank_ic: Spread


@dataclass(frozen=True, slots=True)
class PathFigures:
    """What a cross-validation found.

    Attributes
    ----------
    policies : mapping of str to PolicyPaths
        By policy.
    baselines : mapping of str to float
        Annual Sharpe ratio of each over the same sessions; nan of what does not vary.
    best_baseline : str
        The one with the largest; empty where none is defined.
    forecasts : ForecastPaths, optional
        None where no forecaster was fitted.
    """

    policies: Mapping[str, PolicyPaths]
    baselines: Mapping[str, float]
    best_baseline: str
    forecasts: ForecastPaths | None


def measure_paths(validated: ValidatedPaths) -> PathFigures:
    """Return the figures of every policy, baseline and forecast."""
    earned: dict[str, list[np.ndarray]] = {}
    for frame in validated.returns.sort("portfolio", "path", "session").partition_by(
        "portfolio", "path", maintain_order=True
    ):
        earned.setdefault(frame["portfolio"][0], []).append(frame["net_return"].to_numpy())
    baselines = {name: sharpe_annual(own[0]) for name, own in earned.items() if name in BASELINES}
    known = {name: value for name, value in baselines.items() if math.isfinite(value)}
    best = max(known, key=lambda name: known[name]) if known else ""
    level = known.get(best, math.nan)
    policies = {
        name: _policy_paths(own, level) for name, own in earned.items() if name not in BASELINES
    }
    return PathFigures(policies, baselines, best, _forecast_paths(validated.forecasts))


def _policy_paths(returns: list[np.ndarray], baseline: float) -> PolicyPaths:
    ratios = tuple(sharpe_annual(own) for own in returns)
    above = sum(ratio > baseline for ratio in ratios)
    return PolicyPaths(
        sharpe_annual=_spread(ratios),
        max_drawdown=_spread(tuple(max_drawdown(own) for own in returns)),
        paths_above_baseline=above,
        share_above_baseline=above / len(ratios) if math.isfinite(baseline) else math.nan,
    )


def _forecast_paths(forecasts: pl.DataFrame) -> ForecastPaths | None:
    if not len(forecasts):
        return None
    own = forecasts.sort("path")
    gain = own["log_loss_of_shares"] - own["log_loss"]
    return ForecastPaths(*(_of_column(column) for column in (gain, own["ic"], own["rank_ic"])))


def _of_column(column: pl.Series) -> Spread:
    return _spread(tuple(column.cast(pl.Float64).fill_null(math.nan).to_list()))


def _spread(paths: Values) -> Spread:
    values = np.array(paths)
    return Spread(paths, float(values.min()), float(np.median(values)), float(values.max()))
