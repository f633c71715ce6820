"""The forecast of one session, of which all but its own bars was prepared before."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from trading_assets.errors import DataError
from trading_assets.features.adjustment import Action
from trading_assets.features.windows import VOLATILITY_COLUMN
from trading_assets.forecast.adaptive_limits import Limits, require_predictions
from trading_assets.forecast.barriers import label_panel
from trading_assets.forecast.conformal import interval
from trading_assets.forecast.conformal_memory import ConformalMemory
from trading_assets.forecast.conformal_state import ConformalState
from trading_assets.forecast.dataset import Panel, Rows, build_panel
from trading_assets.forecast.forecast_rows import lay_out, read_outcomes, stored_columns
from trading_assets.forecast.forecaster import FORECASTER, Forecaster
from trading_assets.forecast.newest_labels import HeldPrices, NewBars
from trading_assets.forecast.outcomes import Outcome, as_days, known_by
from trading_assets.forecast.prediction_sets import abstains, prediction_sets
from trading_assets.forecast.predictions import Predictions
from trading_assets.forecast.seeded_thread import one_thread
from trading_assets.forecast.tables import ForecastTables
from trading_assets.schema import TABLES

Array = NDArray[np.float64]
Values = NDArray[np.float32]

_PRICES = ("open", "high", "low", "close")


@dataclass(frozen=True, slots=True)
class SessionForecast:
    """What `Forecaster.forecast` says of one session.

    Attributes
    ----------
    rows : DataFrame
        Table `forecasts` of the session.
    columns : mapping of str to float32 (n,)
        Its numbers.
    symbols : sequence of str
        The rows' symbols, in order.
    state : mapping
        JSON values of what the next session's intervals go on from.
    """

    rows: pl.DataFrame
    columns: Mapping[str, Values]
    symbols: Sequence[str]
    state: Mapping[str, Any]


class SessionForecaster:
    """A forecaster that waits for a session's bars; it says of them what `Forecaster` does.

    Parameters
    ----------
    forecaster : Forecaster
        What forecasts.
    tables : ForecastTables
        Features of the sessions before that the session's forecast needs, no more and no less, and
        bars and actions up to the last of them.
    asked : sequence of date
        Sessions whose forecasts are asked for, oldest first; the last is the one that comes.
    state : ConformalState, optional
        As in `Forecaster.forecast`.
    names : sequence of str
        Columns of the features that will come, the volatility among them.
    symbols : sequence of str
        Symbols that may have a bar, in order.

    Raises
    ------
    DataError
        As in `Forecaster.forecast`, or if sessions do not fill the window, or the state is of the
        session that comes or a later one.
    """

    def __init__(
        self,
        forecaster: Forecaster,
        tables: ForecastTables,
        asked: Sequence[date],
        state: ConformalState | None,
        names: Sequence[str],
        symbols: Sequence[str],
    ) -> None:
        self._forecaster = forecaster
        self._symbols = list(symbols)
        forecaster.require_later(asked)
        spec, order = forecaster.spec, forecaster.models.transforms.fractional_order
        panel = _widen(build_panel(tables.features, forecaster.feature_names), symbols)
        before = forecaster.window_bars - 1
        if len(panel.sessions) < before:
            msg = (
                f"features hold {len(panel.sessions)} sessions before the next; expected at least"
                f" {before}, the forecaster's window: read features further back"
            )
            raise DataError(msg)
        self.rows = TABLES["forecasts"].empty()
        if asked[:-1]:
            found = forecaster.forecast(tables, asked[:-1], state)
            self.rows, state = found.rows, found.state
        state = state or forecaster.start_state
        if state.session >= asked[-1]:
            msg = (
                f"intervals go on from {state.session}; expected a session before {asked[-1]},"
                " whose forecast is to be made: its limits were issued before"
            )
            raise DataError(msg)
        self._memory = ConformalMemory(state)
        labels = label_panel(panel, tables.bars, tables.actions, spec)
        outcomes = read_outcomes(panel, labels, forecaster.class_rule, forecaster.horizon_bars)
        closes = as_days(panel.sessions[-1:])
        self._known = [
            outcome
            for known in known_by(outcomes, closes)
            for outcome in known
            if self._memory.is_waited_for(outcome)
        ]
        inputs = forecaster.see(panel, tables).numpy()
        # The window that the next session's own inputs complete.
        self._window: Values = np.zeros((*inputs.shape[:2], before + 1), np.float32)
        self._window[:, :, :before] = inputs[:, :, inputs.shape[2] - before :]
        self._has_difference = order is not None
        self._prices = HeldPrices(tables.bars, tables.actions, panel, spec, order)
        self._columns = [names.index(name) for name in forecaster.feature_names]
        self._volatility = names.index(VOLATILITY_COLUMN)
        self._places = {name: place for place, name in enumerate(self._symbols)}
        # The networks are loaded at their first forecast.
        every = np.arange(len(self._symbols))
        self._say(Rows(every, np.full(len(every), before)))

    def forecast(
        self, bars: pl.DataFrame, values: Values, actions: Mapping[str, Sequence[Action]]
    ) -> SessionForecast:
        """Return the session's forecast; may be asked for once.

        Parameters
        ----------
        bars : DataFrame
            Table validated_bars of the session, in order of symbols, all of which are known.
        values : float32 (K, 1 + F)
            Their features, nan where unknown.
        actions : mapping of str to sequence of Action
            Actions that were not given before, by symbol, in the order they apply.

        Raises
        ------
        DataError
            If what the model says is no distribution.
        """
        session: date = bars["session"][0]
        places = np.array([self._places[name] for name in bars["symbol"].to_list()], np.int64)
        prices = {name: bars[name].to_numpy() for name in _PRICES}
        new = NewBars(session, places, prices, actions)
        panel = self._panel_of(session, places, values)
        (found,) = np.nonzero(self._forecaster.find_usable(panel)[:, 0])
        self._show(panel, new)
        said = self._say(Rows(found, np.full(len(found), self._window.shape[2] - 1)))
        symbols = [self._symbols[place] for place in found]
        require_predictions(symbols, np.repeat(panel.sessions, len(symbols)), said)
        limits = self._limits(int(as_days(panel.sessions)[0]), symbols, said, new)
        scale = panel.volatility[found, 0] * np.sqrt(self._forecaster.horizon_bars)
        columns = stored_columns(said, limits, scale)
        at = np.searchsorted(places, found)
        keys = [bars[name][at] for name in ("symbol", "session", "knowledge_time")]
        state = self._memory.values()
        return SessionForecast(
            lay_out(keys, columns, limits, ("test", FORECASTER)), columns, symbols, state
        )

    def _panel_of(self, session: date, places: NDArray[np.int64], values: Values) -> Panel:
        """Return the session as a panel of all symbols."""
        count = len(self._symbols)
        own = np.full((count, len(self._columns), 1), np.nan, np.float32)
        own[places, :, 0] = values[:, self._columns]
        volatility = np.full((count, 1), np.nan)
        volatility[places, 0] = values[:, self._volatility]
        days = np.array([session], dtype="datetime64[D]")
        return Panel(days, self._symbols, own, volatility, np.full((count, 1), -1))

    def _show(self, panel: Panel, new: NewBars) -> None:
        """Complete the window with the session's inputs."""
        values = panel.values
        if self._has_difference:
            column = np.full((len(values), 1, 1), np.nan, np.float32)
            column[new.places, 0, 0] = self._prices.differences_of(new)
            values = np.concatenate((values, column), axis=1)
        last = self._forecaster.models.transforms.apply(values)
        self._window[:, :, -1] = last[:, :, 0].numpy()

    def _say(self, rows: Rows) -> Predictions:
        # Models draw nothing when they say something.
        with one_thread():
            return self._forecaster.say(torch.from_numpy(self._window), rows)

    def _limits(self, day: int, symbols: Sequence[str], said: Predictions, new: NewBars) -> Limits:
        quantile = threshold = 0.0
        if symbols:
            known: list[Outcome] = [
                *self._known,
                *self._prices.labels_of(new, self._forecaster.class_rule),
            ]
            columns = (said.mean, said.deviation, *said.probabilities.T)
            values = zip(*(column.tolist() for column in columns), strict=True)
            own = dict(zip(symbols, values, strict=True))
            quantile, threshold = self._memory.pass_close(day, known, own)
        low, high = interval(said.mean, said.deviation, quantile)
        sets = prediction_sets(said.probabilities, threshold)
        return Limits(low, high, sets, abstains(sets))


def _widen(panel: Panel, symbols: Sequence[str]) -> Panel:
    """Return a panel with rows of further symbols, which have no bar in it."""
    place = np.searchsorted(np.array(symbols), np.array(panel.symbols))
    widened: dict[str, Any] = {}
    for name in ("values", "volatility", "table_row"):
        held = getattr(panel, name)
        empty = -1 if name == "table_row" else np.nan
        widened[name] = np.full((len(symbols), *held.shape[1:]), empty, held.dtype)
        widened[name][place] = held
    return replace(panel, symbols=list(symbols), **widened)
