"""What is held of one symbol between two bars: what it was worth, its entitlements."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from trading_assets.features.adjustment import Action, SymbolBars, entitlements
from trading_assets.features.engine import Engine
from trading_assets.features.given_columns import compute_given
from trading_assets.features.groups.calendar import EVENT_BARS
from trading_assets.features.inputs import (
    SERIES_PREFIX,
    SymbolRows,
    bars_since_action,
    is_series,
    weekday_angle,
)
from trading_assets.features.series_memory import SeriesMemory

Array = NDArray[np.float64]

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
    """What a symbol's next bar is made comparable with, and what given features are made from.

    Parameters
    ----------
    engine : Engine
        What is computed.
    name : str
        The symbol.
    module : str, optional
        Module of a user's own features.
    """

    def __init__(self, engine: Engine, name: str, module: str | None = None) -> None:
        self._engine = engine
        self._name = name
        self._module = module
        self._sessions = np.empty(0, dtype="datetime64[D]")
        self._bars = {column: np.empty(0) for column in _BAR_COLUMNS}
        self._standing: _Standing | None = None
        self._series = [name for name in engine.program.inputs if is_series(name)]

    def begin(self, symbol: SymbolRows) -> Array | None:
        """Take the bars so far and return the given features (G, T), None without any."""
        self._standing = _standing_of(symbol)
        if not self._engine.given:
            return None
        self._sessions = symbol.bars.sessions
        self._bars = {column: getattr(symbol.bars, column) for column in _BAR_COLUMNS}
        return compute_given(self._engine.given, self._module, symbol.bars)

    def receive(
        self, bar: Bar, actions: Sequence[Action], memory: SeriesMemory
    ) -> dict[str, float]:
        """Take the bar after those held and return its inputs but the market's.

        Parameters
        ----------
        bar : Bar
            As traded.
        actions : sequence of Action
            The symbol's, in the order they apply.
        memory : SeriesMemory
            Declared series.

        Returns
        -------
        dict of str to float
            `log_return` is nan at the symbol's first bar, a series where nothing is known.
        """
        inputs = self._comparable(bar, actions)
        if self._engine.given:
            session = np.array([bar.session], dtype="datetime64[D]")
            self._sessions = np.concatenate((self._sessions, session))
            for column, values in self._bars.items():
                self._bars[column] = np.append(values, inputs[column])
        for name in self._series:
            source = name.removeprefix(SERIES_PREFIX)
            inputs[name] = memory.newest(source, self._name, bar.session, bar.knowledge_time)
        return inputs

    def compute_given(self) -> Array | None:
        """Return the given features (G,) of the bar received last, None without any."""
        if not self._engine.given:
            return None
        # These know no state: they look at all that is held, and only the last row is new.
        bars = SymbolBars(sessions=self._sessions, **self._bars)
        return compute_given(self._engine.given, self._module, bars)[:, -1]

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
