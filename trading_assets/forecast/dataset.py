"""Features and labels as arrays: one panel, and rows that point into it.

A window of the network is a view of the panel; the set of all windows is never built.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from trading_assets.errors import DataError
from trading_assets.features.windows import VOLATILITY_COLUMN

Array = NDArray[np.float64]
Index = NDArray[np.int64]
Days = NDArray[np.datetime64]
Mask = NDArray[np.bool_]

# A row with fewer of the counted features than this share is a symbol still warming up.
LEAST_KNOWN_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class Panel:
    """Features of all symbols over all sessions.

    Attributes
    ----------
    values : float32 (N, F, T)
        Features, nan where null or where the symbol has no bar.
    volatility : float64 (N, T)
        Standard deviation of one bar's return, fraction, known at the session's close.
    table_row : int64 (N, T)
        Row of the features table, -1 where there is none.
    """

    sessions: Days
    symbols: list[str]
    values: NDArray[np.float32]
    volatility: Array
    table_row: Index


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of a panel: symbol and session positions, arrays (n,)."""

    symbol: Index
    session: Index

    def __len__(self) -> int:
        return len(self.symbol)

    def where(self, is_kept: Mask) -> "Rows":
        """Return the rows for which `is_kept` (n,) holds."""
        return Rows(self.symbol[is_kept], self.session[is_kept])


@dataclass(frozen=True, slots=True)
class Paths:
    """How far prices have gone from the entry: float64 (N, T, h), nan where a row has no label.

    In units of volatility * sqrt(horizon), on bars t+1 .. t+h: `high` is the highest high so far,
    `low` the lowest low so far.
    """

    high: Array
    low: Array


@dataclass(frozen=True, slots=True)
class LabelGrid:
    """Labels laid on a panel: arrays (N, T); nan and NaT where a row has none.

    `scaled_return` is the forward return over volatility * sqrt(horizon); `label_end` is the
    session of bar t+h. `paths` are there where classes are told by barriers, see `barriers`.
    """

    scaled_return: Array
    label_end: Days
    paths: Paths | None = None


def build_panel(features: pl.DataFrame, feature_names: Sequence[str]) -> Panel:
    """Return the table `features` as a panel, sessions and symbols in order.

    Raises
    ------
    DataError
        If a feature is missing, or holds nan or infinity instead of null.
    """
    columns = [*feature_names, VOLATILITY_COLUMN]
    missing = [name for name in columns if name not in features.columns]
    if missing:
        msg = (
            f"table features lacks {', '.join(missing)}; expected the features the forecaster was"
            f" declared with: materialize features again"
        )
        raise DataError(msg)
    for name in columns:
        broken = int((~features[name].drop_nulls().is_finite()).sum())
        if broken:
            msg = (
                f"feature {name} is nan or infinite in {broken} rows; expected null where it is"
                f" unknown: materialize features again"
            )
            raise DataError(msg)
    symbols = features["symbol"].unique().sort().to_list()
    sessions = features["session"].unique().sort().to_numpy().astype("datetime64[D]")
    row_symbol = np.searchsorted(np.array(symbols), features["symbol"].to_numpy())
    row_session = np.searchsorted(sessions, _days(features["session"]))
    shape = (len(symbols), len(sessions))
    values = np.full((len(symbols), len(feature_names), len(sessions)), np.nan, np.float32)
    matrix = features.select(feature_names).cast(pl.Float32).fill_null(np.nan).to_numpy()
    values[row_symbol, :, row_session] = matrix
    volatility = np.full(shape, np.nan)
    volatility[row_symbol, row_session] = (
        features[VOLATILITY_COLUMN].cast(pl.Float64).fill_null(np.nan).to_numpy()
    )
    table_row = np.full(shape, -1, np.int64)
    table_row[row_symbol, row_session] = np.arange(features.height)
    return Panel(sessions, symbols, values, volatility, table_row)


def place_labels(panel: Panel, labels: pl.DataFrame, horizon_bars: int) -> LabelGrid:
    """Return the labels on the panel; a row without volatility or with one of 0 has no label."""
    shape = panel.volatility.shape
    earned = np.full(shape, np.nan)
    ends = np.full(shape, np.datetime64("NaT", "D"))
    sessions = _days(labels["session"])
    known = labels.filter(
        pl.Series(np.isin(sessions, panel.sessions)) & pl.col("symbol").is_in(panel.symbols)
    )
    row_symbol = np.searchsorted(np.array(panel.symbols), known["symbol"].to_numpy())
    row_session = np.searchsorted(panel.sessions, _days(known["session"]))
    earned[row_symbol, row_session] = known["forward_return"].to_numpy()
    ends[row_symbol, row_session] = _days(known["label_end"])
    return LabelGrid(earned / scale_returns(panel, horizon_bars), ends)


def scale_returns(panel: Panel, horizon_bars: int) -> Array:
    """Return volatility * sqrt(horizon) (N, T), nan where the volatility is unknown or 0."""
    return np.where(panel.volatility > 0, panel.volatility, np.nan) * np.sqrt(horizon_bars)


def place_rows(panel: Panel, table: pl.DataFrame) -> Rows:
    """Return where the rows of a table of the panel's symbols and sessions stand on the panel."""
    symbol = np.searchsorted(np.array(panel.symbols), table["symbol"].to_numpy())
    session = np.searchsorted(panel.sessions, _days(table["session"]))
    return Rows(symbol.astype(np.int64), session.astype(np.int64))


def find_known(panel: Panel, sessions: Sequence[date]) -> Mask:
    """Return which features (F,) have a value in any row at `sessions` that has a volatility.

    A source that is absent for good leaves its features null; nobody waits for those to warm up.
    """
    rows = Rows(*np.nonzero(~np.isnan(panel.volatility) & _is_asked(panel, sessions)))
    return np.any(~np.isnan(panel.values[rows.symbol, :, rows.session]), axis=0)


def find_usable(panel: Panel, is_counted: Mask) -> Mask:
    """Return which rows (N, T) have a volatility and at least half of the counted features.

    Parameters
    ----------
    panel : Panel
        Features and volatility.
    is_counted : bool (F,)
        Features known in the train window, see `find_known`.
    """
    known = (~np.isnan(panel.values[:, is_counted])).sum(axis=1)
    return (known >= LEAST_KNOWN_SHARE * is_counted.sum()) & ~np.isnan(panel.volatility)


def rows_at(panel: Panel, sessions: Sequence[date], window_bars: int, is_counted: Mask) -> Rows:
    """Return the usable rows at `sessions` that have a full window of sessions, oldest first."""
    is_asked = _is_asked(panel, sessions)
    is_asked[: window_bars - 1] = False
    session, symbol = np.nonzero((find_usable(panel, is_counted) & is_asked).T)
    return Rows(symbol.astype(np.int64), session.astype(np.int64))


def gather_windows(inputs: torch.Tensor, rows: Rows, window_bars: int) -> torch.Tensor:
    """Return the windows (n, I, window_bars) that end at `rows`, oldest bar first."""
    windows = inputs.unfold(2, window_bars, 1)  # (N, I, T - w + 1, w), a view
    symbol = torch.from_numpy(rows.symbol)
    start = torch.from_numpy(rows.session - (window_bars - 1))
    return windows[symbol, :, start]


def last_bars(inputs: torch.Tensor, rows: Rows) -> torch.Tensor:
    """Return the inputs (n, I), float64, of the rows' own bars."""
    return inputs[torch.from_numpy(rows.symbol), :, torch.from_numpy(rows.session)].double()


def _is_asked(panel: Panel, sessions: Sequence[date]) -> Mask:
    return np.isin(panel.sessions, np.array(sessions, dtype="datetime64[D]"))


def _days(column: pl.Series) -> Days:
    return column.to_numpy().astype("datetime64[D]")
