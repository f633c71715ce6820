"""What may stop in a test window: trading in a symbol, or the feed that features come from."""

from collections.abc import Sequence
from datetime import date

import numpy as np
import polars as pl

from trading_assets.backtest.adjusted_bars import PRICES, AdjustedBars, with_prices
from trading_assets.backtest.metrics import BARS_PER_YEAR

PAUSE_BARS = 5
HALTS_PER_YEAR = 2
STALLS_PER_YEAR = 4

_KEYS = ("symbol", "session", "event_time", "knowledge_time")


def halt_symbol(bars: AdjustedBars, column: int) -> AdjustedBars:
    """Return bars without those of one symbol for 5 sessions, twice a year; prices go on unseen."""
    window = {name: getattr(bars, name)[bars.first_row :].copy() for name in (*PRICES, "volume")}
    for start in pause_starts(bars.window_bars, HALTS_PER_YEAR):
        for rows in window.values():
            rows[start : start + PAUSE_BARS, column] = np.nan
    return with_prices(bars, window)


def pause_starts(window_bars: int, per_year: int) -> list[int]:
    """Return the bars of a window, evenly spaced, at which something stops; once at least."""
    count = max(1, round(per_year * window_bars / BARS_PER_YEAR))
    return [(place + 1) * window_bars // (count + 1) for place in range(count)]


def stall_rows(table: pl.DataFrame, sessions: Sequence[date]) -> pl.DataFrame:
    """Return a table whose rows stand still for 5 sessions, four times a year of a test window.

    Each row of these sessions repeats what the same symbol's row before them said.

    Parameters
    ----------
    table : DataFrame
        Table `features` or `forecasts`.
    sessions : sequence of date
        Those of the test window.
    """
    stalled: dict[date, date] = {}
    for start in pause_starts(len(sessions), STALLS_PER_YEAR):
        for day in sessions[max(start, 1) : start + PAUSE_BARS]:
            stalled[day] = sessions[max(start, 1) - 1]
    keys = [name for name in _KEYS if name in table.columns]
    moving = table.filter(~pl.col("session").is_in(list(stalled)))
    standing = (
        table.select(keys)
        .filter(pl.col("session").is_in(list(stalled)))
        .with_columns(_seen=pl.col("session").replace_strict(stalled, return_dtype=pl.Date))
        .join(
            table.drop([name for name in keys if name not in ("symbol", "session")]),
            left_on=["symbol", "_seen"],
            right_on=["symbol", "session"],
            how="inner",
        )
    )
    return pl.concat([moving, standing.select(table.columns)]).sort("symbol", "session")
