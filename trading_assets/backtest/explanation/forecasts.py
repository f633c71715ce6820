"""Explains a fold's forecasts: what moved them, and what features were worth to them."""

from datetime import date

import numpy as np

from trading_assets.backtest.explanation.traded_fold import TradedFold
from trading_assets.block_permutation import Importance, can_be_shuffled
from trading_assets.features.catalogue import feature_of
from trading_assets.forecast.forecast_attribution import (
    ForecastAttributions,
    attribute_forecasts,
)
from trading_assets.forecast.forecast_importance import measure_features
from trading_assets.forecast.forecaster import Forecaster
from trading_assets.forecast.fractional import FRACTIONAL_COLUMN
from trading_assets.forecast.tables import ForecastTables

# Features whose log-loss is measured one by one, of those that move forecasts most.
_MOST_FEATURES = 12


def explain_forecasts(
    traded: TradedFold, forecaster: Forecaster
) -> tuple[ForecastAttributions, dict[tuple[str, str], Importance]]:
    """Return what moved a fold's forecasts, and by how much the log-loss rises without features.

    The second is by level (`group` or `input`) and name: groups, and the features that move
    forecasts most. It is empty where the window is too short, and of the prior, which reads none.
    """
    tables = ForecastTables(traded.read.features, traded.read.bars, traded.read.actions)
    fold, module = traded.fold, traded.strategy.features.module
    days: list[date] = tables.features["session"].unique().sort().to_list()
    tested = [day for day in days if fold.test_start <= day <= fold.test_end]
    found = attribute_forecasts(forecaster, tables, tested)
    if forecaster.served == "prior" or not can_be_shuffled(len(tested)):
        return found, {}
    by_group: dict[str, list[str]] = {}
    for name in found.features:
        group = name if name == FRACTIONAL_COLUMN else feature_of(name, module).group
        by_group.setdefault(group, []).append(name)
    moved = np.abs(found.by_feature[:, 0]).mean(axis=0)
    order = [int(place) for place in np.argsort(-moved, kind="stable")[:_MOST_FEATURES]]
    singles = [found.features[place] for place in order if moved[place] > 0.0]
    shuffled = {
        **{("group", group): names for group, names in by_group.items()},
        **{("input", name): [name] for name in singles},
    }
    named = {f"{level} {name}": features for (level, name), features in shuffled.items()}
    lost = measure_features(forecaster, tables, tested, named)
    return found, {key: lost[f"{key[0]} {key[1]}"] for key in shuffled if lost}
