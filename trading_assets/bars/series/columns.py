"""Columns of a CSV or Parquet file of series or actions: found, typed, refused row by row."""

import io
import re
from collections.abc import Collection, Mapping
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

import polars as pl

from trading_assets.bars.series.readers import MARKET_WIDE
from trading_assets.bars.symbol_columns import exactly, spelled
from trading_assets.errors import DataError, UserError
from trading_assets.schema import UTC_TIME

_LENGTHS = {"day": "1d", "week": "1w", "month": "1mo", "quarter": "1q", "year": "1y"}
_YEARS = (1800, 2200)
_ISO = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ]|\Z)")
_LONGEST_REASON = 200
_LONGEST_PATH = 300


def read_columns(
    file: Path,
    needed: Collection[str],
    columns: Mapping[Any, str],
    optional: Collection[str] = (),
) -> pl.DataFrame:
    """Return columns of a file under our names, with `row`, its number counted from 1.

    Parameters
    ----------
    file : Path
        `.csv`, whose values are returned as text, or `.parquet`.
    needed : collection of str
        Our names of the columns to read.
    columns : mapping
        Our name to the file's own, where they differ.
    optional : collection of str
        Those that a file may lack unless `columns` names them.

    Raises
    ------
    UserError
        If there is no such file, or it lacks a column.
    DataError
        If it cannot be read.
    """
    if file.suffix not in {".csv", ".parquet"} or not _is_file(file):
        msg = (
            f"{str(file)[:_LONGEST_PATH]} is no file to read; expected an existing .csv or .parquet"
        )
        raise UserError(msg)
    try:
        content = io.BytesIO(file.read_bytes())
        table = (
            pl.read_csv(content, infer_schema=False)
            if file.suffix == ".csv"
            else pl.read_parquet(content)
        )
    except (OSError, pl.exceptions.PolarsError) as error:
        reason = str(error).split("\n", maxsplit=1)[0][:_LONGEST_REASON]
        msg = f"{file} cannot be read ({reason}); save it again as {file.suffix}"
        raise DataError(msg) from error
    own = {name: columns.get(name, name) for name in needed}
    missing = [
        theirs
        for name, theirs in own.items()
        if theirs not in table.columns and (name not in optional or name in columns)
    ]
    if missing:
        msg = (
            f"{file} lacks the columns {', '.join(missing)[:_LONGEST_REASON]}; it has"
            f" {', '.join(table.columns)[:_LONGEST_REASON]}, so"
            " name its own under `columns`"
        )
        raise UserError(msg)
    return table.select(
        pl.int_range(1, pl.len() + 1).alias("row"),
        *(exactly(theirs).alias(name) for name, theirs in own.items() if theirs in table.columns),
    )


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        return False  # a name that no file can have


def of_universe(rows: pl.DataFrame, universe: Collection[str], file: Path) -> pl.DataFrame:
    """Return the rows of the universe's symbols and of `*`, which all are without a symbol column.

    Raises
    ------
    DataError
        If a row's symbol is empty.
    """
    if "symbol" not in rows.columns:
        return rows.with_columns(pl.lit(MARKET_WIDE).alias("symbol"))
    rows = rows.with_columns(spelled(pl.col("symbol")))
    empty = rows.filter(pl.col("symbol").is_null() | (pl.col("symbol") == ""))
    if not empty.is_empty():
        msg = f"{place(file, empty)}: symbol was empty; expected a ticker, or * for the market"
        raise DataError(msg)
    return rows.filter(pl.col("symbol").is_in([*universe, MARKET_WIDE]))


def end_times(
    rows: pl.DataFrame, name: str, zone: str, file: Path, period: str = "day"
) -> pl.Series:
    """Return a column of dates or times as UTC times; a date as the end of its period in `zone`.

    Raises
    ------
    DataError
        If a row has no readable time, or one without a time zone.
    """
    parsed = _parsed(rows[name])
    length = _LENGTHS[period]
    ends = parsed.select(
        pl.coalesce(
            "moment",
            pl.col("day")
            .dt.truncate(length)
            .dt.offset_by(length)
            .cast(pl.Datetime("us"))
            .dt.replace_time_zone(zone)
            .dt.convert_time_zone("UTC"),
        ).alias(name)
    )[name]
    wrong = rows.filter(~ends.dt.year().is_between(*_YEARS).fill_null(value=False))
    if not wrong.is_empty():
        msg = (
            f"{place(file, wrong)}: {name} was {str(wrong[name][0])!r}; expected a date, or a time"
            " with its zone such as 2020-01-31T13:30:00Z"
        )
        raise DataError(msg)
    return ends


def finite_numbers(rows: pl.DataFrame, name: str, file: Path) -> pl.Series:
    """Return a column as finite numbers, Float64.

    Raises
    ------
    DataError
        If a row has text, nothing or no finite number.
    """
    column = rows[name]
    if column.dtype == pl.String:
        numbers = column.str.strip_chars().cast(pl.Float64, strict=False)
    elif column.dtype.is_numeric():
        numbers = column.cast(pl.Float64)
    else:
        numbers = pl.Series(name, [None] * len(column), dtype=pl.Float64)
    wrong = rows.filter(~numbers.is_finite().fill_null(value=False))
    if not wrong.is_empty():
        msg = (
            f"{place(file, wrong)}: {name} was {wrong[name][0]!r}; expected a finite number, so"
            " correct the row or leave it out"
        )
        raise DataError(msg)
    return numbers


def place(file: Path, wrong: pl.DataFrame) -> str:
    """Return where the first of some wrong rows stands, and how many there are."""
    count = f" and {len(wrong) - 1} more" if len(wrong) > 1 else ""
    return f"{file} row {wrong['row'][0]}{count}"


def _parsed(column: pl.Series) -> pl.DataFrame:
    """Return day (Date) and moment (UTC), at most one of them present in a row."""
    if column.dtype == pl.String:
        texts = column.unique()
        found = [_parse(text) for text in texts.to_list()]
        known = pl.DataFrame(
            {"text": texts, "day": [d for d, _ in found], "moment": [m for _, m in found]},
            schema={"text": pl.String, "day": pl.Date, "moment": UTC_TIME},
        )
        return pl.DataFrame({"text": column}).join(
            known, on="text", how="left", nulls_equal=True, maintain_order="left"
        )
    day = pl.Series("day", [None] * len(column), dtype=pl.Date)
    moment = pl.Series("moment", [None] * len(column), dtype=UTC_TIME)
    if column.dtype == pl.Date:
        day = column.alias("day")
    elif isinstance(column.dtype, pl.Datetime) and column.dtype.time_zone is not None:
        moment = column.dt.convert_time_zone("UTC").cast(UTC_TIME).alias("moment")
    # A day far out of range would overflow as the end of a period.
    is_near = pl.col("day").is_between(date(_YEARS[0], 1, 1), date(_YEARS[1], 12, 31))
    return pl.DataFrame([day, moment]).with_columns(pl.when(is_near).then("day").alias("day"))


def _parse(text: str | None) -> tuple[date | None, datetime | None]:
    written = (text or "").strip()
    try:
        moment = datetime.fromisoformat(written)
    except ValueError:
        return None, None
    # Python takes any character between day and time: a digit too many would be an hour.
    if not _ISO.match(written) or not _YEARS[0] <= moment.year <= _YEARS[1]:
        return None, None
    if moment.tzinfo is not None:
        return None, moment
    is_date = moment.time() == time() and ":" not in written
    return (moment.date() if is_date else None), None
