"""Trains the forecaster of one window and predicts it: the same code for folds and challengers."""

import json
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import Any

import polars as pl

from trading_assets.errors import UserError
from trading_assets.features.catalogue import feature_names, feature_of
from trading_assets.features.quality import FeatureQuality, measure_quality
from trading_assets.features.redundancy import correlate_features, tabulate_correlations
from trading_assets.forecast.conformal_state import ConformalState
from trading_assets.forecast.cross_fit import cross_fit
from trading_assets.forecast.forecaster import Forecaster
from trading_assets.forecast.labels import compute_labels
from trading_assets.forecast.seen_rows import find_seen_rows
from trading_assets.forecast.tables import ForecastTables
from trading_assets.forecast.train import train_forecaster
from trading_assets.forecast.windows import WindowLike
from trading_assets.strategy import Strategy


@dataclass(frozen=True, slots=True)
class Forecasts:
    """Predictions of a window.

    Attributes
    ----------
    rows : DataFrame
        Table `forecasts`: the train window cross-fitted, later sessions out of sample.
    card : mapping
        What each part of the cross-fit was trained on.
    seen : list of str
        Rows predicted by a model that saw their label; empty when all is well.
    state_before_last : ConformalState, optional
        What intervals of the last session go on from; none where no session follows the window.
    """

    rows: pl.DataFrame
    card: Mapping[str, Any]
    seen: list[str]
    state_before_last: ConformalState | None = None

    @property
    def card_json(self) -> bytes:
        """The card as canonical JSON."""
        return json.dumps(self.card, sort_keys=True, separators=(",", ":")).encode()


def train_window(
    tables: ForecastTables, window: WindowLike, strategy: Strategy, threads: int = 1
) -> Forecaster:
    """Train the forecaster on a window's training days and judge it on its validation days.

    Parameters
    ----------
    tables : ForecastTables
        Rows of the window.
    window : WindowLike
        Training and validation days.
    strategy : Strategy
        Labels, network and features.
    threads : int
        Members of the network trained at a time.

    Raises
    ------
    DataError
        If the window holds too few rows or a class hardly occurs in it; the fold is named.
    """
    days = tables.bars["session"].unique().sort().to_list()
    train = _training_days(days, window)
    validation = [day for day in days if window.validation_start <= day <= window.train_end]
    with naming(window):
        return train_forecaster(
            tables,
            train,
            validation,
            strategy.forecast,
            feature_names(strategy.features),
            threads=threads,
        )


def measure_window(
    tables: ForecastTables, window: WindowLike, strategy: Strategy
) -> FeatureQuality:
    """Say what each feature was worth on a window's training days; validation days are not read.

    Parameters
    ----------
    tables : ForecastTables
        Rows of the window.
    window : WindowLike
        Training and validation days.
    strategy : Strategy
        Labels and features.

    Raises
    ------
    DataError
        If the training days have no rows, or a feature is missing, nan or infinite.
    """
    train = _training_days(tables.bars["session"].unique().sort().to_list(), window)
    spec, horizon_bars = strategy.features, strategy.forecast.horizon_bars
    names = feature_names(spec)
    labels = compute_labels(tables.bars, tables.actions, horizon_bars)
    scaled = {name for name in names if feature_of(name, spec.module).is_scaled}
    return FeatureQuality(
        measure_quality(tables.features, labels, names, train, horizon_bars, scaled),
        tabulate_correlations(correlate_features(tables.features, names, train), names),
    )


def predict_window(
    tables: ForecastTables,
    window: WindowLike,
    forecaster: Forecaster,
    strategy: Strategy,
    last: date,
    threads: int = 1,
) -> Forecasts:
    """Predict a train window by cross-fitting and what follows it by the forecaster.

    Parameters
    ----------
    tables : ForecastTables
        Rows from the train window's start to `last`.
    window : WindowLike
        The train window; its validation days are cross-fitted too.
    forecaster : Forecaster
        Trained on this window.
    strategy : Strategy
        Labels, network and features.
    last : date
        Last session predicted; the window's own end if nothing follows it.
    threads : int
        Members of a network trained at a time.

    Raises
    ------
    DataError
        If the forecaster's features, labels or models are not the strategy's, or a part of the
        window holds too few rows or hardly one of a class; the fold is named.
    """
    names = feature_names(strategy.features)
    days = tables.bars["session"].unique().sort().to_list()
    train = [day for day in days if window.train_start <= day <= window.train_end]
    later = [day for day in days if window.train_end < day <= last]
    in_window = pl.col("session") <= window.train_end
    known = ForecastTables(
        tables.features.filter(in_window),
        tables.bars.filter(in_window),
        tables.actions.filter(pl.col("ex_date") <= window.train_end),
    )
    with naming(window):
        forecaster.require_declared(names, strategy.forecast)
        fitted = cross_fit(
            known, train, strategy.forecast, names, forecaster.served, threads=threads
        )
    frames, state = [fitted.rows], None
    if later:
        before = forecaster.forecast(tables, later[:-1])
        state = before.state
        frames += [before.rows, forecaster.forecast(tables, later[-1:], state).rows]
    rows = pl.concat(frames).sort("symbol", "session")
    return Forecasts(rows, fitted.card, find_seen_rows(rows, fitted.card, forecaster.card), state)


@contextmanager
def naming(window: WindowLike) -> Generator[None]:
    """Let what is refused name the window in which it was found."""
    try:
        yield
    except UserError as error:
        span = f"train window {window.train_start} to {window.train_end}"
        msg = f"{span}: {error}"
        raise type(error)(msg) from error


def _training_days(days: Sequence[date], window: WindowLike) -> list[date]:
    return [day for day in days if window.train_start <= day < window.validation_start]
