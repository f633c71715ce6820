"""A trained forecaster: predicts, and is written to and read from plain data files."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from trading_assets.errors import DataError
from trading_assets.forecast.calibration import class_probabilities
from trading_assets.forecast.card import ForecasterCard, read_card
from trading_assets.forecast.dataset import (
    Panel,
    Rows,
    build_panel,
    find_usable,
    last_bars,
    rows_at,
)
from trading_assets.forecast.fit_network import one_seeded_thread, run_network
from trading_assets.forecast.fractional import Prices, add_difference
from trading_assets.forecast.weights import FittedModels, restore_models
from trading_assets.schema import conform

Array = NDArray[np.float64]

WEIGHTS_FILE = "weights.safetensors"
CARD_FILE = "card.json"
FORECASTER = "forecaster"


@dataclass(frozen=True, slots=True)
class Predictions:
    """Class probabilities (n, 3), mean and standard deviation (n,) of the scaled return."""

    probabilities: Array
    mean: Array
    deviation: Array


class Forecaster:
    """Predicts the return over the horizon with the better of network and gate model."""

    def __init__(self, card: ForecasterCard, models: FittedModels) -> None:
        self._card = card
        self._models = models

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
    def needs_prices(self) -> bool:
        """Whether an input is the fractional difference of prices."""
        return self._card.inputs.fractional_order is not None

    def predict(
        self, features: pl.DataFrame, sessions: Sequence[date], prices: Prices | None = None
    ) -> pl.DataFrame:
        """Return the table `forecasts` (window `test`) for the sessions, known at their close.

        Each session is predicted by itself, so that its bytes are the same for one session and for
        a year. A symbol whose row lacks a volatility, or most of the features known in training,
        has no forecast.

        Parameters
        ----------
        features : DataFrame
            Table features, with the `window_bars - 1` sessions before the first asked one.
        sessions : sequence of date
            Sessions to predict, all after the validation window.
        prices : mapping of str to SymbolBars, optional
            Total-return bars by symbol, see `adjust_symbols`, where the forecaster `needs_prices`;
            best with the 504 bars before the features.

        Raises
        ------
        DataError
            If features are missing, not finite, or do not reach back far enough, prices are needed
            and not given, or a session lies in the window the forecaster was trained on.
        """
        panel = build_panel(features, self.feature_names)
        self._require_later(sessions)
        self._require_window(panel, sessions)
        rows = rows_at(panel, sessions, self.window_bars, self._is_counted())
        inputs = self._apply(panel, prices)
        with one_seeded_thread(self._card.seed):
            parts = [self._predict_rows(inputs, chunk) for chunk in _by_session(rows)]
        return self._tabulate(features, panel, rows, _join(parts), ("test", FORECASTER))

    def predict_part(
        self, features: pl.DataFrame, panel: Panel, rows: Rows, part: str, prices: Prices | None
    ) -> pl.DataFrame:
        """Return the table `forecasts` (window `train`) of a cross-fit part for its own rows.

        Rows that lack most of the features known where the part was trained are left out.
        """
        is_usable = find_usable(panel, self._is_counted())
        rows = rows.where(is_usable[rows.symbol, rows.session])
        inputs = self._apply(panel, prices)
        with one_seeded_thread(self._card.seed):
            predictions = self._predict_rows(inputs, rows)
        return self._tabulate(features, panel, rows, predictions, ("train", part))

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

    def _apply(self, panel: Panel, prices: Prices | None) -> torch.Tensor:
        order = self._card.inputs.fractional_order
        if order is not None:
            if prices is None:
                msg = (
                    f"no prices were given to a forecaster with a fractional difference of order"
                    f" {order}; expected total-return bars by symbol: pass those of the bars that"
                    f" the features were computed from"
                )
                raise DataError(msg)
            panel = add_difference(panel, prices, order)
        return self._models.transforms.apply(panel.values)

    def _require_later(self, sessions: Sequence[date]) -> None:
        _, last = self._card.validation
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

    def _predict_rows(self, inputs: torch.Tensor, rows: Rows) -> Predictions:
        if self._card.served == "network":
            output = run_network(self._models.network, inputs, rows, self.window_bars)
            logits, mean = output.logits.double().numpy(), output.mean.double().numpy()
            deviation = np.exp(0.5 * output.log_variance.double().numpy())
        else:
            last = last_bars(inputs, rows)
            logits = self._models.gate.logits(last).numpy()
            mean = self._models.gate.mean(last).numpy()
            deviation = np.full(len(rows), np.exp(0.5 * float(self._models.gate.log_variance)))
        return Predictions(class_probabilities(logits, self._card.temperature), mean, deviation)

    def _tabulate(
        self,
        features: pl.DataFrame,
        panel: Panel,
        rows: Rows,
        predictions: Predictions,
        origin: tuple[str, str],
    ) -> pl.DataFrame:
        window, model = origin
        scale = panel.volatility[rows.symbol, rows.session] * np.sqrt(self._card.horizon_bars)
        columns = {
            "p_down": predictions.probabilities[:, 0],
            "p_flat": predictions.probabilities[:, 1],
            "p_up": predictions.probabilities[:, 2],
            "expected_return": predictions.mean * scale,
            "sigma_return": predictions.deviation * scale,
        }
        table = features.select("symbol", "session", "knowledge_time")[
            panel.table_row[rows.symbol, rows.session]
        ].with_columns(
            pl.lit(window).alias("window"),
            pl.lit(model).alias("model"),
            *(pl.Series(name, value.astype(np.float32)) for name, value in columns.items()),
        )
        return conform("forecasts", table).sort("symbol", "session")


def _by_session(rows: Rows) -> Iterator[Rows]:
    bounds = np.flatnonzero(np.diff(rows.session)) + 1
    for symbol, session in zip(
        np.split(rows.symbol, bounds), np.split(rows.session, bounds), strict=True
    ):
        yield Rows(symbol, session)


def _join(parts: Sequence[Predictions]) -> Predictions:
    return Predictions(
        np.concatenate([part.probabilities for part in parts]),
        np.concatenate([part.mean for part in parts]),
        np.concatenate([part.deviation for part in parts]),
    )
