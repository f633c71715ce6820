"""What the time column of a vendor's file means: a session's date, or a moment in UTC."""

import re
from dataclasses import dataclass

import polars as pl

from trading_assets.file_specs import FilesSource
from trading_assets.schema import UTC_TIME

_ISO = re.compile(
    r"\d{4}-\d\d-\d\d"
    r"(?:(?P<gap>[T ])\d\d:\d\d(?P<seconds>:\d\d)?(?P<fraction>\.\d+)?"
    r"(?P<zone>Z|[+-]\d\d(?::?\d\d)?)?)?"
)
# Marks of strftime that say an hour, and those that say a zone or count from a moment in UTC.
# Polars itself would also take +2000-1-31.
_DAY = "^[0-9]{4}-[0-9]{2}-[0-9]{2}"
_HOUR_MARKS = frozenset("HIklTRXrsc+")
_ZONE_MARKS = frozenset("zs+")
_DATE_LENGTH = len("2000-01-31")


@dataclass(frozen=True, slots=True)
class TimeReading:
    """How one file's time column is read.

    Attributes
    ----------
    written : Expr
        Column `time` as a Date, or a Datetime with or without zone; null where it is unreadable.
    value : Expr
        `written` as a Date (a session) or as UTC_TIME; null, too, for a local time that a change of
        clocks skips or repeats.
    """

    written: pl.Expr
    value: pl.Expr


def read_times(dtype: pl.DataType, example: str | None, source: FilesSource) -> TimeReading:
    """Return how to read column `time`.

    Parameters
    ----------
    dtype : DataType
        Type of the column in the file.
    example : str or None
        A value of a text column; it shows which form of ISO 8601 the file uses.
    source : FilesSource
        Declares what the time means, its format and its zone.
    """
    column = pl.col("time")
    if not (dtype == pl.Date or isinstance(dtype, pl.Datetime)):
        text = column.cast(pl.String).str.strip_chars() if dtype != pl.String else column
        return _read_text(text, example or "", source)
    if source.time_is == "session":
        return TimeReading(column, _as_session(column, dtype, source))
    return TimeReading(column, _as_moment(column, dtype, source))


def _read_text(text: pl.Expr, example: str, source: FilesSource) -> TimeReading:
    is_session = source.time_is == "session"
    if source.time_format is None and is_session:
        # The date as it is written, whatever hour and offset follow it.
        ends_there = text.str.slice(_DATE_LENGTH, 1).is_in(["", "T", " "])
        day = pl.when(ends_there & text.str.contains(_DAY)).then(
            text.str.slice(0, _DATE_LENGTH).str.to_date("%Y-%m-%d", strict=False)
        )
        return TimeReading(day, day)
    time_format = source.time_format or _iso_format(example)
    marks = set(re.findall(r"%[-_0#:.]*\d?([A-Za-z+])", time_format))
    is_aware = bool(marks & _ZONE_MARKS) or (source.time_format is None and time_format[-1] == "Z")
    dtype = pl.Datetime("us", "UTC" if is_aware else None)
    if marks & _HOUR_MARKS:
        written = text.str.to_datetime(
            time_format, time_unit="us", time_zone=dtype.time_zone, strict=False
        )
    else:
        written = text.str.to_date(time_format, strict=False).cast(dtype)
    convert = _as_session if is_session else _as_moment
    return TimeReading(written, convert(written, dtype, source))


def _iso_format(example: str) -> str:
    parts = _ISO.fullmatch(example.strip())
    if parts is None or parts["gap"] is None:
        return "%Y-%m-%d"
    # Marks that polars reads many times faster than `%.f` and `%z` are used where they suffice.
    clock = "%H:%M" + (":%S" if parts["seconds"] else "") + ("%.f" if parts["fraction"] else "")
    zone = {None: "", "Z": "Z"}.get(parts["zone"], "%#z")
    return f"%Y-%m-%d{parts['gap']}{clock}{zone}"


def _as_session(written: pl.Expr, dtype: pl.DataType, source: FilesSource) -> pl.Expr:
    if isinstance(dtype, pl.Datetime) and dtype.time_zone is not None:
        written = written.dt.convert_time_zone(source.time_zone)
    return written.cast(pl.Date)


def _as_moment(written: pl.Expr, dtype: pl.DataType, source: FilesSource) -> pl.Expr:
    if isinstance(dtype, pl.Datetime) and dtype.time_zone is not None:
        return written.dt.convert_time_zone("UTC").cast(UTC_TIME)
    return (
        written.cast(pl.Datetime("us"))
        .dt.replace_time_zone(source.time_zone, ambiguous="null", non_existent="null")
        .dt.convert_time_zone("UTC")
        .cast(UTC_TIME)
    )
