"""The bars as arrays, and the columns of a table that holds all symbols."""

import numpy as np
import numpy.typing as npt
import polars as pl

Column = npt.NDArray[np.float64]
Columns = dict[str, object]
PRICES = ("open", "high", "low", "close", "volume")


def split_to_arrays(bars: pl.DataFrame) -> list[dict[str, Column]]:
    """Return the float64 columns of each symbol."""
    parts = bars.partition_by("symbol", maintain_order=True)
    return [{name: part[name].to_numpy() for name in PRICES} for part in parts]


def number_symbols(bars: pl.DataFrame) -> pl.DataFrame:
    """Return the bars with numbers for symbols, which are told apart faster than texts."""
    return bars.with_columns(pl.col("symbol").rank("dense").cast(pl.UInt32))


def select_over_symbols(bars: pl.DataFrame, expressions: dict[str, pl.Expr]) -> pl.DataFrame:
    """Return the symbols and the columns of the expressions, each kept within its symbol."""
    over = (expression.over("symbol").alias(name) for name, expression in expressions.items())
    return bars.select("symbol", *over)


def name_columns(table: pl.DataFrame) -> list[Columns]:
    """Return the one set of columns of a table that holds all symbols."""
    return [{column.name: column for column in table.get_columns()}]
