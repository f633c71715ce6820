"""Small random tables for tests: bars, actions and a declared series on weekdays."""

from collections.abc import Collection, Sequence
from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl

from trading_assets.schema import TABLES, conform


def weekdays(start: date, count: int) -> list[date]:
    """Return `count` weekdays from `start` on."""
    days: list[date] = []
    day = start
    while len(days) < count:
        if day.weekday() < 5:
            days.append(day)
        day += timedelta(days=1)
    return days


def close_time(session: date) -> datetime:
    return datetime(session.year, session.month, session.day, 21, tzinfo=UTC)


def make_bars(
    symbols: Sequence[str] = ("AAA", "BBB"),
    count: int = 700,
    start: date = date(2004, 1, 1),
    seed: int = 1,
    returns: np.ndarray | None = None,
) -> pl.DataFrame:
    """Return table validated_bars; `returns` (count, N) are close-to-close log returns."""
    rng = np.random.default_rng(seed)
    sessions = weekdays(start, count)
    frames = []
    for column, symbol in enumerate(symbols):
        log_returns = rng.normal(0.0, 0.015, count) if returns is None else returns[:, column]
        close = 50.0 * np.exp(np.cumsum(log_returns))
        # Planted returns are earned from the open on, as a trader who fills there would.
        gap = rng.normal(0.0, 0.004, count) if returns is None else np.zeros(count)
        opening = np.concatenate(([50.0], close[:-1])) * np.exp(gap)
        spread = np.exp(np.abs(rng.normal(0.0, 0.004, (2, count))))
        frames.append(
            pl.DataFrame(
                {
                    "symbol": symbol,
                    "session": sessions,
                    "event_time": [close_time(s) for s in sessions],
                    "knowledge_time": [close_time(s) + timedelta(minutes=15) for s in sessions],
                    "revision": 0,
                    "feed": "test",
                    "open": opening,
                    "high": np.maximum(opening, close) * spread[0],
                    "low": np.minimum(opening, close) / spread[1],
                    "close": close,
                    "volume": np.round(rng.lognormal(13.0, 0.4, count)),
                },
                schema_overrides={c.name: c.dtype for c in TABLES["validated_bars"].columns},
            )
        )
    return conform("validated_bars", pl.concat(frames))


def make_actions(rows: Sequence[tuple[str, date, str, float, float]] = ()) -> pl.DataFrame:
    """Return table corporate_actions from (symbol, ex_date, kind, split_ratio, cash_usd)."""
    table = TABLES["corporate_actions"]
    return pl.DataFrame(
        [(*row, None, close_time(row[1]), "test") for row in rows],
        schema={column.name: column.dtype for column in table.columns},
        orient="row",
    )


def make_signal(bars: pl.DataFrame, values: Sequence[float], revision: int = 0) -> pl.DataFrame:
    """Return table series: `signal` of each bar, known with the bar."""
    frame = bars.select("symbol", "session", "event_time", "knowledge_time").with_columns(
        pl.lit("signal").alias("series"),
        pl.col("knowledge_time").alias("ingest_time"),
        pl.lit(revision, pl.Int32).alias("revision"),
        pl.Series("value", values, pl.Float64),
    )
    return conform("series", frame)


def make_context(bars: pl.DataFrame, names: Collection[str], seed: int = 5) -> pl.DataFrame:
    """Return table series: random values of some series, between 0.5 and 2, known with each bar."""
    rng = np.random.default_rng(seed)
    frames = [
        make_signal(bars, rng.uniform(0.5, 2.0, bars.height)).with_columns(
            pl.lit(name).alias("series")
        )
        for name in names
    ]
    return pl.concat([NO_SERIES, *frames])


NO_SERIES = TABLES["series"].empty()
NO_ACTIONS = TABLES["corporate_actions"].empty()


def split_bars(bars: pl.DataFrame, symbol: str, ex_date: date, ratio: float) -> pl.DataFrame:
    """Return `bars` as they would have traded had `symbol` split on `ex_date`."""
    is_after = (pl.col("symbol") == symbol) & (pl.col("session") >= ex_date)
    prices = [
        pl.when(is_after).then(pl.col(name) / ratio).otherwise(pl.col(name)).alias(name)
        for name in ("open", "high", "low", "close")
    ]
    volume = pl.when(is_after).then(pl.col("volume") * ratio).otherwise(pl.col("volume"))
    return bars.with_columns(*prices, volume.alias("volume"))
