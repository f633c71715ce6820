"""Corporate actions from a CSV or Parquet file beside the bars, in any vendor's layout."""

from datetime import date, datetime, timedelta
from pathlib import Path
from typing import get_args

import polars as pl

from trading_assets.bars.calendars.calendar import ExchangeCalendar
from trading_assets.bars.series.columns import end_times, place, read_columns
from trading_assets.bars.symbol_columns import spelled
from trading_assets.errors import DataError
from trading_assets.file_specs import ActionKind, FileActions
from trading_assets.schema import TABLES, UTC_TIME, conform
from trading_assets.symbols import SYMBOL_PATTERN

ORIGIN = "file of corporate actions"

_KINDS = get_args(ActionKind)
_NEEDED = ("symbol", "ex_date", "kind")
_OPTIONAL = ("split_ratio", "cash_usd", "new_symbol", "knowledge_time")
# What nobody gave is what changes nothing.
# Polars itself would also take 2000-1-31.
_DAY = "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
_NEUTRAL = {"split_ratio": 1.0, "cash_usd": 0.0}
_LARGEST_RATIO = 1000.0


def read_file_actions(
    source: FileActions,
    folder: Path,
    symbols: tuple[str, ...],
    calendar: ExchangeCalendar,
    lag_minutes: int,
) -> pl.DataFrame:
    """Return all actions of a file that concern `symbols`.

    Parameters
    ----------
    source : FileActions
        File, column map and words for kinds.
    folder : Path
        The declaration's folder.
    symbols : tuple of str
        The universe. A rename concerns it by the old ticker or by the new one.
    calendar : ExchangeCalendar
        Dates what the file does not.
    lag_minutes : int
        Minutes from a close until it is published, for the worth of a spin-off.

    Returns
    -------
    DataFrame
        Table `corporate_actions`, sorted. Known when the file says so; a date stands for the last
        moment of its day in the calendar's zone. Where the file says nothing, known at the open of
        the ex date's session, which is the next one if it is none; a spin-off, as its worth is a
        price of that session, after its close.

    Raises
    ------
    UserError
        If the file or a declared column is missing.
    DataError
        If a row is no action, with its number, the value and what was expected.
    """
    file = folder / source.file
    rows = read_columns(file, (*_NEEDED, *_OPTIONAL), source.columns, optional=_OPTIONAL)
    rows = _of_symbols(_typed(rows, file, source), symbols, file)
    _refuse(_rules(), rows, file)
    known = _known(rows, file, calendar, lag_minutes)
    table = rows.with_columns(known, pl.lit(ORIGIN).alias("origin"))
    names = TABLES["corporate_actions"].names
    return conform("corporate_actions", table.select(names)).sort("symbol", "ex_date", "kind")


def _typed(rows: pl.DataFrame, file: Path, source: FileActions) -> pl.DataFrame:
    empty = [name for name in _OPTIONAL[:3] if name not in rows.columns]
    rows = rows.with_columns(pl.lit(None, dtype=pl.String).alias(name) for name in empty)
    kind = pl.col("kind").cast(pl.String).str.strip_chars()
    new_symbol = spelled(pl.col("new_symbol"))
    return rows.with_columns(
        spelled(pl.col("symbol")),
        (kind.replace(source.kinds) if source.kinds else kind).alias("kind"),
        pl.when(new_symbol != "").then(new_symbol).alias("new_symbol"),
        _days(rows, file),
        *(_numbers(rows, name, file) for name in _NEUTRAL),
    )


def _of_symbols(rows: pl.DataFrame, symbols: tuple[str, ...], file: Path) -> pl.DataFrame:
    is_named = pl.col("symbol").str.contains(SYMBOL_PATTERN).fill_null(value=False)
    _refuse({"symbol": (is_named, "a ticker such as BRK.B")}, rows, file)
    concerned = pl.col("symbol").is_in(symbols) | (
        (pl.col("kind") == "rename") & pl.col("new_symbol").is_in(symbols)
    )
    return rows.filter(concerned.fill_null(value=False))


def _rules() -> dict[str, tuple[pl.Expr, str]]:
    """Return by column what is good of it, and what was expected."""
    kind, ratio, cash = pl.col("kind"), pl.col("split_ratio"), pl.col("cash_usd")
    renamed, is_rename = pl.col("new_symbol"), pl.col("kind") == "rename"
    is_plausible = ratio.is_between(1 / _LARGEST_RATIO, _LARGEST_RATIO) & (ratio != 1)
    is_ticker = renamed.str.contains(SYMBOL_PATTERN) & (renamed != pl.col("symbol"))
    action = pl.struct("symbol", "ex_date", "kind")
    return {
        "kind": (kind.is_in(_KINDS), f"{', '.join(_KINDS)}, or a word that `kinds` explains"),
        "split_ratio": (
            pl.when(kind == "split").then(is_plausible).otherwise(ratio == 1),
            "of a split the new shares for one old share, 0.001 to 1000 and not 1, else nothing",
        ),
        "cash_usd": (
            pl.when(kind.is_in(["dividend", "spin_off"]))
            .then(cash.is_finite() & (cash > 0))
            .otherwise(cash == 0),
            "of a dividend or spin-off the USD for one old share, above 0, else nothing",
        ),
        "new_symbol": (
            pl.when(is_rename).then(is_ticker).otherwise(renamed.is_null()),
            "of a rename another ticker, else nothing",
        ),
        "ex_date": (
            ~action.is_duplicated(),
            "one row a symbol, ex date and kind: several of one day have to be put together",
        ),
    }


def _refuse(rules: dict[str, tuple[pl.Expr, str]], rows: pl.DataFrame, file: Path) -> None:
    for column, (is_good, expected) in rules.items():
        wrong = rows.filter(~is_good.fill_null(value=False))
        if not wrong.is_empty():
            value = wrong[column][0]
            shown = "empty" if value is None else repr(str(value)[:40])
            msg = (
                f"{place(file, wrong)}: {column} was {shown}; expected {expected}, so correct the"
                " row or leave it out"
            )
            raise DataError(msg)


def _days(rows: pl.DataFrame, file: Path) -> pl.Series:
    column = rows["ex_date"]
    texts = column.cast(pl.String).str.strip_chars() if column.dtype == pl.String else column
    days = (
        texts.str.to_date("%Y-%m-%d", strict=False).set(~texts.str.contains(_DAY), None)
        if column.dtype == pl.String
        else column.cast(pl.Date, strict=False)
        if column.dtype.is_temporal()
        else pl.Series([None] * len(column), dtype=pl.Date)
    )
    table = pl.DataFrame({"row": rows["row"], "ex_date": column, "day": days})
    _refuse({"ex_date": (pl.col("day").is_not_null(), "a date such as 2020-08-31")}, table, file)
    return days.alias("ex_date")


def _numbers(rows: pl.DataFrame, name: str, file: Path) -> pl.Series:
    column = rows[name]
    if column.dtype == pl.String:
        texts = column.str.strip_chars()
        column = texts.set((texts == "").fill_null(value=False), None)
    numbers = column.cast(pl.Float64, strict=False)
    is_read = pl.col("number").is_not_null() | pl.col("given").is_null()
    table = pl.DataFrame({"row": rows["row"], name: rows[name], "given": column, "number": numbers})
    _refuse({name: (is_read, "a number")}, table, file)
    return numbers.fill_null(_NEUTRAL[name]).alias(name)


def _known(
    rows: pl.DataFrame, file: Path, calendar: ExchangeCalendar, lag_minutes: int
) -> pl.Series:
    defaults = [
        _first_moment(day, kind, calendar, lag_minutes)
        for day, kind in rows.select("ex_date", "kind").iter_rows()
    ]
    by_rule = pl.Series("knowledge_time", defaults, dtype=UTC_TIME)
    if "knowledge_time" not in rows.columns:
        return by_rule
    said = rows["knowledge_time"]
    text = said.cast(pl.String).str.strip_chars() if said.dtype == pl.String else said
    is_said = text.is_not_null() & (text != "") if said.dtype == pl.String else text.is_not_null()
    found = end_times(rows.filter(is_said), "knowledge_time", calendar.time_zone.key, file)
    return by_rule.scatter(is_said.arg_true(), found)


def _first_moment(day: date, kind: str, calendar: ExchangeCalendar, lag_minutes: int) -> datetime:
    session = day if calendar.is_session(day) else calendar.next_session(day)
    if kind == "spin_off":
        return calendar.close_time(session) + timedelta(minutes=lag_minutes)
    return calendar.open_time(session)
