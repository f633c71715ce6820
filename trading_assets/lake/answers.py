"""A query's answer as a table: of types and moments that a table here can hold and show."""

import re
from collections.abc import Iterator
from datetime import date, timedelta
from typing import TYPE_CHECKING

import polars as pl

from trading_assets.errors import UserError

if TYPE_CHECKING:
    from duckdb import DuckDBPyRelation

# DuckDB's types that polars has not, or has with less in them: an offset, a sign, a month.
_NOT_HELD = re.compile(r"\b(INTERVAL|TIME WITH TIME ZONE|UNION|BIT|UHUGEINT)\b")
_QUOTED = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"")
_LONGEST_SHOWN = 40


def read_answer(relation: "DuckDBPyRelation") -> pl.DataFrame:
    """Return the rows of a query.

    Raises
    ------
    UserError
        If a column is of a type that a table here cannot hold, or has a date or time outside the
        years 1 to 9999, such as infinity.
    """
    for name, kind in zip(relation.columns, relation.types, strict=True):
        found = _NOT_HELD.search(_QUOTED.sub("", str(kind)))
        if found is not None:
            raise _unshown(name, f"is of type {found[0]}, which has no column here")
    frame = relation.pl()
    for column in frame:
        for moments in _moments(column):
            if not _is_near(moments):
                raise _unshown(column.name, "has a date or time outside the years 1 to 9999")
    # DuckDB spells the zone Etc/UTC; the lake's tables say UTC.
    return frame.with_columns(pl.col(pl.Datetime("us", "Etc/UTC")).dt.convert_time_zone("UTC"))


def _moments(column: pl.Series) -> Iterator[pl.Series]:
    """Yield the dates and times of a column, also those in lists and structures."""
    if column.dtype == pl.Date or isinstance(column.dtype, pl.Datetime):
        yield column
    elif isinstance(column.dtype, pl.List | pl.Array):
        yield from _moments(column.explode(empty_as_null=False))
    elif isinstance(column.dtype, pl.Struct):
        for field in column.struct.fields:
            yield from _moments(column.struct.field(field))


def _is_near(moments: pl.Series) -> bool:
    if isinstance(moments.dtype, pl.Datetime) and moments.dtype.time_unit == "ns":
        return True  # 64 bits of nanoseconds end before
    # Days of one unit each, whatever the unit.
    first, second, last = (
        pl.Series([date.min, date.min + timedelta(days=1), date.max])
        .cast(moments.dtype)
        .to_physical()
    )
    within = moments.to_physical().is_between(first, last + (second - first), closed="left")
    return bool(within.all())


def _unshown(name: str, problem: str) -> UserError:
    shown = name[:_LONGEST_SHOWN]
    return UserError(
        f"column {shown!r} of the answer {problem}; cast it, such as CAST(... AS TEXT)"
    )
