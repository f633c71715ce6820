"""Final bars of a stream as rows of table `raw_bars`."""

from collections.abc import Iterator, Sequence
from datetime import date, datetime
from typing import NamedTuple

import polars as pl

from trading_assets.errors import DataError
from trading_assets.schema import TABLES, conform

Prices = tuple[float, float, float, float, float]


class FinalBar(NamedTuple):
    """One row of `raw_bars`, without the columns that are the same for the whole stream."""

    symbol: str
    session: date
    event_time: datetime
    knowledge_time: datetime
    ingest_time: datetime
    revision: int
    open: float
    high: float
    low: float
    close: float
    volume: float


def to_raw_bars(rows: Sequence[FinalBar], feed: str, bar_length: str) -> pl.DataFrame:
    """Return final bars as table `raw_bars`, unadjusted, of `feed` and `bar_length`."""
    table = TABLES["raw_bars"]
    types = {column.name: column.dtype for column in table.columns}
    frame = pl.DataFrame(
        rows, schema={name: types[name] for name in FinalBar._fields}, orient="row"
    ).with_columns(
        pl.lit(feed).alias("feed"),
        pl.lit("raw").alias("adjustment"),
        pl.lit(bar_length).alias("bar_length"),
        pl.lit(None, dtype=pl.Float64).alias("vendor_adjusted_close"),
    )
    return conform("raw_bars", frame).sort(table.key)


def read_prices(rows: pl.DataFrame, bar_length: str) -> Iterator[tuple[str, datetime, Prices]]:
    """Yield symbol, end and prices of each bar of table `raw_bars`, by its last revision.

    A row without a price cannot be compared with a streamed one; the regular fetch stores it.

    Raises
    ------
    DataError
        If a row is adjusted or of another length than `bar_length`.
    """
    others = rows.filter((pl.col("bar_length") != bar_length) | (pl.col("adjustment") != "raw"))
    if not others.is_empty():
        row = others.row(0, named=True)
        msg = (
            f"the backfill gave a bar of length {row['bar_length']} and adjustment"
            f" {row['adjustment']}; expected raw bars of length {bar_length}, as the stream has"
        )
        raise DataError(msg)
    prices = ("open", "high", "low", "close", "volume")
    finite = rows.filter(pl.all_horizontal(pl.col(prices).is_finite()).fill_null(value=False))
    newest = finite.sort("revision").unique(
        ["symbol", "event_time"], keep="last", maintain_order=True
    )
    for symbol, event_time, *values in newest.select("symbol", "event_time", *prices).iter_rows():
        open_, high, low, close, volume = values
        yield symbol, event_time, (open_, high, low, close, volume)


def require_feed(rows: pl.DataFrame, feed: str) -> None:
    """Refuse rows of another feed than `feed` with a `DataError`."""
    others = sorted(set(rows["feed"].unique()) - {feed})
    if others:
        msg = (
            f"the backfill gave bars of feed {', '.join(others)}; expected {feed}, since feeds are"
            " never mixed in one key"
        )
        raise DataError(msg)
