"""What features are computed from: columns of one symbol's bars, and of the market around it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from trading_assets.features.adjustment import Action, SymbolBars, adjust_forward
from trading_assets.features.groups.calendar import EVENT_BARS
from trading_assets.features.known_series import Lines, known_values

Array = NDArray[np.float64]
Days = NDArray[np.datetime64]

SERIES_PREFIX = "series:"
MARKET_INPUTS = frozenset(
    {
        "market_return",
        "sector_return",
        "mean_correlation",
        "first_component_share",
        "regime_calm",
        "regime_stressed",
    }
)


@dataclass(frozen=True, slots=True)
class SymbolRows:
    """Bars of one symbol in time order, as stored and made comparable across actions."""

    symbol: str
    rows: pl.DataFrame
    bars: SymbolBars
    actions: Sequence[Action]


def prepare_symbols(
    rows: pl.DataFrame, actions: Mapping[str, Sequence[Action]]
) -> list[SymbolRows]:
    """Return the symbols of table validated_bars, in order.

    Raises
    ------
    DataError
        If a symbol has two bars of one session.
    """
    parts = rows.sort("symbol", "session").partition_by("symbol", as_dict=True)
    found: list[SymbolRows] = []
    for (name,), own in parts.items():
        entitled = actions.get(str(name), ())
        found.append(SymbolRows(str(name), own, adjust_forward(own, entitled), entitled))
    return found


def own_inputs(symbol: SymbolRows, names: Sequence[str], lines: Lines) -> dict[str, Array]:
    """Return the inputs of some names that need no other symbol, float64 (T,).

    `lines` are the declared series, see `known_series`; a value that is unknown between known ones
    is the one before.
    """
    bars = symbol.bars
    columns: dict[str, Array] = {}
    for name in names:
        if name in MARKET_INPUTS:
            continue
        if is_series(name):
            known = known_values(lines, name.removeprefix(SERIES_PREFIX), symbol.rows)
            columns[name] = _carried(known)
        elif name == "weekday_sin":
            columns[name] = np.sin(weekday_angle(bars.sessions))
        elif name == "weekday_cos":
            columns[name] = np.cos(weekday_angle(bars.sessions))
        elif name == "bars_since_action":
            columns[name] = bars_since_action(bars.sessions, symbol.actions) / EVENT_BARS
        elif name == "minutes_from_open":
            # Strategies decide on daily bars, whose close is no time within a session.
            columns[name] = np.zeros(len(bars.close))
        else:
            columns[name] = np.asarray(getattr(bars, name))
    return columns


def is_series(name: str) -> bool:
    """Return whether an input is a declared series."""
    return name.startswith(SERIES_PREFIX)


def weekday_angle(sessions: Days) -> Array:
    """Return 2 pi weekday / 5 of each session (T,), Monday 0."""
    # 1970-01-01 was a Thursday, weekday 3.
    weekday = ((sessions.astype(np.int64) + 3) % 7).astype(np.float64)
    return 2.0 * np.pi * weekday / 5.0


def bars_since_action(sessions: Days, actions: Sequence[Action]) -> NDArray[np.int64]:
    """Return the bars since the newest ex date (T,), at most `EVENT_BARS`."""
    rows = np.arange(len(sessions))
    newest = np.full(len(sessions), -EVENT_BARS)
    for action in actions:
        row = int(np.searchsorted(sessions, np.datetime64(action.ex_date, "D")))
        if row < len(sessions) and (row > 0 or sessions[0] == np.datetime64(action.ex_date, "D")):
            newest[row] = row
    return np.minimum(rows - np.maximum.accumulate(newest), EVENT_BARS)


def _carried(values: Array) -> Array:
    place = np.where(np.isnan(values), 0, np.arange(len(values)))
    return values[np.maximum.accumulate(place)] if len(values) else values
