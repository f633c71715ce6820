"""Large moves of prices, held against what the same symbol did in the sessions before.

The first bar of a session holds the night, so it is compared with other first bars; bars within
sessions with one median a session, so that years of minute bars cost one pass.
"""

import polars as pl

from trading_assets.bars.actions.total_returns import total_returns
from trading_assets.source_specs import BarLength

# Below ln(4/3) by the noise that a split's ratio may have.
SMALLEST_JUMP = 0.24

# Sessions before that give sigma, and how many of them at least: one value a session each.
_FIRST_BARS = (252, 10)
_SESSION_MEDIANS = (20, 5)
# Median of |x| of a normal variable is 0.6745 standard deviations.
_MEDIAN_TO_SIGMA = 1.4826


def large_moves(
    bars: pl.DataFrame, actions: pl.DataFrame, bar_length: BarLength, bound: float
) -> pl.DataFrame:
    """Return the bars whose log total return r is beyond `bound` robust sigmas or 0.24.

    For the first bar of a session, and so for every bar of `1d`, sigma is 1.4826 x median |r| of
    the symbol's first bars in the 252 sessions before. For the others it is 1.4826 x median, over
    the 20 sessions before, of each session's median |r|. Returns of 0 do not count. Sigma is known
    before the session opens, except in a symbol's first 10 (within sessions: 5) sessions given,
    which are held against all of them.

    Parameters
    ----------
    bars : DataFrame
        symbol, session, event_time, open, close; by symbol and event_time, unique in these.
    actions : DataFrame
        Table `corporate_actions`; they count in the first bar of a session.
    bar_length : {"1d", "1h", "5m", "1m"}
        Length of the bars.
    bound : float
        Robust sigmas.

    Returns
    -------
    DataFrame
        symbol, session, event_time, open, close, close_before, move (r), sigma (null where no
        price moved).
    """
    sessions = _sessions(bars, bar_length)
    return pl.concat([_first_moves(sessions, actions, bound), _inner_moves(bars, sessions, bound)])


def _sessions(bars: pl.DataFrame, bar_length: BarLength) -> pl.DataFrame:
    """Return one row a symbol and session, sorted: its first bar, last close and inner moves."""
    if bar_length == "1d":
        return bars.select(
            *("symbol", "session", "event_time", "open", "close"),
            pl.col("event_time").alias("last_time"),
            pl.col("close").alias("last_close"),
            pl.lit(None, dtype=pl.Float64).alias("median_move"),
            pl.lit(None, dtype=pl.Float64).alias("largest_move"),
        )
    symbol, session, close = pl.col("symbol"), pl.col("session"), pl.col("close")
    begins = (symbol != symbol.shift(1)) | (session != session.shift(1))
    marked = bars.select(
        begins.fill_null(value=True).alias("begins"),
        (close / close.shift(1)).log().abs().alias("move"),
    )
    starts = marked["begins"].arg_true().cast(pl.Int64)
    ends = starts.shift(-1, fill_value=len(bars)) - 1
    # Sessions are numbered in order, which spares the search for each bar's group.
    inner = pl.DataFrame(
        {
            "number": marked["begins"].cum_sum().cast(pl.Int64).set_sorted(),
            "move": marked["move"].scatter(starts, None),
        }
    )
    moves = (
        inner.filter(pl.col("move") > 0)
        .group_by("number", maintain_order=True)
        .agg(
            pl.col("move").median().alias("median_move"), pl.col("move").max().alias("largest_move")
        )
    )
    return (
        bars[starts]
        .select("symbol", "session", "event_time", "open", "close")
        .with_columns(
            bars["event_time"].gather(ends).alias("last_time"),
            bars["close"].gather(ends).alias("last_close"),
            pl.int_range(1, len(starts) + 1).alias("number"),
        )
        .join(moves, on="number", how="left", maintain_order="left")
        .drop("number")
    )


def _first_moves(sessions: pl.DataFrame, actions: pl.DataFrame, bound: float) -> pl.DataFrame:
    """Return the sessions' first bars that moved much since the session before, actions counted."""
    last = sessions.filter(pl.col("last_time") > pl.col("event_time")).select(
        "symbol",
        "session",
        pl.col("last_time").alias("event_time"),
        pl.col("last_close").alias("close"),
    )
    edges = pl.concat([sessions.select(last.columns), last])
    bar = ["symbol", "session", "event_time"]
    move = pl.col("total_return").log1p()
    return (
        sessions.join(total_returns(edges, actions), on=bar, how="left", maintain_order="left")
        .with_columns(
            move.alias("move"),
            _sigma(move.abs(), _FIRST_BARS).alias("sigma"),
            pl.col("last_close").shift(1).over("symbol").alias("close_before"),
        )
        .filter(_is_large(pl.col("move").abs(), bound))
        .select(*bar, "open", "close", "close_before", "move", "sigma")
    )


def _inner_moves(bars: pl.DataFrame, sessions: pl.DataFrame, bound: float) -> pl.DataFrame:
    """Return the bars that moved much since the bar before in their session."""
    large = sessions.with_columns(
        _sigma(pl.col("median_move"), _SESSION_MEDIANS).alias("sigma")
    ).filter(_is_large(pl.col("largest_move"), bound))
    session = ["symbol", "session"]
    before = pl.col("close").shift(1).over(session)
    return (
        bars.join(large.select(*session, "sigma"), on=session, maintain_order="left")
        .with_columns(before.alias("close_before"), (pl.col("close") / before).log().alias("move"))
        .filter(_is_large(pl.col("move").abs(), bound))
        .select(*session, "event_time", "open", "close", "close_before", "move", "sigma")
    )


def _sigma(size: pl.Expr, window: tuple[int, int]) -> pl.Expr:
    moved = pl.when(size > 0).then(size)
    earlier = moved.rolling_median(window[0], min_samples=window[1]).shift(1)
    return _MEDIAN_TO_SIGMA * pl.coalesce(earlier, moved.median()).over("symbol")


def _is_large(size: pl.Expr, bound: float) -> pl.Expr:
    return (size > bound * pl.col("sigma")) | (size > SMALLEST_JUMP)
