"""What is held of one symbol between two bars: its table of columns, its entitlements."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from trading_assets.features.adjustment import Action, SymbolBars, entitlements
from trading_assets.features.compiled.machine import find_known
from trading_assets.features.engine import NEVER, Collector, Engine
from trading_assets.features.given_columns import compute_given
from trading_assets.features.groups.calendar import EVENT_BARS
from trading_assets.features.inputs import (
    MARKET_INPUTS,
    SERIES_PREFIX,
    SymbolRows,
    bars_since_action,
    weekday_angle,
)
from trading_assets.features.series_memory import SeriesMemory

Array = NDArray[np.float64]
Index = NDArray[np.int64]

_SPARE_ROWS = 64
_BAR_COLUMNS = (
    "open",
    "high",
    "low",
    "close",
    "volume",
    "dollar_volume",
    "log_return",
    "overnight_gap",
)


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar as traded, prices in USD."""

    session: date
    knowledge_time: int
    open: float
    high: float
    low: float
    close: float
    volume: float


@dataclass(slots=True)
class _Standing:
    """What the next bar is made comparable with."""

    session: date
    close: float
    price_factor: float
    share_factor: float
    bars_since_action: int


class HeldSymbol:
    """One symbol's columns since the anchor, to which bars are added.

    Parameters
    ----------
    engine : Engine
        What is computed.
    scale_bars : int
        Bars of the scaling window.
    name : str
        The symbol.
    module : str, optional
        Module of a user's own features.
    """

    def __init__(
        self, engine: Engine, scale_bars: int, name: str, module: str | None = None
    ) -> None:
        self._engine = engine
        self._name = name
        self._module = module
        self._sessions = np.empty(0, dtype="datetime64[D]")
        self._bars = {column: np.empty(0) for column in _BAR_COLUMNS}
        self._rows = 0
        self._standing: _Standing | None = None
        self._table = np.full((engine.n_slots, _SPARE_ROWS), np.nan)
        self._collector = Collector(engine, scale_bars)
        self._dropped_rows = 0
        self._begin_at(np.full(len(engine.program.inputs), NEVER))
        slots = dict(enumerate(engine.program.inputs))
        self._slots_of_market = {k: name for k, name in slots.items() if name in MARKET_INPUTS}
        self._slots_of_series = {
            k: name.removeprefix(SERIES_PREFIX)
            for k, name in slots.items()
            if name.startswith(SERIES_PREFIX)
        }
        others = slots.keys() - self._slots_of_market.keys() - self._slots_of_series.keys()
        self._slots_of_own = {k: slots[k] for k in sorted(others)}

    def begin(self, symbol: SymbolRows, inputs: Mapping[str, Array]) -> None:
        """Take the bars so far, with all inputs of the engine's program, float64 (T,) each."""
        self._standing = _standing_of(symbol)
        rows, program = len(symbol.rows), self._engine.program
        table = np.empty((self._engine.n_slots, rows))
        for slot, name in enumerate(program.inputs):
            table[slot] = inputs[name]
        self._begin_at(find_known(table[: len(program.inputs)], rows, NEVER))
        self._engine.run(table, self._first, 0, rows)
        if self._engine.given:
            self._sessions = symbol.bars.sessions
            self._bars = {column: getattr(symbol.bars, column) for column in _BAR_COLUMNS}
            table[program.n_slots :] = compute_given(self._engine.given, self._module, symbol.bars)
        # Collects the scaling windows, so that the next bar need not.
        self._collector.collect(table, self._counts_from, rows, rows)
        self._rows = min(rows, self._collector.history_rows)
        self._table = np.full((self._engine.n_slots, self._rows + _SPARE_ROWS), np.nan)
        self._table[:, : self._rows] = table[:, rows - self._rows :]
        self._dropped_rows = rows - self._rows
        self._begin_at(self._known)

    def receive(self, bar: Bar, actions: Sequence[Action], memory: SeriesMemory) -> float:
        """Take a bar and return its log total return, nan for the symbol's first.

        Parameters
        ----------
        bar : Bar
            The bar after those held.
        actions : sequence of Action
            The symbol's, in the order they apply.
        memory : SeriesMemory
            Declared series.
        """
        if self._rows == self._table.shape[1]:
            self._table = np.concatenate((self._table, np.full_like(self._table, np.nan)), axis=1)
        inputs = self._comparable(bar, actions)
        row = self._rows
        if self._engine.given:
            session = np.array([bar.session], dtype="datetime64[D]")
            self._sessions = np.concatenate((self._sessions, session))
            for column, values in self._bars.items():
                self._bars[column] = np.append(values, inputs[column])
        for slot, source in self._slots_of_series.items():
            value = memory.newest(source, self._name, bar.session, bar.knowledge_time)
            # A bar that was known earlier than the one before may know less.
            is_carried = math.isnan(value) and row > 0
            self._table[slot, row] = self._table[slot, row - 1] if is_carried else value
        for slot, name in self._slots_of_own.items():
            self._table[slot, row] = inputs[name]
        return inputs["log_return"]

    def compute(self, around: Mapping[str, float]) -> NDArray[np.float32]:
        """Return the features (1 + F,) of the bar that was received last, nan where unknown.

        Parameters
        ----------
        around : mapping of str to float
            The market's inputs at this bar.
        """
        row = self._rows
        for slot, name in self._slots_of_market.items():
            self._table[slot, row] = around[name]
        is_new = ~np.isnan(self._table[self._awaited, row])
        if is_new.any():
            self._known[self._awaited[is_new]] = row + self._dropped_rows
            self._begin_at(self._known)
        self._engine.run(self._table, self._first, row, row + 1)
        if self._engine.given:
            # These know no state: they look at all that is held, and only the last row is new.
            bars = SymbolBars(sessions=self._sessions, **self._bars)
            given = compute_given(self._engine.given, self._module, bars)
            self._table[self._engine.program.n_slots :, row] = given[:, -1]
        values = self._collector.collect(self._table, self._counts_from, row, row + 1)
        self._rows += 1
        return values[:, 0]

    def _begin_at(self, known: Index) -> None:
        # Rows that the table no longer holds have negative numbers in it.
        first, counts_from = self._engine.known_from(known)
        self._known = known
        self._first = first - self._dropped_rows
        self._counts_from = counts_from - self._dropped_rows
        self._awaited = np.flatnonzero(known == NEVER)

    def _comparable(self, bar: Bar, actions: Sequence[Action]) -> dict[str, float]:
        before = self._standing
        split, cash, since = 1.0, 0.0, EVENT_BARS
        if before is not None:
            new = [action for action in actions if before.session < action.ex_date <= bar.session]
            for action in new:
                cash += split * action.cash_usd
                split *= action.split_ratio
            since = 0 if new else min(before.bars_since_action + 1, EVENT_BARS)
        elif any(action.ex_date == bar.session for action in actions):
            since = 0
        price = (1.0 if before is None else before.price_factor) * (split + cash / bar.close)
        shares = (1.0 if before is None else before.share_factor) * split
        log_return = gap = float("nan")
        if before is not None:
            entitled = np.array([bar.close * split + cash, bar.open * split + cash])
            log_return, gap = np.log(entitled / before.close).tolist()
        self._standing = _Standing(bar.session, bar.close, price, shares, since)
        weekday_sin, weekday_cos = _weekday(bar.session)
        return {
            "open": bar.open * price,
            "high": bar.high * price,
            "low": bar.low * price,
            "close": bar.close * price,
            "volume": bar.volume / shares,
            "dollar_volume": bar.close * bar.volume,
            "log_return": log_return,
            "overnight_gap": gap,
            "weekday_sin": weekday_sin,
            "weekday_cos": weekday_cos,
            "bars_since_action": since / EVENT_BARS,
            "minutes_from_open": 0.0,
        }


@lru_cache(maxsize=1)
def _weekday(session: date) -> tuple[float, float]:
    angle = weekday_angle(np.array([session], dtype="datetime64[D]"))
    return float(np.sin(angle)[0]), float(np.cos(angle)[0])


def _standing_of(symbol: SymbolRows) -> _Standing:
    sessions = symbol.bars.sessions
    close = symbol.rows["close"].to_numpy()
    split, cash = entitlements(sessions, symbol.actions)
    return _Standing(
        sessions[-1].astype(date),
        float(close[-1]),
        float(np.cumprod(split + cash / close)[-1]),
        float(np.cumprod(split)[-1]),
        int(bars_since_action(sessions, symbol.actions)[-1]),
    )
