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

# A row with fewer known features than this share is a symbol still warming up.
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
    is_usable : bool (N, T)
        Whether the row has a volatility and at least half of its features.
    table_row : int64 (N, T)
        Row of the features table, -1 where there is none.
    """

    sessions: Days
    symbols: list[str]
    values: NDArray[np.float32]
    volatility: Array
    is_usable: NDArray[np.bool_]
    table_row: Index


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of a panel: symbol and session positions, arrays (n,)."""

    symbol: Index
    session: Index

    def __len__(self) -> int:
        return len(self.symbol)

    def where(self, is_kept: NDArray[np.bool_]) -> "Rows":
        """Return the rows for which `is_kept` (n,) holds."""
        return Rows(self.symbol[is_kept], self.session[is_kept])


@dataclass(frozen=True, slots=True)
class LabelGrid:
    """Labels laid on a panel: arrays (N, T); nan and NaT where a row has none.

    `scaled_return` is the forward return over volatility * sqrt(horizon).
    """

    scaled_return: Array
    label_end: Days


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
    known = (~np.isnan(values)).mean(axis=1)
    is_usable = (known >= LEAST_KNOWN_SHARE) & ~np.isnan(volatility)
    return Panel(sessions, symbols, values, volatility, is_usable, table_row)


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
    scale = np.where(panel.volatility > 0, panel.volatility, np.nan) * np.sqrt(horizon_bars)
    return LabelGrid(earned / scale, ends)


def rows_at(panel: Panel, sessions: Sequence[date], window_bars: int) -> Rows:
    """Return the usable rows at `sessions` that have a full window of sessions, oldest first."""
    is_asked = np.isin(panel.sessions, np.array(sessions, dtype="datetime64[D]"))
    is_asked[: window_bars - 1] = False
    session, symbol = np.nonzero((panel.is_usable & is_asked).T)
    return Rows(symbol.astype(np.int64), session.astype(np.int64))


@dataclass(frozen=True, slots=True)
class InputTransform:
    """Centre and scale of each feature, float32 (F,), fitted on train rows."""

    centre: NDArray[np.float32]
    scale: NDArray[np.float32]

    def apply(self, panel: Panel) -> torch.Tensor:
        """Return network inputs float32 (N, 2F, T): features, null as 0, then their null masks."""
        standard = (panel.values - self.centre[:, None]) / self.scale[:, None]
        is_null = np.isnan(standard)
        inputs = np.concatenate((np.where(is_null, 0.0, standard), is_null), axis=1)
        return torch.from_numpy(np.ascontiguousarray(inputs, dtype=np.float32))


def fit_inputs(panel: Panel, rows: Rows) -> InputTransform:
    """Return mean and deviation of each feature over the train rows; 0 and 1 where all null."""
    values = panel.values[rows.symbol, :, rows.session].astype(np.float64)  # (n, F)
    is_known = ~np.isnan(values)
    count = np.maximum(is_known.sum(axis=0), 1)
    centre = np.where(is_known, values, 0.0).sum(axis=0) / count
    squares = np.where(is_known, values - centre, 0.0) ** 2
    scale = np.sqrt(squares.sum(axis=0) / count)
    scale = np.where(scale > 1e-6 * np.maximum(1e-6, np.abs(centre)), scale, 1.0)
    return InputTransform(centre.astype(np.float32), scale.astype(np.float32))


def gather_windows(inputs: torch.Tensor, rows: Rows, window_bars: int) -> torch.Tensor:
    """Return the windows (n, 2F, window_bars) that end at `rows`, oldest bar first."""
    windows = inputs.unfold(2, window_bars, 1)  # (N, 2F, T - w + 1, w), a view
    symbol = torch.from_numpy(rows.symbol)
    start = torch.from_numpy(rows.session - (window_bars - 1))
    return windows[symbol, :, start]


def last_bars(inputs: torch.Tensor, rows: Rows) -> torch.Tensor:
    """Return the inputs (n, 2F), float64, of the rows' own bars."""
    return inputs[torch.from_numpy(rows.symbol), :, torch.from_numpy(rows.session)].double()


def _days(column: pl.Series) -> Days:
    return column.to_numpy().astype("datetime64[D]")
