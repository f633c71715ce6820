"""Coarser bars out of finer ones, known only when a trader could have built them."""

from datetime import date, datetime, timedelta

import polars as pl

from trading_assets.bars.calendars.calendar import ExchangeCalendar
from trading_assets.bars.calendars.grid import bar_closes, sessions_between
from trading_assets.errors import DataError, UserError
from trading_assets.schema import TABLES, UTC_TIME, conform
from trading_assets.source_specs import BAR_MINUTES, BarLength

_SOURCE = ("symbol", "feed", "adjustment")
_NAN = float("nan")


def resample_bars(
    rows: pl.DataFrame,
    calendar: ExchangeCalendar,
    bar_length: BarLength,
    as_of: datetime | None = None,
    publication_lag: timedelta | None = None,
) -> pl.DataFrame:
    """Return `rows` as bars of `bar_length`, each with every version that was ever known.

    Bars are counted from the session's open and labelled by their close. A bar's first version is
    known once its period and the publication lag are over; parts that are missing then are gaps and
    do not hold it back. A part that arrives or is corrected later gives a further revision, known
    when that part is. So what was known at any moment follows from the rows known at that moment.
    Parts of one feed and adjustment make a bar; parts off the calendar's grid make none, as
    validation quarantines them. Building 1h from 5m from 1m gives what 1h from 1m gives.

    Parameters
    ----------
    rows : DataFrame
        Table `raw_bars` at one length, all revisions: with the newest alone, the versions before a
        correction would lack the corrected part.
    calendar : ExchangeCalendar
        Gives sessions and their hours.
    bar_length : {"1d", "1h", "5m"}
        Length of the bars to build, coarser than that of `rows`.
    as_of : datetime, optional
        Aware moment at which the result is known; versions known later, among them bars whose
        period is not complete, are left out. The newest `ingest_time` of `rows` when absent.
    publication_lag : timedelta, optional
        Time from a bar's close until its rows are known; the smallest of `rows` when absent, which
        is right where all timely rows have the same. Pass the declared one where they vary, as in
        a stream: a first version would else be built before its last part.

    Returns
    -------
    DataFrame
        Table `raw_bars`: open first, high max, low min, close last, volume sum,
        vendor_adjusted_close that of the last part, ingest_time max; knowledge_time the newest of
        the parts' and never before close plus lag. A part without a number makes the bar's NaN or
        null, which validation refuses.

    Raises
    ------
    UserError
        If `bar_length` is not coarser than the rows, or `as_of` has no time zone.
    DataError
        If `rows` hold several lengths, or one revision twice.
    """
    rows = conform("raw_bars", rows)
    if rows.is_empty():
        return rows
    _require_coarser(rows, bar_length)
    if as_of is not None and as_of.tzinfo is None:
        msg = f"as_of was {as_of} without a time zone; expected an aware time such as UTC"
        raise UserError(msg)
    now = rows["ingest_time"].max() if as_of is None else as_of
    lag = _smallest_lag(rows) if publication_lag is None else publication_lag
    parts = (
        _with_bar(rows, calendar, bar_length)
        .with_columns(pl.max_horizontal("knowledge_time", pl.col("bar_end") + lag).alias("known"))
        .filter(pl.col("known") <= pl.lit(now).cast(UTC_TIME))
        .sort(*_SOURCE, "event_time", "revision")
        .with_columns(pl.struct(*_SOURCE, "bar_end").rle_id().alias("bar"))
    )
    _require_single_revisions(parts)
    bars = _built(_versions(parts)).with_columns(pl.lit(bar_length).alias("bar_length"))
    return conform("raw_bars", bars.select(TABLES["raw_bars"].names)).sort(TABLES["raw_bars"].key)


def _with_bar(
    rows: pl.DataFrame, calendar: ExchangeCalendar, bar_length: BarLength
) -> pl.DataFrame:
    """Add `bar_end`, the close of the coarse bar; rows off the grid of their own length go."""
    first, last = rows["session"].min(), rows["session"].max()
    assert isinstance(first, date | None)
    assert isinstance(last, date | None)
    sessions = sessions_between(calendar, first, last)
    # Both grids start at the open and the lengths divide each other, so bars nest.
    nesting = bar_closes(calendar, sessions, rows["bar_length"][0]).join_asof(
        bar_closes(calendar, sessions, bar_length).select(
            "bar_open", pl.col("event_time").alias("bar_end")
        ),
        on="bar_open",
    )
    grid = nesting.select("event_time", "bar_end", pl.col("session").alias("session_of_grid"))
    return (
        rows.join(grid, on="event_time", how="inner")
        .filter(pl.col("session") == pl.col("session_of_grid"))
        .drop("session_of_grid")
    )


def _versions(parts: pl.DataFrame) -> pl.DataFrame:
    """Return the parts of each bar as they were known at each moment at which one became known."""
    moments = parts.select("bar", pl.col("known").alias("version")).unique()
    visible = (
        moments.join(parts, on="bar")
        .filter(pl.col("known") <= pl.col("version"))
        .sort("bar", "version", "event_time", "revision")
    )
    is_superseded = pl.all_horizontal(
        pl.col(name) == pl.col(name).shift(-1) for name in ("bar", "version", "event_time")
    )
    return visible.filter(~is_superseded.fill_null(value=False))


def _built(parts: pl.DataFrame) -> pl.DataFrame:
    # A missing number must not turn into a smaller extreme or volume: NaN takes over the whole bar.
    def number(column: str) -> pl.Expr:
        return pl.col(column).fill_null(_NAN)

    return (
        parts.group_by("bar", "version", maintain_order=True)
        .agg(
            pl.col(*_SOURCE, "session").first(),
            pl.col("bar_end").first().alias("event_time"),
            pl.col("ingest_time").max(),
            pl.col("open").first(),
            number("high").nan_max(),
            number("low").nan_min(),
            pl.col("close").last(),
            number("volume").sum(),
            pl.col("vendor_adjusted_close").last(),
        )
        .with_columns(
            pl.col("version").alias("knowledge_time"),
            (pl.col("bar").cum_count().over("bar") - 1).cast(pl.Int32).alias("revision"),
        )
    )


def _smallest_lag(rows: pl.DataFrame) -> timedelta:
    lag = (rows["knowledge_time"] - rows["event_time"]).min()
    assert isinstance(lag, timedelta)
    return max(lag, timedelta(0))


def _require_coarser(rows: pl.DataFrame, bar_length: BarLength) -> None:
    lengths = rows["bar_length"].unique().sort().to_list()
    if len(lengths) > 1:
        msg = (
            f"rows hold bars of {' and '.join(lengths)}; expected one length, because a bar made"
            " of both would count trades twice"
        )
        raise DataError(msg)
    if BAR_MINUTES[bar_length] <= BAR_MINUTES[lengths[0]]:
        msg = (
            f"bar_length was {bar_length}; expected a length above that of the rows, {lengths[0]},"
            " because finer bars cannot be made"
        )
        raise UserError(msg)


def _require_single_revisions(parts: pl.DataFrame) -> None:
    key = [*_SOURCE, "event_time", "revision"]
    twice = parts.filter(pl.all_horizontal(pl.col(name) == pl.col(name).shift() for name in key))
    if not twice.is_empty():
        row = twice.row(0, named=True)
        msg = (
            f"rows hold {row['symbol']} of {row['event_time']:%Y-%m-%d %H:%M} UTC, revision"
            f" {row['revision']}, more than once; expected one row a revision, so leave out what"
            " validation quarantined"
        )
        raise DataError(msg)
