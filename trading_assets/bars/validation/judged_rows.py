"""Which of the stored rows are judged: known, newest, delivered once, of the source before others.

Versions of one bar share symbol and event_time. Where rows rise strictly in these no bar has a
second version; only rows that are tied are searched for copies, revisions and other feeds.
"""

from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate

import polars as pl

from trading_assets.bars.sources.source import declared_feed
from trading_assets.market_data import MarketDataSpec
from trading_assets.schema import TABLES, UTC_TIME

# What makes two rows versions of one bar.
BAR = tuple(name for name in TABLES["raw_bars"].key if name != "revision")

_TIE = ("symbol", "event_time")
_MONTH = pl.col("session").dt.truncate("1mo").alias("_month")


@dataclass(frozen=True, slots=True)
class JudgedRows:
    """The rows that are judged, and what was left aside.

    Attributes
    ----------
    rows : DataFrame
        Table `raw_bars`, by symbol and event_time, then by the table's key.
    repeated : DataFrame
        Rows left out because another one says the same in all columns but `ingest_time`.
    revised : DataFrame
        Rows left out because a newer revision, or the source before its fallback, replaces them.
    """

    rows: pl.DataFrame
    repeated: pl.DataFrame
    revised: pl.DataFrame


def select_judged_rows(rows: pl.DataFrame, spec: MarketDataSpec, as_of: datetime) -> JudgedRows:
    """Return the rows that speak for their bars at `as_of`.

    Rows that were not yet known are left out, except those of bars that end after `as_of`, which
    are for the rules to refuse. Of a bar's revisions the newest counts. Where the source and its
    fallback both have a bar, the source's counts, as if it were a revision.

    Parameters
    ----------
    rows : DataFrame
        Table `raw_bars`; its order decides nothing.
    spec : MarketDataSpec
        Names the source and its fallback.
    as_of : datetime
        Aware moment of validation.
    """
    now = pl.lit(as_of).cast(UTC_TIME)
    is_seen = (pl.col("knowledge_time") <= now) | (pl.col("event_time") > now)
    is_seen = is_seen.fill_null(value=True)
    seen = rows if bool(rows.select(is_seen.all()).item()) else rows.filter(is_seen)
    nothing = rows.clear()
    if rises_strictly(seen):
        return JudgedRows(seen, nothing, nothing)
    ordered = _in_order(seen)
    if rises_strictly(ordered):
        return JudgedRows(ordered, nothing, nothing)
    is_tied = tied_rows(ordered, _TIE)
    once, repeated = _without_copies(ordered.filter(is_tied))
    newest, old = _newest_revisions(once)
    chosen, superseded = _source_first(newest, spec)
    judged = _in_order(pl.concat([ordered.filter(~is_tied), chosen]))
    return JudgedRows(judged, repeated, pl.concat([old, superseded]))


def rises_strictly(rows: pl.DataFrame) -> bool:
    """Return whether rows are sorted by symbol and event_time and no pair of these occurs twice."""
    blocks = rows["symbol"].rle().struct.unnest()
    symbols = blocks["value"]
    if symbols.null_count() or not symbols.is_sorted() or symbols.n_unique() < len(symbols):
        return False
    starts = blocks["len"].cast(pl.Int64).cum_sum().shift(1, fill_value=0)
    moments = rows["event_time"].to_physical()
    is_later = (moments > moments.shift(1)).fill_null(value=False)
    n_starts_that_rise = int(is_later.gather(starts).sum())
    return int(is_later.sum()) - n_starts_that_rise + len(starts) == len(rows)


def slices_by_symbol(rows: pl.DataFrame, least_bars: int = 2_000_000) -> list[pl.DataFrame]:
    """Cut rows that stand by symbol into parts of whole symbols, which share their memory.

    Work on parts needs little memory beyond the rows, and stays within the processor's caches.
    """
    lengths: list[int] = []
    for length in rows["symbol"].rle().struct.field("len"):
        if lengths and lengths[-1] < least_bars:
            lengths[-1] += length
        else:
            lengths.append(length)
    ends = list(accumulate(lengths))
    return [rows.slice(end - length, length) for length, end in zip(lengths, ends, strict=True)]


def tied_rows(ordered: pl.DataFrame, columns: tuple[str, ...]) -> pl.Series:
    """Return which rows equal a neighbour in `columns`; rows that do so stand together."""
    equals_last = pl.all_horizontal(
        pl.col(name).eq_missing(pl.col(name).shift(1)) for name in columns
    ) & (pl.int_range(pl.len()) > 0)
    return ordered.select(
        (equals_last | equals_last.shift(-1, fill_value=False)).alias("tied")
    ).to_series()


def mixed_feed_rows(rows: pl.DataFrame, spec: MarketDataSpec) -> pl.Series:
    """Return which rows come from the fallback although the source has bars of symbol and month."""
    none = pl.repeat(value=False, n=len(rows), dtype=pl.Boolean, eager=True)
    if spec.fallback is None or declared_feed(spec.fallback) == declared_feed(spec.source):
        return none
    is_fallback = rows["feed"] == declared_feed(spec.fallback)
    if not is_fallback.any():
        return none
    served = rows.filter(pl.col("feed") == declared_feed(spec.source)).select("symbol", _MONTH)
    months = rows.select("symbol", _MONTH)
    is_served = months.join(
        served.unique().with_columns(_served=pl.lit(value=True)),
        on=["symbol", "_month"],
        how="left",
        maintain_order="left",
    )["_served"]
    return (is_fallback & is_served).fill_null(value=False)


def _in_order(rows: pl.DataFrame) -> pl.DataFrame:
    if rows.is_empty():
        return rows
    # Months that follow each other are in order symbol by symbol: far quicker than to sort.
    parts = rows.partition_by("symbol", as_dict=True, maintain_order=True)
    keys = sorted(parts, key=lambda key: (key[0] is not None, key[0]))
    return pl.concat(_by_time(parts[key]) for key in keys)


def _by_time(part: pl.DataFrame) -> pl.DataFrame:
    if part["event_time"].is_sorted():
        return part
    return part.sort("event_time", maintain_order=True)


def _without_copies(tied: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    # Sorted by every column, so that the order of the input decides nothing.
    values = [name for name in tied.columns if name != "ingest_time"]
    key = [*TABLES["raw_bars"].key]
    rest = [name for name in values if name not in key]
    ordered = tied.sort([*key, *rest, "ingest_time"])
    is_copy = ordered.select(
        (
            pl.all_horizontal(pl.col(name).eq_missing(pl.col(name).shift(1)) for name in values)
            & (pl.int_range(pl.len()) > 0)
        ).alias("copy")
    ).to_series()
    return ordered.filter(~is_copy), ordered.filter(is_copy)


def _newest_revisions(tied: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    is_old = (pl.col("revision") < pl.col("revision").max().over(BAR)).fill_null(value=False)
    marked = tied.with_columns(is_old.alias("_old"))
    return (
        marked.filter(~pl.col("_old")).drop("_old"),
        marked.filter(pl.col("_old")).drop("_old"),
    )


def _source_first(tied: pl.DataFrame, spec: MarketDataSpec) -> tuple[pl.DataFrame, pl.DataFrame]:
    if spec.fallback is None or declared_feed(spec.fallback) == declared_feed(spec.source):
        return tied, tied.clear()
    is_source = pl.col("feed") == declared_feed(spec.source)
    is_superseded = (pl.col("feed") == declared_feed(spec.fallback)) & is_source.any().over(_TIE)
    marked = tied.with_columns(is_superseded.fill_null(value=False).alias("_old"))
    return (
        marked.filter(~pl.col("_old")).drop("_old"),
        marked.filter(pl.col("_old")).drop("_old"),
    )
