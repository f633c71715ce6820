"""Explains one fold: what moved decisions and forecasts of its test window, and what for."""

from collections.abc import Mapping

import polars as pl

from trading_assets.backtest.explanation.completeness import form_figures, form_problems
from trading_assets.backtest.explanation.fold_explanation import (
    FoldExplanation,
    deployed_portfolio,
)
from trading_assets.backtest.explanation.forecasts import explain_forecasts
from trading_assets.backtest.explanation.member_wishes import member_names
from trading_assets.backtest.explanation.portfolio import Desk
from trading_assets.backtest.explanation.stored_tables import forecast_table, importance_table
from trading_assets.backtest.explanation.traded_fold import TradedFold
from trading_assets.forecast.forecaster import Forecaster
from trading_assets.policy.ensemble import Ensemble
from trading_assets.schema import TABLES


def explain_fold(
    traded: TradedFold, ensembles: Mapping[str, Ensemble], forecaster: Forecaster
) -> FoldExplanation:
    """Say what moved the decisions and forecasts of a fold's test window.

    Parameters
    ----------
    traded : TradedFold
        The fold.
    ensembles : mapping of str to Ensemble
        What was traded together, by portfolio.
    forecaster : Forecaster
        What forecast the test window.

    Raises
    ------
    DataError
        If tables do not cover the windows.
    """
    desk = Desk(traded)
    explained = {
        name: desk.explain(name, members, member_names(name, ensembles))
        for name, members in ensembles.items()
    }
    forecasts, lost = explain_forecasts(traded, forecaster)
    by_portfolio = {name: each.importances for name, each in explained.items()}
    deployed = deployed_portfolio(traded.strategy)
    actions = [each.actions for each in explained.values() if each.actions is not None]
    return FoldExplanation(
        tables={
            "action_attributions": pl.concat([TABLES["action_attributions"].empty(), *actions]),
            "importances": importance_table(by_portfolio, lost),
            "reasons": explained[deployed].reasons,
            "forecast_attributions": forecast_table(forecasts),
            "member_gains": pl.concat([each.members for each in explained.values()]),
            **desk.market_tables(),
        },
        left_out=tuple(note for each in explained.values() for note in each.left_out),
        incomplete=[
            *(problem for each in explained.values() for problem in each.problems),
            *form_problems("forecaster", forecasts),
        ],
        figures={
            **{name: each.figures for name, each in explained.items()},
            "forecaster": {**form_figures(forecasts), "served": forecaster.served},
        },
    )
