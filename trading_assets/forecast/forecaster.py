"""A trained forecaster: predicts, and is written to and read from plain data files."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from trading_assets.errors import DataError
from trading_assets.forecast.barriers import label_panel
from trading_assets.forecast.calibration import temper
from trading_assets.forecast.candidates import Candidate
from trading_assets.forecast.card import ForecasterCard, read_card
from trading_assets.forecast.class_rules import ClassRule
from trading_assets.forecast.conformal_memory import count_waiting_sessions
from trading_assets.forecast.conformal_state import ConformalState
from trading_assets.forecast.dataset import Panel, Rows, build_panel, find_usable, rows_at
from trading_assets.forecast.forecast_rows import (
    PredictedRows,
    add_intervals,
    read_outcomes,
    tabulate,
)
from trading_assets.forecast.fractional import Prices, add_difference, adjust_symbols
from trading_assets.forecast.networks.strip_rows import LabelledRows
from trading_assets.forecast.predictions import CandidateName, Predictions, join_predictions
from trading_assets.forecast.seeded_thread import one_seeded_thread
from trading_assets.forecast.tables import ForecastTables
from trading_assets.forecast.weights import FittedModels, restore_models
from trading_assets.forecast_specs import ForecastSpec

Array = NDArray[np.float64]

WEIGHTS_FILE = "weights.safetensors"
CARD_FILE = "card.json"
FORECASTER = "forecaster"


@dataclass(frozen=True, slots=True)
class TrainingRecord:
    """What is known of a forecaster right after its training, and not stored with it.

    Attributes
    ----------
    candidates : mapping of str to Candidate
        All that were fitted.
    judging : LabelledRows
        The rows that judged them.
    judged : Predictions
        What the served one said of these, tempered.
    """

    candidates: Mapping[CandidateName, Candidate]
    judging: LabelledRows
    judged: Predictions


@dataclass(frozen=True, slots=True)
class Forecast:
    """Rows of the table `forecasts`, and what the next session's intervals go on from."""

    rows: pl.DataFrame
    state: ConformalState


class Forecaster:
    """Predicts the return over the horizon with the candidate that was found to serve.

    Parameters
    ----------
    card : ForecasterCard
        What it was trained on and how it did.
    models : FittedModels
        Transforms and the model that serves.
    training : TrainingRecord, optional
        Known after training, not of a forecaster that was read from files.
    """

    def __init__(
        self,
        card: ForecasterCard,
        models: FittedModels,
        training: TrainingRecord | None = None,
    ) -> None:
        self._card = card
        self._models = models
        self.training = training

    @property
    def card(self) -> dict[str, Any]:
        """The card as JSON values."""
        return json.loads(self._card.to_json())

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Features the forecaster reads, in order."""
        return self._card.feature_names

    @property
    def window_bars(self) -> int:
        """Sessions of features that a prediction needs, its own included."""
        return self._card.architecture.window_bars

    @property
    def trained_to(self) -> date:
        """Last session that had a say in the model; only later ones can be asked of it."""
        return self._card.validation[1]

    @property
    def horizon_bars(self) -> int:
        """Bars from a prediction to the end of what it predicts."""
        return self._card.horizon_bars

    def count_sessions(self, n_asked: int) -> int:
        """Return the sessions of features that so many forecasts in a row need.

        Their windows, and the volatility of sessions whose outcome the first of them may learn.
        """
        learned = count_waiting_sessions(self.horizon_bars) + 1
        return max(self.window_bars, learned) + n_asked - 1

    @property
    def models(self) -> FittedModels:
        """Transforms and the model that serves."""
        return self._models

    @property
    def served(self) -> CandidateName:
        """The candidate that serves."""
        return self._card.served

    @property
    def spec(self) -> ForecastSpec:
        """What was declared."""
        return self._card.declared

    @property
    def temperature(self) -> float:
        """Temperature of the served candidate's probabilities."""
        return self._card.temperature

    @property
    def class_rule(self) -> ClassRule:
        """What makes a label down, flat or up."""
        return self._card.class_rule

    @property
    def prior(self) -> Array:
        """Class shares of the train rows, float64 (3,)."""
        return np.array(self._card.metrics.train_class_shares)

    @property
    def start_state(self) -> ConformalState:
        """What intervals start from: how far the judging rows lay from what was said of them."""
        return self._card.conformal

    def require_declared(self, names: Sequence[str], spec: ForecastSpec) -> None:
        """Refuse to serve a strategy that declares other features, labels or models.

        A launch may ask for other epochs than are declared.

        Raises
        ------
        DataError
            Naming the first that differ.
        """
        if tuple(names) != self.feature_names:
            lacking = [name for name in self.feature_names if name not in names]
            further = [name for name in names if name not in self.feature_names]
            parts = [f"lacks {', '.join(lacking[:5])}"] * bool(lacking)
            parts += [f"has {', '.join(further[:5])} besides"] * bool(further)
            msg = (
                f"the strategy {' and '.join(parts) or 'lists its features in another order'};"
                f" expected the {len(self.feature_names)} features of the forecaster's card: train"
                " it again"
            )
            raise DataError(msg)
        own, asked = self.spec.model_dump(), spec.model_dump()
        changed = [name for name in own if name != "epochs" and own[name] != asked[name]]
        if changed:
            name = changed[0]
            msg = (
                f"forecast.{name} was {asked[name]}; expected {own[name]}, by which the forecaster"
                " was trained: train it again"
            )
            raise DataError(msg)

    def predict(self, tables: ForecastTables, sessions: Sequence[date]) -> pl.DataFrame:
        """Return the table `forecasts` of `forecast` from the first session after training on."""
        return self.forecast(tables, sessions).rows

    def forecast(
        self,
        tables: ForecastTables,
        sessions: Sequence[date],
        state: ConformalState | None = None,
    ) -> Forecast:
        """Return the table `forecasts` (window `test`) for the sessions, known at their close.

        Each session is predicted by itself, and intervals go on from session to session by what has
        come of earlier forecasts, so bytes are the same for a year and for its sessions one after
        the other. A symbol whose row lacks a volatility, or most of the features known in training,
        has no forecast.

        Parameters
        ----------
        tables : ForecastTables
            Features with the `window_bars - 1` sessions before the first asked one. Bars of later
            sessions than a forecast's change nothing about it.
        sessions : sequence of date
            Sessions to predict, all after the validation window, oldest first.
        state : ConformalState, optional
            Of the last session that was forecast; the start without. Sessions up to its own get the
            intervals that they were issued with.

        Raises
        ------
        DataError
            If features are missing, not finite, or do not reach back far enough, or a session lies
            in the window the forecaster was trained on, or was not issued by the state.
        """
        panel = build_panel(tables.features, self.feature_names)
        self.require_later(sessions)
        self._require_window(panel, sessions)
        rows = self.rows_to_serve(panel, sessions)
        inputs = self.see(panel, tables)
        with one_seeded_thread(self._card.seed):
            parts = [self.say(inputs, chunk) for chunk in _by_session(rows)]
        predicted = PredictedRows(rows, join_predictions(parts))
        return self._finish(tables, panel, predicted, ("test", FORECASTER), state)

    def predict_part(
        self, tables: ForecastTables, panel: Panel, rows: Rows, part: str
    ) -> pl.DataFrame:
        """Return the table `forecasts` (window `train`) of a cross-fit part for its own rows.

        Rows that lack most of the features known where the part was trained are left out.
        """
        is_usable = self.find_usable(panel)
        rows = rows.where(is_usable[rows.symbol, rows.session])
        inputs = self.see(panel, tables)
        with one_seeded_thread(self._card.seed):
            said = self.say(inputs, rows)
        predicted = PredictedRows(rows, said)
        # The part's own judging rows, which intervals start from, may be later than its block.
        state = self.start_state
        if len(rows):
            before = panel.sessions[rows.session.min()] - np.timedelta64(1, "D")
            state = state.model_copy(update={"session": date.fromisoformat(str(before))})
        return self._finish(tables, panel, predicted, ("train", part), state).rows

    def model_inputs(self, tables: ForecastTables) -> tuple[Panel, torch.Tensor]:
        """Return the panel of features and what the models see of it, float32 (N, I, T)."""
        panel = build_panel(tables.features, self.feature_names)
        return panel, self.see(panel, tables)

    def full_panel(self, tables: ForecastTables) -> Panel:
        """Return the panel of all columns that the transforms take, a fractional difference too."""
        return self._completed(build_panel(tables.features, self.feature_names), tables)

    def see(self, panel: Panel, tables: ForecastTables) -> torch.Tensor:
        """Return what the models see of a panel of the declared features, float32 (N, I, T)."""
        return self._models.transforms.apply(self._completed(panel, tables).values)

    def rows_to_serve(self, panel: Panel, sessions: Sequence[date]) -> Rows:
        """Return the rows of a panel at sessions that have a forecast, oldest first."""
        declared = replace(panel, values=panel.values[:, : len(self.feature_names)])
        return rows_at(declared, sessions, self.window_bars, self._is_counted())

    def find_usable(self, panel: Panel) -> NDArray[np.bool_]:
        """Return which rows (N, T) of a panel of the declared features know enough of them."""
        return find_usable(panel, self._is_counted())

    def say(self, inputs: torch.Tensor, rows: Rows) -> Predictions:
        """Return what the served model says at rows of inputs float32 (N, I, T), tempered."""
        said = self._models.served.predict(inputs, rows)
        return said.with_probabilities(temper(said.probabilities, self._card.temperature))

    def to_files(self) -> dict[str, bytes]:
        """Return `weights.safetensors` and `card.json`; equal forecasters give equal bytes."""
        return {WEIGHTS_FILE: self._models.pack(), CARD_FILE: self._card.to_json()}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> "Forecaster":
        """Return the forecaster of two files, or refuse them.

        Raises
        ------
        DataError
            If a file is missing or damaged, the weights are not those of the card, have other
            names or shapes than its architecture, or hold nan or infinity.
        """
        for name in (WEIGHTS_FILE, CARD_FILE):
            if name not in files:
                msg = f"forecaster lacks {name}; expected {WEIGHTS_FILE} and {CARD_FILE}: retrain"
                raise DataError(msg)
        card = read_card(files[CARD_FILE])
        return cls(card, restore_models(card, files[WEIGHTS_FILE]))

    def _is_counted(self) -> NDArray[np.bool_]:
        return self._models.transforms.is_known[: len(self.feature_names)]

    def _completed(self, panel: Panel, tables: ForecastTables) -> Panel:
        order = self._card.inputs.fractional_order
        if order is None:
            return panel
        prices: Prices = adjust_symbols(tables.bars, tables.actions)
        return add_difference(panel, prices, order)

    def require_later(self, sessions: Sequence[date]) -> None:
        """Refuse to forecast sessions that the model was trained on.

        Raises
        ------
        DataError
            Naming the first of them.
        """
        last = self.trained_to
        seen = [session for session in sessions if session <= last]
        if seen:
            msg = (
                f"session {min(seen)} was asked of a forecaster trained up to {last}; expected"
                f" later sessions only: use the cross-fitted forecasts inside the train window"
            )
            raise DataError(msg)

    def _require_window(self, panel: Panel, sessions: Sequence[date]) -> None:
        if not sessions:
            return
        first = np.datetime64(min(sessions), "D")
        before = int((panel.sessions < first).sum())
        if before < self.window_bars - 1:
            msg = (
                f"features hold {before} sessions before {min(sessions)}; expected at least"
                f" {self.window_bars - 1}, the forecaster's window: read features further back"
            )
            raise DataError(msg)

    def _finish(
        self,
        tables: ForecastTables,
        panel: Panel,
        predicted: PredictedRows,
        origin: tuple[str, str],
        state: ConformalState | None,
    ) -> Forecast:
        labels = label_panel(panel, tables.bars, tables.actions, self._card.declared)
        outcomes = read_outcomes(panel, labels, self._card.class_rule, self._card.horizon_bars)
        state = state or self.start_state
        limits, after = add_intervals(panel, predicted, outcomes, state)
        rows = tabulate(
            tables.features, panel, predicted, limits, (*origin, self._card.horizon_bars)
        )
        return Forecast(rows, after)


def _by_session(rows: Rows) -> Iterator[Rows]:
    bounds = np.flatnonzero(np.diff(rows.session)) + 1
    for symbol, session in zip(
        np.split(rows.symbol, bounds), np.split(rows.session, bounds), strict=True
    ):
        yield Rows(symbol, session)
