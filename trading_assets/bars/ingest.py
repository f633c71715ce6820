"""The bitemporal store of bars: a correction is a new row, and the past stays what it was."""

from collections.abc import Mapping
from datetime import date, datetime

import polars as pl

from trading_assets.bars.vintages import merge_vintages, vintages_known_at
from trading_assets.errors import DataError, UserError
from trading_assets.schema import TABLES, UTC_TIME, conform

_MONTH = pl.col("session").dt.truncate("1mo").alias("month")
_STAMPS = ("knowledge_time", "ingest_time", "revision")


def merge_revisions(
    stored: pl.DataFrame | None,
    fetched: pl.DataFrame,
    table: str = "raw_bars",
    fetched_before: Mapping[date, datetime] | None = None,
) -> pl.DataFrame:
    """Return `stored` with what is new in `fetched` as further rows.

    A bar whose values equal its newest stored revision adds nothing. A bar whose values changed
    adds a row with the next revision, known from its `ingest_time` on. A bar that fills a gap (the
    symbol has stored bars of the month before it, and its month was fetched after it should have
    been known) was published late, so it too is known only from its `ingest_time` on. No stored row
    is changed or removed. Months do not touch each other: merging a range equals merging each of
    its months.

    A bar that a fetch holds in several versions is stored in all of them, under one revision, for
    the rule on uniqueness to refuse; the next fetch that holds other versions supersedes them.

    Parameters
    ----------
    stored : DataFrame or None
        All revisions so far, or None before the first fetch.
    fetched : DataFrame
        One fetch, as `FetchedBars` holds it, of the same table.
    table : str
        `raw_bars` or `series`.
    fetched_before : mapping of date to datetime, optional
        When each month, by its first day, was last fetched. Where it is absent, the newest
        `ingest_time` that the month has of the feed (or series), of any symbol, stands for it: a
        fetch that added no row leaves no trace there.

    Returns
    -------
    DataFrame
        Sorted by the table's key: the same inputs give the same bytes.

    Raises
    ------
    DataError
        If the fetch corrects a bar and is not later than the one stored.
    """
    if table == "series":
        return merge_vintages(stored, fetched, fetched_before)
    key = _identity(table)
    fetched = conform(table, fetched)
    has_versions = False
    if _has_repeated(fetched, key):
        fetched = fetched.unique(maintain_order=True)
        has_versions = _has_repeated(fetched, key)
    if stored is None:
        return _in_order(fetched, table, has_versions=has_versions)
    stored = conform(table, stored)
    values = [name for name in TABLES[table].names if name not in {*key, *_STAMPS}]
    newest = stored.sort("revision", maintain_order=True).unique(
        key, keep="last", maintain_order=True
    )
    compared = (
        fetched.with_columns(_MONTH)
        .join(newest, on=key, how="left", suffix="_stored", maintain_order="left")
        .join(_first_events(stored, key), on=["month", *_of_symbol(key)], how="left")
        .join(_last_fetches(stored, key), on=["month", *_of_feed(key)], how="left")
        .join(_month_times(fetched_before), on="month", how="left")
    )
    is_new = pl.col("revision_stored").is_null()
    differs = pl.any_horizontal(
        pl.col(name).ne_missing(pl.col(f"{name}_stored")) for name in values
    )
    has_versions = has_versions or _has_repeated(stored, [*key, "revision"])
    if has_versions:
        compared = compared.join(
            _changed_versions(fetched, stored, key, values), on=key, how="left"
        )
        differs = pl.col("is_changed").fill_null(value=False)
    is_changed = ~is_new & differs
    _require_later_fetch(compared.filter(is_changed))
    is_late = (
        is_new
        & (pl.col("event_time") > pl.col("first_event"))
        & (pl.col("knowledge_time") <= pl.max_horizontal("last_ingest", "fetched_before"))
    ).fill_null(value=False)
    additions = compared.filter(is_new | is_changed).with_columns(
        (pl.col("revision_stored") + 1).fill_null(0).cast(pl.Int32).alias("revision"),
        pl.when(is_changed | is_late)
        .then(pl.max_horizontal("ingest_time", "knowledge_time"))
        .otherwise("knowledge_time")
        .alias("knowledge_time"),
    )
    merged = pl.concat([stored, conform(table, additions.select(TABLES[table].names))])
    return _in_order(merged, table, has_versions=has_versions)


def as_known_at(rows: pl.DataFrame, moment: datetime, table: str = "raw_bars") -> pl.DataFrame:
    """Return the newest revision of each bar that was known at `moment`.

    What is read for a moment stays the same for good: fetches after it add only rows that are known
    later, so reading all rows as of a fetch's moment gives what the store held after that fetch.
    The exception is history asked for the first time: bars of a month before the symbol's first
    stored one count as known when they were published, as nobody had looked for them.

    Parameters
    ----------
    rows : DataFrame
        All revisions of table `table`.
    moment : datetime
        Time zone aware; a row counts when its `knowledge_time` is not after it.
    table : str
        `raw_bars` or `series`; of actions, `actions.history.actions_known_at` is the reader.

    Returns
    -------
    DataFrame
        One row a bar or reference period, sorted by the table's key.
    """
    if moment.tzinfo is None:
        msg = f"moment was {moment} without a time zone; expected an aware time such as UTC"
        raise UserError(msg)
    if table == "series":
        return vintages_known_at(rows, moment)
    return (
        rows.filter(pl.col("knowledge_time") <= pl.lit(moment).cast(UTC_TIME))
        .sort(*_identity(table), "knowledge_time", "revision", maintain_order=True)
        .unique(_identity(table), keep="last", maintain_order=True)
    )


def _identity(table: str) -> list[str]:
    return [name for name in TABLES[table].key if name != "revision"]


def _of_symbol(key: list[str]) -> list[str]:
    return [name for name in key if name != "event_time"]


def _of_feed(key: list[str]) -> list[str]:
    return [name for name in _of_symbol(key) if name != "symbol"]


def _first_events(stored: pl.DataFrame, key: list[str]) -> pl.DataFrame:
    return (
        stored.with_columns(_MONTH)
        .group_by("month", *_of_symbol(key))
        .agg(pl.col("event_time").min().alias("first_event"))
    )


def _last_fetches(stored: pl.DataFrame, key: list[str]) -> pl.DataFrame:
    # A fetch asks for all symbols: one symbol's new row shows that another's was not there yet.
    return (
        stored.with_columns(_MONTH)
        .group_by("month", *_of_feed(key))
        .agg(pl.col("ingest_time").max().alias("last_ingest"))
    )


def _month_times(fetched_before: Mapping[date, datetime] | None) -> pl.DataFrame:
    return pl.DataFrame(
        list((fetched_before or {}).items()),
        schema={"month": pl.Date, "fetched_before": UTC_TIME},
        orient="row",
    )


def _has_repeated(rows: pl.DataFrame, key: list[str]) -> bool:
    return bool(rows.select(pl.struct(key).is_duplicated().any()).item())


def _changed_versions(
    fetched: pl.DataFrame, stored: pl.DataFrame, key: list[str], values: list[str]
) -> pl.DataFrame:
    """Return each fetched bar, and whether its last revision holds other versions of it."""
    is_newest = pl.col("revision") == pl.col("revision").max().over(key)
    newest = stored.filter(is_newest).select(*key, *values)
    known = newest.with_columns(is_known=pl.lit(value=True))
    return (
        fetched.join(known, on=[*key, *values], how="left", nulls_equal=True)
        .group_by(key)
        .agg(pl.col("is_known").fill_null(value=False).all(), pl.len().alias("n_fetched"))
        .join(newest.group_by(key).agg(pl.len().alias("n_stored")), on=key, how="left")
        .select(*key, is_changed=~pl.col("is_known") | (pl.col("n_fetched") != pl.col("n_stored")))
    )


def _in_order(rows: pl.DataFrame, table: str, *, has_versions: bool) -> pl.DataFrame:
    key = TABLES[table].key
    if not has_versions:
        return rows.sort(key)
    # Versions of one bar stand in the order of their values, whatever that of the vendor.
    return rows.sort([*key, *(name for name in TABLES[table].names if name not in key)])


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
