"""Portfolios that decide anew on a test window that went otherwise: features, forecasts, trades."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

import polars as pl

from trading_assets.backtest.adjusted_bars import AdjustedBars, bars_table, without_effect
from trading_assets.backtest.baselines import buy_and_hold, equal_weight
from trading_assets.backtest.engine import Decide, decision_rows, trade_decisions
from trading_assets.backtest.folds import Fold
from trading_assets.backtest.outages import stall_rows
from trading_assets.backtest.window import TradedWindow
from trading_assets.features.compute import compute_features
from trading_assets.forecast.forecaster import Forecaster
from trading_assets.forecast.tables import ForecastTables
from trading_assets.market_data import MarketDataSpec
from trading_assets.policy.ensemble import Ensemble
from trading_assets.policy.fold import TrainingTables, market_of
from trading_assets.policy.rollout import build_task, policy_decision, require_trained_on
from trading_assets.strategy import Strategy


@dataclass(frozen=True, slots=True)
class RedecidedFold:
    """What a fold's portfolios decide with.

    Attributes
    ----------
    fold : Fold
        Whose test window is traded.
    strategy : Strategy
        Costs, limits, features and what is observed.
    market_data : MarketDataSpec
        Universe and source.
    tables : TrainingTables
        Bars from as far back as the window's features need, actions; features and forecasts of the
        train and the test window.
    series : DataFrame
        Table `series` over the same months as the bars.
    forecaster : Forecaster
        Trained on the fold's train window.
    ensembles : mapping of str to Ensemble
        What is traded, by portfolio.
    traded_from : date
        First day of the bars that the fold's backtest reads.
    """

    fold: Fold
    strategy: Strategy
    market_data: MarketDataSpec
    tables: TrainingTables
    series: pl.DataFrame
    forecaster: Forecaster
    ensembles: Mapping[str, Ensemble]
    traded_from: date


@dataclass(frozen=True, slots=True)
class Shock:
    """A test window that went otherwise.

    Attributes
    ----------
    scenario : str
        What happened.
    level : float
        How much of it, in the scenario's unit.
    bars : AdjustedBars
        Prices.
    series : DataFrame, optional
        Table `series`, where it is another too.
    stalls : bool
        Whether features and forecasts stand still at times.
    """

    scenario: str
    level: float
    bars: AdjustedBars
    series: pl.DataFrame | None = None
    stalls: bool = field(default=False, kw_only=True)


def redecide(given: RedecidedFold, shock: Shock) -> TradedWindow:
    """Trade a shocked window with the fold's ensembles, `buy_and_hold` and `equal_weight`.

    Features are computed from the shocked bars as they are everywhere, the fold's forecaster
    predicts from them and its policies decide; nothing is fitted again. What was known before the
    window is as it is stored.

    Parameters
    ----------
    given : RedecidedFold
        What decides.
    shock : Shock
        What it decides on.

    Raises
    ------
    DataError
        If a policy was trained on other symbols, or bars do not reach back far enough.
    """
    fold, strategy = given.fold, given.strategy
    tables = shocked_tables(given, shock)
    is_traded = pl.col("session").is_between(given.traded_from, fold.test_end)
    traded = TrainingTables(
        tables.bars.filter(is_traded), tables.actions, tables.features, tables.forecasts
    )
    market = market_of(traded, given.market_data)
    require_trained_on(market, given.ensembles)
    task = build_task(market, traded.features, traded.forecasts, strategy)
    decisions: dict[str, Decide] = {
        "buy_and_hold": buy_and_hold(market, fold),
        "equal_weight": equal_weight(market),
        **{name: policy_decision(own, task) for name, own in given.ensembles.items()},
    }
    return trade_decisions(market, decisions, strategy, decision_rows(market, fold))


def shocked_tables(given: RedecidedFold, shock: Shock) -> TrainingTables:
    """Return what is known of a shocked window, and of the time before it as it is stored.

    Parameters
    ----------
    given : RedecidedFold
        What features and forecasts are made with.
    shock : Shock
        Prices and, where they are others, series.
    """
    bars = bars_table(shock.bars, given.tables.bars)
    actions = without_effect(given.tables.actions)
    sessions = shock.bars.window_sessions
    series = given.series if shock.series is None else shock.series
    computed = compute_features(bars, actions, series, given.strategy.features, sessions)
    features = _continued(given.tables.features, computed, given.fold, sessions, shock)
    forecasts = given.tables.forecasts
    if given.strategy.policy.uses_forecasts:
        known = pl.col("session") >= given.fold.train_start
        own = ForecastTables(features.filter(known), bars.filter(known), actions)
        predicted = given.forecaster.predict(own, sessions)
        forecasts = _continued(forecasts, predicted, given.fold, sessions, shock)
    return TrainingTables(bars, actions, features, forecasts)


def _continued(
    stored: pl.DataFrame,
    rows: pl.DataFrame,
    fold: Fold,
    sessions: Sequence[date],
    shock: Shock,
) -> pl.DataFrame:
    """Return stored rows up to the window and others from there on, which may stand still."""
    shown = stall_rows(rows, sessions) if shock.stalls else rows
    before = stored.filter(pl.col("session") < fold.test_start)
    return pl.concat([before, shown.select(before.columns)])
