"""A vendor's columns: named as they are, and tickers spelled as declarations spell them."""

import polars as pl
import polars.selectors as cs

from trading_assets.symbols import FORM


def spelled(column: pl.Expr) -> pl.Expr:
    """Return a column of tickers as text in composed form, without space around it.

    What is no ticker stays as it is: it equals none of a universe, and is dropped or refused there.
    """
    return column.cast(pl.String).str.strip_chars().str.normalize(FORM)


def exactly(name: str) -> pl.Expr:
    """Return the column of that very name, which `pl.col` may take for a pattern."""
    return cs.by_name(name).as_expr()
