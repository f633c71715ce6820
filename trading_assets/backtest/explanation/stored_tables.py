"""Lays what was found out about decisions and forecasts out as tables."""

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from trading_assets.backtest.explanation.fold_explanation import (
    BASELINE,
    CONFIDENCE,
    FORECASTER,
    LIMITS,
)
from trading_assets.backtest.explanation.input_importance import InputImportance
from trading_assets.backtest.explanation.watched_decisions import WatchedDecisions
from trading_assets.block_permutation import Importance
from trading_assets.forecast.forecast_attribution import ForecastAttributions
from trading_assets.policy.action_attribution import ActionAttributions
from trading_assets.policy.input_names import ObservedInput
from trading_assets.schema import TABLES, conform
from trading_assets.simulation.core import Floats

OTHERS = "*"
# In a larger universe the inputs of other symbols are summed up: their number is its square.
_MOST_SYMBOLS_APART = 8


def action_table(
    portfolio: str,
    watched: WatchedDecisions,
    found: ActionAttributions,
    symbols: Sequence[str],
) -> pl.DataFrame:
    """Return the table `action_attributions` of a portfolio; rows of 0 are left out.

    The rows of a symbol and session add up to its target weight: what a usual day brings, what the
    inputs add to that, what sizing by confidence takes away, and what limits change.
    """
    steps = {
        BASELINE: found.at_baseline,
        CONFIDENCE: watched.wished - found.raw_weights,
        LIMITS: watched.weights - watched.wished,
    }
    days = watched.sessions.astype("datetime64[D]")
    parts = [
        _long(days, symbol, values[:, place], kind, "", kind)
        for place, symbol in enumerate(symbols)
        for kind, values in steps.items()
    ]
    for place, symbol in enumerate(symbols):
        for input_, values in _apart(found, place, symbol, len(symbols)).items():
            parts.append(_long(days, symbol, values, input_.kind, input_.of_symbol, input_.name))
    table = pl.concat(parts).with_columns(portfolio=pl.lit(portfolio))
    kept = table.filter(pl.col("contribution") != 0.0)
    keys = TABLES["action_attributions"].key
    return conform("action_attributions", kept.select(TABLES["action_attributions"].names)).sort(
        keys
    )


def importance_table(
    by_portfolio: Mapping[str, Sequence[InputImportance]],
    of_forecasts: Mapping[tuple[str, str], Importance],
) -> pl.DataFrame:
    """Return the table `importances`.

    Parameters
    ----------
    by_portfolio : mapping of str to sequence of InputImportance
        What portfolios lost.
    of_forecasts : mapping of (level, input) to Importance
        By how much the log-loss of forecasts rose.
    """
    rows: list[tuple[object, ...]] = [
        (portfolio, each.shuffled.level, each.shuffled.name, measure, *_values(value))
        for portfolio, found in by_portfolio.items()
        for each in found
        for measure, value in each.measures.items()
    ]
    rows += [
        (FORECASTER, level, name, "log_loss", *_values(value))
        for (level, name), value in of_forecasts.items()
    ]
    schema = {column.name: column.dtype for column in TABLES["importances"].columns}
    return conform("importances", pl.DataFrame(rows, schema=schema, orient="row"))


def forecast_table(found: ForecastAttributions) -> pl.DataFrame:
    """Return the table `forecast_attributions`; rows of 0 are left out."""
    ages = [str(age) for age in range(found.by_age.shape[2])]
    groups = (
        (BASELINE, [BASELINE], found.at_baseline[:, :, None]),
        ("feature", list(found.features), found.by_feature),
        ("age_bars", ages, found.by_age),
    )
    rows = pl.DataFrame({"session": found.sessions, "symbol": found.symbols})
    parts = [
        rows.with_columns(
            grouping=pl.lit(grouping),
            input=pl.lit(name),
            log_odds=values[:, 0, place],
            scaled_return=values[:, 1, place],
        )
        for grouping, names, values in groups
        for place, name in enumerate(names)
    ]
    schema = {column.name: column.dtype for column in TABLES["forecast_attributions"].columns}
    table = pl.concat(parts).cast(pl.Schema(schema))
    moved = (pl.col("log_odds") != 0.0) | (pl.col("scaled_return") != 0.0)
    return conform("forecast_attributions", table.filter(moved)).sort(
        TABLES["forecast_attributions"].key
    )


def _apart(
    found: ActionAttributions, place: int, symbol: str, n_symbols: int
) -> dict[ObservedInput, Floats]:
    """Return contributions (T,) to a symbol by input, in a large universe summed over others."""
    values: dict[ObservedInput, Floats] = {}
    for number, input_ in enumerate(found.inputs):
        is_other = input_.of_symbol not in ("", symbol)
        key = input_
        if is_other and n_symbols > _MOST_SYMBOLS_APART:
            key = ObservedInput(input_.kind, input_.name, OTHERS)
        own = found.contributions[:, place, number]
        values[key] = values[key] + own if key in values else own
    return values


def _long(
    days: np.ndarray, symbol: str, values: Floats, kind: str, of_symbol: str, name: str
) -> pl.DataFrame:
    return pl.DataFrame({"session": days, "contribution": values}).with_columns(
        symbol=pl.lit(symbol), kind=pl.lit(kind), of_symbol=pl.lit(of_symbol), input=pl.lit(name)
    )


def _values(value: Importance) -> tuple[float | int, ...]:
    return value.mean, value.error, value.low, value.high, value.repetitions
