"""The bitemporal store of bars: a correction is a new row, and the past stays what it was."""

from datetime import datetime

import polars as pl

from trading_assets.errors import DataError, UserError
from trading_assets.schema import TABLES, UTC_TIME, conform

_MONTH = pl.col("session").dt.truncate("1mo").alias("month")
_STAMPS = ("knowledge_time", "ingest_time", "revision")


def merge_revisions(
    stored: pl.DataFrame | None, fetched: pl.DataFrame, table: str = "raw_bars"
) -> pl.DataFrame:
    """Return `stored` with what is new in `fetched` as further rows.

    A bar whose values equal its newest stored revision adds nothing. A bar whose values changed
    adds a row with the next revision, known from its `ingest_time` on. A bar that fills a gap (the
    symbol has stored bars of the month before it, and one ingested after it should have been known)
    was published late, so it too is known only from its `ingest_time` on. No stored row is changed
    or removed. Months do not touch each other: merging a range equals merging each of its months.

    Parameters
    ----------
    stored : DataFrame or None
        All revisions so far, or None before the first fetch.
    fetched : DataFrame
        One fetch, as `FetchedBars` holds it, of the same table.
    table : str
        `raw_bars` or `series`.

    Returns
    -------
    DataFrame
        Sorted by the table's key: the same inputs give the same bytes.

    Raises
    ------
    DataError
        If the fetch holds a bar twice with different values, or corrects a bar with a fetch that is
        not later than the one stored.
    """
    key = _identity(table)
    fetched = conform(table, fetched).unique(maintain_order=True)
    _require_single_version(fetched, key)
    if stored is None:
        return fetched.sort(TABLES[table].key)
    stored = conform(table, stored)
    values = [name for name in TABLES[table].names if name not in {*key, *_STAMPS}]
    newest = stored.sort("revision").unique(key, keep="last", maintain_order=True)
    compared = (
        fetched.with_columns(_MONTH)
        .join(newest, on=key, how="left", suffix="_stored")
        .join(_arrivals(stored, key), on=_arrival_key(key), how="left")
    )
    is_new = pl.col("revision_stored").is_null()
    is_changed = ~is_new & pl.any_horizontal(
        pl.col(name).ne_missing(pl.col(f"{name}_stored")) for name in values
    )
    _require_later_fetch(compared.filter(is_changed))
    is_late = (
        is_new
        & (pl.col("event_time") > pl.col("first_event"))
        & (pl.col("knowledge_time") <= pl.col("last_ingest"))
    ).fill_null(value=False)
    additions = compared.filter(is_new | is_changed).with_columns(
        (pl.col("revision_stored") + 1).fill_null(0).cast(pl.Int32).alias("revision"),
        pl.when(is_changed | is_late)
        .then(pl.max_horizontal("ingest_time", "knowledge_time"))
        .otherwise("knowledge_time")
        .alias("knowledge_time"),
    )
    return pl.concat([stored, conform(table, additions.select(TABLES[table].names))]).sort(
        TABLES[table].key
    )


def as_known_at(rows: pl.DataFrame, moment: datetime, table: str = "raw_bars") -> pl.DataFrame:
    """Return the newest revision of each bar that was known at `moment`.

    Parameters
    ----------
    rows : DataFrame
        All revisions of table `table`.
    moment : datetime
        Time zone aware; a row counts when its `knowledge_time` is not after it.
    """
    if moment.tzinfo is None:
        msg = f"moment was {moment} without a time zone; expected an aware time such as UTC"
        raise UserError(msg)
    return (
        rows.filter(pl.col("knowledge_time") <= pl.lit(moment).cast(UTC_TIME))
        .sort(TABLES[table].key)
        .unique(_identity(table), keep="last", maintain_order=True)
    )


def _identity(table: str) -> list[str]:
    return [name for name in TABLES[table].key if name != "revision"]


def _arrival_key(key: list[str]) -> list[str]:
    return ["month", *(name for name in key if name != "event_time")]


def _arrivals(stored: pl.DataFrame, key: list[str]) -> pl.DataFrame:
    return (
        stored.with_columns(_MONTH)
        .group_by(_arrival_key(key))
        .agg(
            pl.col("event_time").min().alias("first_event"),
            pl.col("ingest_time").max().alias("last_ingest"),
        )
    )


def _require_single_version(fetched: pl.DataFrame, key: list[str]) -> None:
    twice = fetched.filter(pl.struct(key).is_duplicated())
    if not twice.is_empty():
        row = twice.row(0, named=True)
        msg = (
            f"one fetch holds {row['symbol']} of {row['session']} more than once with different"
            " values; expected one version, so fetch again or report it to the vendor"
        )
        raise DataError(msg)


def _require_later_fetch(changed: pl.DataFrame) -> None:
    early = changed.filter(pl.col("ingest_time") <= pl.col("ingest_time_stored"))
    if not early.is_empty():
        row = early.row(0, named=True)
        msg = (
            f"{row['symbol']} of {row['session']} changed in a fetch of {row['ingest_time']}, not"
            f" after the stored one of {row['ingest_time_stored']}; expected a later fetch, because"
            " a correction must not alter what was already known"
        )
        raise DataError(msg)
