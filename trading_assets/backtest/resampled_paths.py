"""Test windows that could have been: its bars drawn again in blocks, all symbols together."""

from collections.abc import Sequence
from datetime import date

import numpy as np
import polars as pl
from numpy.typing import NDArray

from trading_assets.backtest.adjusted_bars import AdjustedBars
from trading_assets.backtest.bar_moves import Moves, apply_moves, market_moves, moves_of
from trading_assets.bootstrap import optimal_block_bars, resampled_positions


def draw_order(bars: AdjustedBars, rng: np.random.Generator) -> NDArray[np.intp]:
    """Return which bar of the window comes when, intp (R,), by the stationary bootstrap.

    The mean block is what the size of the market's log returns asks for, which keeps turbulent
    times together.
    """
    market = market_moves(moves_of(bars))
    size = np.abs(market[np.isfinite(market)])
    return resampled_positions(bars.window_bars, optimal_block_bars(size), 1, rng)[0]


def reorder(bars: AdjustedBars, order: NDArray[np.intp]) -> AdjustedBars:
    """Return bars whose window has the moves of all symbols in another order.

    A symbol has a bar where it had one and the bar that takes its place has one: what is listed or
    delisted within the window is so on its day.
    """
    moves = moves_of(bars)
    has_bar = np.isfinite(moves.total)
    drawn = {name: getattr(moves, name)[order] for name in ("gap", "body", "high", "low", "volume")}
    return apply_moves(
        bars, Moves(**{name: np.where(has_bar, rows, np.nan) for name, rows in drawn.items()})
    )


def reorder_series(
    series: pl.DataFrame, bars: pl.DataFrame, sessions: Sequence[date], order: NDArray[np.intp]
) -> pl.DataFrame:
    """Return table `series` whose values of a window come in another order, each with its bar.

    A value becomes known as long before or after the bars of its new session as of its old one.

    Parameters
    ----------
    series, bars : DataFrame
        Those tables.
    sessions : sequence of date
        Those of the test window.
    order : intp (R,)
        Of `draw_order`.
    """
    clocks = bars.group_by("session").agg(pl.col("event_time", "knowledge_time").max())
    moved = pl.DataFrame(
        {"_to": list(sessions), "session": [sessions[place] for place in order]},
        schema={"_to": pl.Date, "session": pl.Date},
    )
    for name, suffix in (("session", "_old"), ("_to", "_new")):
        moved = moved.join(
            clocks.rename({"event_time": f"event{suffix}", "knowledge_time": f"known{suffix}"}),
            left_on=name,
            right_on="session",
        )
    drawn = series.join(moved, on="session").with_columns(
        session=pl.col("_to"),
        event_time=pl.col("event_time") + (pl.col("event_new") - pl.col("event_old")),
        knowledge_time=pl.col("knowledge_time") + (pl.col("known_new") - pl.col("known_old")),
    )
    outside = series.filter(~pl.col("session").is_in(list(sessions)))
    return pl.concat([outside, drawn.select(series.columns)])
