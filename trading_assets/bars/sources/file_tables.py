"""Tables of a vendor's files: read together and lazily, or one by one to find what is wrong."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from trading_assets.bars.sources.file_times import TimeReading, read_times
from trading_assets.bars.symbol_columns import exactly, spelled
from trading_assets.errors import DataError, shown
from trading_assets.file_specs import FilesSource

NUMBERS = ("open", "high", "low", "close", "volume", "vendor_adjusted_close")
# What vendors write where they have no number.
_NO_NUMBER = ("", "nan", "na", "n/a", "null", "none", "-", "--")
_LIMIT_NAMED = 8
_LONGEST_REASON = 200


@dataclass(frozen=True, slots=True)
class DataFile:
    """A file, and the symbol of its rows where its name says it."""

    path: Path
    symbol: str | None

    @property
    def is_parquet(self) -> bool:
        """Whether it is Parquet; otherwise it is CSV, perhaps compressed."""
        return self.path.suffix == ".parquet"


def is_folder(path: Path) -> bool:
    """Return whether `path` is a folder; a name that no file can have is none."""
    try:
        return path.is_dir()
    except OSError:
        return False


def column_map(source: FilesSource) -> dict[str, str]:
    """Return our columns and the files' own names for them, all of which a file must have."""
    names = ["time", *NUMBERS[:-1]]
    if source.symbol_from == "column":
        names.insert(0, "symbol")
    if "vendor_adjusted_close" in source.columns:
        names.append("vendor_adjusted_close")
    own = {str(ours): theirs for ours, theirs in source.columns.items()}
    return {name: own.get(name, name) for name in names}


def read_tables(files: Sequence[DataFile], source: FilesSource, keep: pl.Expr) -> pl.DataFrame:
    """Return the rows of all files for which `keep` holds.

    Parameters
    ----------
    files : sequence of DataFile
        At least one.
    source : FilesSource
        Column map, separator, and what times mean.
    keep : Expr
        Over symbol and time; rows without a time are looked at in any case.

    Returns
    -------
    DataFrame
        symbol : String (NFC), time : Date or UTC_TIME, open, high, low, close, volume and, if
        mapped, vendor_adjusted_close : Float64, null where the file has no number.

    Raises
    ------
    DataError
        If a file cannot be read, lacks a column, or has text for a number or no readable time.
    """
    keep = (keep | pl.col("time").is_null()).fill_null(value=False)
    try:
        # The first file shows the form of times; where another differs, its times are null.
        example = _example(files[0], source)
        table = pl.concat(_scan(file, source, example).filter(keep) for file in files).collect()
    except (OSError, pl.exceptions.PolarsError):
        table = None
    if table is None or table["time"].has_nulls():
        table = pl.concat(_read_closely(file, source).filter(keep) for file in files)
    return table


def symbols_in(files: Sequence[DataFile], source: FilesSource) -> list[str]:
    """Return the symbols that the files hold, sorted; text of a vendor, so quote it."""
    named = {file.symbol for file in files if file.symbol is not None}
    for file in files if source.symbol_from == "column" else ():
        column = column_map(source)["symbol"]
        found = _raw(file, source).select(spelled(exactly(column)).alias("symbol"))["symbol"]
        named.update(found.drop_nulls().unique())
    return sorted(named)


def _example(file: DataFile, source: FilesSource) -> str | None:
    column = column_map(source)["time"]
    is_parquet = file.is_parquet
    table = pl.scan_parquet(file.path, glob=False) if is_parquet else _scan_csv(file, source)
    first = table.select(exactly(column).cast(pl.String).alias("time"))
    values = first.filter(pl.col("time").is_not_null()).head(1).collect()
    return values.item() if len(values) else None


def _scan_csv(file: DataFile, source: FilesSource, *, with_numbers: bool = False) -> pl.LazyFrame:
    columns = column_map(source)
    numbers = {columns[name]: pl.Float64() for name in NUMBERS if name in columns}
    return pl.scan_csv(
        file.path,
        glob=False,  # a file's name is no pattern
        separator=source.separator,
        decimal_comma=source.decimal_comma,
        infer_schema=False,
        schema_overrides=numbers if with_numbers else None,
    )


def _scan(file: DataFile, source: FilesSource, example: str | None) -> pl.LazyFrame:
    if file.is_parquet:
        table = pl.scan_parquet(file.path, glob=False, missing_columns="raise")
        dtype = table.collect_schema()[column_map(source)["time"]]
    else:
        table, dtype = _scan_csv(file, source, with_numbers=True), pl.String()
    return _typed(_ours(table, source), file, read_times(dtype, example, source))


def _ours(table: pl.LazyFrame, source: FilesSource) -> pl.LazyFrame:
    return table.select(exactly(own).alias(name) for name, own in column_map(source).items())


def _typed(table: pl.LazyFrame, file: DataFile, times: TimeReading) -> pl.LazyFrame:
    symbol = (
        spelled(pl.col("symbol")) if file.symbol is None else pl.lit(file.symbol).alias("symbol")
    )
    return table.with_columns(times.value.alias("time")).select(
        symbol,
        "time",
        pl.col("^(open|high|low|close|volume|vendor_.*)$").cast(pl.Float64).fill_nan(None),
    )


def _read_closely(file: DataFile, source: FilesSource) -> pl.DataFrame:
    raw = _raw(file, source)
    columns = column_map(source)
    missing = [own for own in columns.values() if own not in raw.columns]
    if missing:
        ours = next(name for name, own in columns.items() if own == missing[0])
        named = ", ".join(raw.columns[:_LIMIT_NAMED]) + ", ..." * (len(raw.columns) > _LIMIT_NAMED)
        msg = (
            f"{file.path} lacks the column {', '.join(missing)[:_LONGEST_REASON]}; it has"
            f" {named[:_LONGEST_REASON]}, so name the file's own under `columns`, such as"
            f" {ours}: {raw.columns[-1][:40]}"
        )
        raise DataError(msg)
    table = _ours(raw.lazy(), source).collect()
    table = table.with_columns(
        _numbers(table[name], file, columns[name], source) for name in NUMBERS if name in columns
    )
    texts: list[str] = table["time"].cast(pl.String).drop_nulls().head(1).to_list()
    try:
        times = read_times(table.schema["time"], texts[0] if texts else None, source)
        _require_times(table, times, file, source)
        return _typed(table.lazy(), file, times).collect()
    except pl.exceptions.PolarsError as error:
        reason = str(error).split("\n", maxsplit=1)[0][:_LONGEST_REASON]
        msg = (
            f"{file.path} has times that cannot be read as declared ({reason}); expected"
            f" time_format {shown(source.time_format)} and time_zone {shown(source.time_zone)}"
            " to be ones that exist, so correct them"
        )
        raise DataError(msg) from error


def _raw(file: DataFile, source: FilesSource) -> pl.DataFrame:
    try:
        if file.is_parquet:
            return pl.read_parquet(file.path, glob=False)
        return pl.read_csv(file.path, glob=False, separator=source.separator, infer_schema=False)
    except (OSError, pl.exceptions.PolarsError) as error:
        reason = str(error).split("\n", maxsplit=1)[0][:_LONGEST_REASON]
        msg = f"{file.path} cannot be read ({reason}); replace the file, or narrow `pattern`"
        raise DataError(msg) from error


def _numbers(values: pl.Series, file: DataFile, column: str, source: FilesSource) -> pl.Series:
    if values.dtype.is_numeric() or values.dtype == pl.Null:
        return values.cast(pl.Float64)
    texts = values.cast(pl.String, strict=False).str.strip_chars()
    if source.decimal_comma:
        texts = texts.str.replace(",", ".", literal=True)
    present = texts.set(texts.str.to_lowercase().is_in(_NO_NUMBER).fill_null(value=False), None)
    numbers = present.cast(pl.Float64, strict=False)
    wrong = (present.is_not_null() & numbers.is_null()).arg_max()
    if wrong is not None and present[wrong] is not None and numbers[wrong] is None:
        msg = (
            f"{file.path} row {wrong + 1}: column {column} was {_shown(values[wrong])}; expected a"
            " number, or nothing where there is none, so correct the row"
        )
        raise DataError(msg)
    return numbers


def _require_times(
    table: pl.DataFrame, times: TimeReading, file: DataFile, source: FilesSource
) -> None:
    found = table.select(times.written.alias("written"), times.value.alias("value"))
    if not found["value"].has_nulls():
        return
    row = int(found["value"].is_null().arg_max() or 0)
    column, text = column_map(source)["time"], table["time"][row]
    if found["written"][row] is not None:
        msg = (
            f"{file.path} row {row + 1}: column {column} was {_shown(text)}, a local time that"
            f" {source.time_zone} skips or has twice as clocks change; expected times in UTC or"
            " with their offset"
        )
    else:
        expected = source.time_format or "ISO 8601 such as 2024-01-31 or 2024-01-31T14:30:00Z"
        msg = (
            f"{file.path} row {row + 1}: column {column} was {_shown(text)}; expected {expected},"
            " so correct the row or declare time_format"
        )
    raise DataError(msg)


def _shown(value: object) -> str:
    return repr(str(value)[:40]) if value is not None else "empty"
