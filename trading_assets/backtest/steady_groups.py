"""Sums by group whose last bits are the same in every run.

polars adds up a group in parts, whose order hangs on its threads. Here each group is gathered in
the order of its rows first and added up then.
"""

from collections.abc import Mapping, Sequence

import polars as pl


def sum_groups(
    frame: pl.DataFrame, keys: Sequence[str], values: Mapping[str, pl.Expr]
) -> pl.DataFrame:
    """Return the sums of values by keys, groups in the order of their first rows.

    Parameters
    ----------
    frame : DataFrame
        Rows, in an order of their own.
    keys : sequence of str
        Columns that name a group.
    values : mapping of str to Expr
        What is summed up, one number a row, by the name of the sum.
    """
    gathered = frame.group_by(list(keys), maintain_order=True).agg(**values)
    return gathered.with_columns(pl.col(list(values)).list.sum())
