"""The bitemporal store of series: vintages of one period, and corrections of what a file said.

A vintage is a figure published again by its author; it lies in the session at whose close it was
known. A correction is another value for a vintage that is stored already, seen by a later fetch; it
stays in the vintage's session. So `session`, then `revision`, orders all rows of one period from
the oldest to the newest, whatever was corrected when.
"""

from collections.abc import Mapping
from datetime import date, datetime

import polars as pl

from trading_assets.errors import DataError, UserError
from trading_assets.schema import TABLES, UTC_TIME, conform

PERIOD = ("series", "symbol", "event_time")
# All rows of one session about one period; vintages within a day share it.
_VERSIONS = [*PERIOD, "session"]
_MONTH = pl.col("session").dt.truncate("1mo").alias("month")


def merge_vintages(
    stored: pl.DataFrame | None,
    fetched: pl.DataFrame,
    fetched_before: Mapping[date, datetime] | None = None,
) -> pl.DataFrame:
    """Return `stored` with what is new in `fetched` as further rows; no stored row is changed.

    Of the vintages that a session should have had at the last fetch, only the newest counts: where
    its value differs from the newest stored one, it adds a row that is known from its `ingest_time`
    on; an older one is superseded and adds nothing. Vintages published since the last fetch keep
    their `knowledge_time`. A vintage of a session that had none, and that should have been there,
    is known from its `ingest_time` on, unless the month has no earlier row of its series and
    symbol: history that is asked for the first time keeps its times. Merging a range equals merging
    each of its months.

    Parameters
    ----------
    stored : DataFrame or None
        All rows of table `series` so far, or None before the first fetch.
    fetched : DataFrame
        One fetch, with every vintage of its sessions.
    fetched_before : mapping of date to datetime, optional
        When each month, by its first day, was last fetched. Where it is absent, the newest
        `ingest_time` of the series in the month stands for it.

    Returns
    -------
    DataFrame
        Sorted by the table's key.

    Raises
    ------
    DataError
        If the fetch holds a vintage twice, or is not later than a stored one that it corrects.
    """
    key = TABLES["series"].key
    fetched = conform("series", fetched).unique(maintain_order=True)
    _require_single_vintages(fetched)
    if stored is None:
        return fetched.sort(key)
    stored = conform("series", stored)
    compared = _compared(stored, fetched, fetched_before)
    is_first = pl.col("revision_stored").is_null()
    is_due = (pl.col("knowledge_time") <= pl.col("last_fetch")).fill_null(value=False)
    newest_due = pl.col("knowledge_time").filter(is_due).max().over(_VERSIONS)
    is_superseded = (is_due & (pl.col("knowledge_time") < newest_due)).fill_null(value=False)
    is_further = ~is_first & ~is_due & (pl.len().over(_VERSIONS) > 1)
    is_changed = (
        ~is_first
        & ~is_further
        & ~is_superseded
        & pl.col("value").ne_missing(pl.col("value_stored"))
    )
    is_late = is_first & is_due & (pl.col("session") >= pl.col("first_session"))
    compared = compared.with_columns(
        (is_first | is_further | is_changed).alias("is_added"),
        (is_changed | is_late.fill_null(value=False)).alias("is_corrected"),
    )
    _require_later_fetch(compared.filter(is_changed))
    additions = compared.filter("is_added").with_columns(
        pl.coalesce(
            pl.col("revision_stored") + pl.int_range(1, pl.len() + 1).over(_VERSIONS), "revision"
        )
        .cast(pl.Int32)
        .alias("revision"),
        pl.when("is_corrected")
        .then(pl.max_horizontal("ingest_time", "knowledge_time"))
        .otherwise("knowledge_time")
        .alias("knowledge_time"),
    )
    return pl.concat([stored, additions.select(stored.columns)]).sort(key)


def vintages_known_at(series: pl.DataFrame, moment: datetime) -> pl.DataFrame:
    """Return the newest vintage of each period that was known at `moment`.

    Parameters
    ----------
    series : DataFrame
        All rows of table `series`.
    moment : datetime
        Time zone aware; a row counts when its `knowledge_time` is not after it.

    Returns
    -------
    DataFrame
        One row a series, symbol and period, sorted by these.
    """
    if moment.tzinfo is None:
        msg = f"moment was {moment} without a time zone; expected an aware time such as UTC"
        raise UserError(msg)
    return (
        series.filter(pl.col("knowledge_time") <= pl.lit(moment).cast(UTC_TIME))
        .sort(*PERIOD, "session", "revision")
        .unique(PERIOD, keep="last", maintain_order=True)
    )


def _compared(
    stored: pl.DataFrame, fetched: pl.DataFrame, fetched_before: Mapping[date, datetime] | None
) -> pl.DataFrame:
    """Return the fetched rows, oldest first, beside what their session and month had before."""
    newest = stored.sort("revision").unique(_VERSIONS, keep="last", maintain_order=True)
    months = stored.with_columns(_MONTH)
    before = pl.DataFrame(
        list((fetched_before or {}).items()),
        schema={"month": pl.Date, "fetched_before": UTC_TIME},
        orient="row",
    )
    return (
        fetched.sort(*_VERSIONS, "knowledge_time", "revision")
        .with_columns(_MONTH)
        .join(newest, on=_VERSIONS, how="left", suffix="_stored", maintain_order="left")
        .join(
            months.group_by("month", "series", "symbol").agg(
                pl.col("session").min().alias("first_session")
            ),
            on=["month", "series", "symbol"],
            how="left",
            maintain_order="left",
        )
        .join(
            months.group_by("month", "series").agg(pl.col("ingest_time").max().alias("ingested")),
            on=["month", "series"],
            how="left",
            maintain_order="left",
        )
        .join(before, on="month", how="left", maintain_order="left")
        .with_columns(pl.max_horizontal("ingested", "fetched_before").alias("last_fetch"))
    )


def _require_single_vintages(fetched: pl.DataFrame) -> None:
    twice = fetched.filter(
        pl.struct(TABLES["series"].key).is_duplicated()
        | pl.struct(*_VERSIONS, "knowledge_time").is_duplicated()
    )
    if not twice.is_empty():
        row = twice.row(0, named=True)
        msg = (
            f"one fetch holds series {row['series']} of {row['symbol']} for {row['session']} more"
            " than once with different values; expected one value a vintage, so fetch again or"
            " report it to the vendor"
        )
        raise DataError(msg)


def _require_later_fetch(changed: pl.DataFrame) -> None:
    early = changed.filter(pl.col("ingest_time") <= pl.col("ingest_time_stored"))
    if not early.is_empty():
        row = early.row(0, named=True)
        msg = (
            f"series {row['series']} of {row['symbol']} for {row['session']} changed in a fetch of"
            f" {row['ingest_time']}, not after the stored one of {row['ingest_time_stored']};"
            " expected a later fetch, because a correction must not alter what was already known"
        )
        raise DataError(msg)
