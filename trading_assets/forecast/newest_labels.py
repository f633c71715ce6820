"""Labels that end with the next bar, from what is held of the bars before it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl
from numpy.typing import NDArray

from trading_assets.features.adjustment import Action, adjust_forward, entitlements, list_actions
from trading_assets.forecast.class_rules import ClassRule, classify_rows
from trading_assets.forecast.dataset import LabelGrid, Panel, Paths, Rows, scale_returns
from trading_assets.forecast.fractional import return_weights
from trading_assets.forecast.outcomes import Outcome, as_days
from trading_assets.forecast_specs import ForecastSpec

Array = NDArray[np.float64]
Index = NDArray[np.int64]

_PRICES = ("open", "high", "low", "close")


@dataclass(frozen=True, slots=True)
class NewBars:
    """Bars of one session as traded, USD, arrays (K,), and which symbols of the held they are of.

    `places` rise; `actions` are by symbol, those that were not given before.
    """

    session: date
    places: Index
    prices: Mapping[str, Array]
    actions: Mapping[str, Sequence[Action]]


class HeldPrices:
    """What labels, and differences of prices, need of the bars before the next one.

    Says of the next bar what `compute_labels`, `lay_paths` and `add_difference` say of it, to the
    last bit.

    Parameters
    ----------
    bars, actions : DataFrame
        Tables validated_bars and corporate_actions, from the first bar that labels are computed
        from on.
    panel : Panel
        Rows that may have a label, of all symbols that may have a bar.
    spec : ForecastSpec
        Horizon and kind of labels.
    fractional_order : float, optional
        Order of the difference, where it is asked for.
    """

    def __init__(
        self,
        bars: pl.DataFrame,
        actions: pl.DataFrame,
        panel: Panel,
        spec: ForecastSpec,
        fractional_order: float | None = None,
    ) -> None:
        count, horizon = len(panel.symbols), spec.horizon_bars
        self._symbols = panel.symbols
        self._horizon, self._labels = horizon, spec.labels
        self._sessions = np.full(count, np.datetime64("NaT"), dtype="datetime64[D]")
        self._close, self._factor, self._scale = (np.full(count, np.nan) for _ in range(3))
        self._row_session = self._sessions.copy()
        self._past = {name: np.full((count, horizon), np.nan) for name in ("open", "high", "low")}
        self._weights = np.empty(0)
        if fractional_order is not None:
            self._weights = return_weights(fractional_order)
        self._returns = np.full((count, max(0, len(self._weights) - 1)), np.nan)
        # Of symbols that have had no bar since the ex date.
        self._pending: dict[str, list[Action]] = {}
        scale = scale_returns(panel, horizon)
        entitled = list_actions(actions)
        parts = bars.sort("symbol", "session").partition_by("symbol", as_dict=True)
        for place, symbol in enumerate(panel.symbols):
            if (symbol,) in parts:
                self._hold(place, parts[(symbol,)], entitled.get(symbol, ()))
        at = np.searchsorted(panel.sessions, self._row_session)
        for place, row in enumerate(at):
            if row < len(panel.sessions) and panel.sessions[row] == self._row_session[place]:
                self._scale[place] = scale[place, row]

    def labels_of(self, new: NewBars, rule: ClassRule) -> list[Outcome]:
        """Return the outcomes that are known with new bars, in order of session and symbol."""
        split, cash = self._entitlements(new)
        factor = self._factor[new.places] * (split + cash / new.prices["close"])
        adjusted = {name: new.prices[name] * factor for name in _PRICES}
        # The first bar of the label's life is the oldest held but one, or the new one.
        lives = {
            name: np.column_stack((past[new.places, 1:], adjusted[name]))
            for name, past in self._past.items()
        }
        entry, scale = lives["open"][:, 0], self._scale[new.places]
        earned = adjusted["close"] / entry - 1.0
        paths = None
        if self._labels != "fixed_horizon":
            paths = Paths(
                _extremes(np.maximum, lives["high"], entry, scale),
                _extremes(np.minimum, lives["low"], entry, scale),
            )
        ends = np.full((len(earned), 1), np.datetime64(new.session, "D"))
        grid = LabelGrid((earned / scale)[:, None], ends, paths)
        (known,) = np.nonzero(np.isfinite(grid.scaled_return[:, 0]))
        classes = classify_rows(rule, grid, Rows(known, np.zeros_like(known)), self._horizon)
        places = new.places[known]
        days = as_days(self._row_session[places])
        order = np.lexsort((places, days))
        return [
            (self._symbols[places[k]], int(days[k]), float(value), int(classes.classes[k]))
            for k, value in zip(order, grid.scaled_return[known[order], 0], strict=True)
        ]

    def differences_of(self, new: NewBars) -> Array:
        """Return the fractional differences (K,) of new bars, nan where bars are too few."""
        split, cash = self._entitlements(new)
        entitled = new.prices["close"] * split + cash
        newest = np.log(entitled / self._close[new.places])
        returns = np.column_stack((self._returns[new.places], newest))
        total = np.zeros(len(new.places))
        for lag, weight in enumerate(self._weights):
            total += weight * returns[:, -1 - lag]
        return total

    def _hold(self, place: int, rows: pl.DataFrame, actions: Sequence[Action]) -> None:
        own = adjust_forward(rows, actions)
        close = rows["close"].to_numpy()
        split, cash = entitlements(own.sessions, actions)
        self._sessions[place], self._close[place] = own.sessions[-1], close[-1]
        self._factor[place] = np.cumprod(split + cash / close)[-1]
        self._pending[rows["symbol"][0]] = [
            action for action in actions if np.datetime64(action.ex_date, "D") > own.sessions[-1]
        ]
        reach = len(self._weights)
        if 0 < reach <= len(own.log_return):
            self._returns[place] = own.log_return[len(own.log_return) - reach + 1 :]
        if len(own.sessions) < self._horizon:
            return
        self._row_session[place] = own.sessions[-self._horizon]
        for name, past in self._past.items():
            past[place] = getattr(own, name)[-self._horizon :]

    def _entitlements(self, new: NewBars) -> tuple[Array, Array]:
        split, cash = np.ones(len(new.places)), np.zeros(len(new.places))
        for k, place in enumerate(new.places):
            symbol = self._symbols[place]
            actions = [*self._pending.get(symbol, ()), *new.actions.get(symbol, ())]
            held = self._sessions[place]
            if not actions or np.isnat(held):
                continue
            days = np.array([held, np.datetime64(new.session, "D")])
            both = entitlements(days, actions)
            split[k], cash[k] = both[0][1], both[1][1]
        return split, cash


def _extremes(accumulated: np.ufunc, prices: Array, entry: Array, scale: Array) -> Array:
    """Return how far prices (K, h) have gone from the entry, (K, 1, h)."""
    reached = accumulated.accumulate(prices, axis=1)
    return ((reached / entry[:, None] - 1.0) / scale[:, None])[:, None]
