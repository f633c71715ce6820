"""The answer of a query as a person sees it: a table in a terminal, or CSV for another program."""

from collections.abc import Sequence

import polars as pl

_LONGEST_CELL = 1_000


def print_table(frame: pl.DataFrame, rows: int) -> None:
    """Print the first rows of a table; no cell is read as markup or as a terminal's sign."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table()
    for name in frame.columns:
        table.add_column(Text(_plain(name)))
    for row in frame.head(rows).iter_rows():
        table.add_row(*(Text("" if value is None else _plain(str(value))) for value in row))
    Console().print(table)


def csv_text(frame: pl.DataFrame) -> str:
    """Return a table as CSV; lists, structures and bytes as Python writes them."""
    nested = [column.name for column in frame if _has_no_csv(column.dtype)]
    return frame.with_columns(_texts(frame[name]) for name in nested).write_csv()


def _has_no_csv(dtype: pl.DataType) -> bool:
    return dtype.is_nested() or isinstance(dtype, pl.Binary | pl.Object)


def _texts(column: pl.Series) -> pl.Series:
    values: Sequence[object] = column.to_list()
    texts = [None if value is None else str(value) for value in values]
    return pl.Series(column.name, texts, dtype=pl.String)


def _plain(text: str) -> str:
    shown = "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in text)
    return shown if len(shown) <= _LONGEST_CELL else f"{shown[:_LONGEST_CELL]} ..."
