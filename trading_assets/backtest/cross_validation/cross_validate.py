"""Combinatorial purged cross-validation: fits every split, trades every path."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import polars as pl

from trading_assets.backtest.cross_validation.divided_market import DividedMarket, divide_market
from trading_assets.backtest.cross_validation.group_trading import trade_paths
from trading_assets.backtest.cross_validation.split_fit import (
    FORECASTER,
    SplitFit,
    find_reaching,
    fit_split,
)
from trading_assets.backtest.cross_validation.split_forecasts import (
    SplitForecasts,
    forecast_groups,
    score_paths,
)
from trading_assets.backtest.engine import Decide
from trading_assets.cross_validation_specs import CrossValidationSpec
from trading_assets.market_data import MarketDataSpec
from trading_assets.policy.fold import TrainingTables
from trading_assets.policy.references import teacher_decision
from trading_assets.policy.teachers import cost_aware_teacher, myopic_teacher
from trading_assets.schema import TABLES
from trading_assets.strategy import Strategy

LOGISTIC_RULE = "logistic_rule"


@dataclass(frozen=True, slots=True)
class CrossValidation:
    """What came of all splits.

    Attributes
    ----------
    returns, forecasts : DataFrame
        Tables `cross_validated_returns` and `cross_validated_forecasts`; the latter is empty where
        a split's forecaster could not be fitted.
    absences : mapping of str to str
        Why a policy, a baseline or the forecaster is not among them, by name.
    reaching : list of str
        Fits whose labels live in a group that they are tested on; empty when all is well.
    facts : mapping of str to values
        Groups, splits and gaps, as JSON values.
    """

    returns: pl.DataFrame
    forecasts: pl.DataFrame
    absences: Mapping[str, str] = field(default_factory=dict[str, str])
    reaching: list[str] = field(default_factory=list[str])
    facts: Mapping[str, Any] = field(default_factory=dict[str, Any])


def cross_validate(
    tables: TrainingTables,
    days: tuple[date, date],
    strategy: Strategy,
    market_data: MarketDataSpec,
    spec: CrossValidationSpec,
) -> CrossValidation:
    """Fit and trade every split of the sessions from one day to another.

    Parameters
    ----------
    tables : TrainingTables
        Bars, actions and features of the days, see `divide_market`.
    days : (date, date)
        First and last day, both included.
    strategy : Strategy
        Costs, limits, observed features, forecast and risk aversion.
    market_data : MarketDataSpec
        Universe and source.
    spec : CrossValidationSpec
        Groups and policies.

    Raises
    ------
    DataError
        If there are too few sessions, or features are missing or not finite.
    """
    divided = divide_market(tables, days, strategy, market_data, spec)
    fits = [fit_split(divided, split) for split in divided.splits.splits]
    absences = _absences(fits, spec)
    forecasts = _forecast(divided, fits) if FORECASTER not in absences else {}
    wanted = [policy for policy in spec.policies if policy not in absences]
    traded = trade_paths(
        divided,
        {
            policy: {fit.split.number: _decision(policy, divided, fit, forecasts) for fit in fits}
            for policy in wanted
        },
    )
    return CrossValidation(
        returns=traded.returns,
        forecasts=(
            score_paths(divided, forecasts)
            if forecasts
            else TABLES["cross_validated_forecasts"].empty()
        ),
        absences={**absences, **traded.absences},
        reaching=find_reaching(divided.splits, fits),
        facts=_facts(divided, fits),
    )


def _forecast(divided: DividedMarket, fits: Sequence[SplitFit]) -> dict[int, SplitForecasts]:
    return {
        fit.split.number: forecast_groups(divided, fit, fit.forecaster)
        for fit in fits
        if fit.forecaster is not None
    }


def _decision(
    policy: str, divided: DividedMarket, fit: SplitFit, forecasts: Mapping[int, SplitForecasts]
) -> Decide:
    task, aversion = divided.task, fit.trade_aversion
    if policy == LOGISTIC_RULE:
        expected_return = forecasts[fit.split.number].next_return
        return teacher_decision(task, myopic_teacher(task, expected_return, aversion))
    assert fit.expected is not None
    return teacher_decision(
        task, cost_aware_teacher(task, fit.expected, aversion, looks_ahead=True)
    )


def _absences(fits: Sequence[SplitFit], spec: CrossValidationSpec) -> dict[str, str]:
    """Return why what a split lacks is on no path: the first split's reason."""
    absences: dict[str, str] = {}
    for fit in fits:
        for name, reason in fit.absences.items():
            absences.setdefault(name, f"split {fit.split.number + 1}: {reason}")
    if FORECASTER in absences:
        absences[LOGISTIC_RULE] = absences[FORECASTER]
    return {name: why for name, why in absences.items() if name in (FORECASTER, *spec.policies)}


def _facts(divided: DividedMarket, fits: Sequence[SplitFit]) -> dict[str, Any]:
    return {
        "forecaster": "logistic",
        "horizon_bars": divided.gap.horizon_bars,
        "embargo_sessions": divided.gap.embargo_sessions,
        "paths": divided.splits.n_paths,
        "groups": [
            {"first": str(group[0]), "last": str(group[-1]), "sessions": len(group)}
            for group in divided.splits.groups
        ],
        "splits": [
            {
                "test_groups": [group + 1 for group in fit.split.test_groups],
                "train_sessions": len(fit.split.train),
                "fitted_rows": {name: len(starts) for name, (starts, _) in fit.lives.items()},
            }
            for fit in fits
        ],
    }
