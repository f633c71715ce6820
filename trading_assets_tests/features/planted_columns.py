"""How an entry of the catalogue becomes a column: an expression, an array or a whole table."""

from collections.abc import Callable

import numpy as np
import polars as pl

from trading_assets.features.scrambling import FeatureInputs

Column = Callable[[FeatureInputs], pl.DataFrame]

KEY = ("symbol", "session")
CLOSE, VOLUME, SESSION = pl.col("close"), pl.col("volume"), pl.col("session")
RETURN = (CLOSE / CLOSE.shift(1)).log()
# A close that is missing for up to four days in eleven, as with a thinly quoted share.
QUOTED = pl.when(SESSION.dt.ordinal_day() % 11 > 3).then(CLOSE)


def by_expression(make: Callable[[], pl.Expr]) -> Column:
    """Evaluate an expression over each symbol's bars in time order."""

    def column(inputs: FeatureInputs) -> pl.DataFrame:
        parts = inputs.bars.partition_by("symbol", maintain_order=True)
        return pl.concat(part.select(*KEY, make().alias("planted")) for part in parts)

    return _named_as(make, column)


def by_array(make: Callable[[np.ndarray], np.ndarray]) -> Column:
    """Apply a function to each symbol's log closes (T,) in time order."""

    def column(inputs: FeatureInputs) -> pl.DataFrame:
        parts = inputs.bars.partition_by("symbol", maintain_order=True)
        return pl.concat(
            part.select(*KEY, pl.Series("planted", make(np.log(part["close"].to_numpy()))))
            for part in parts
        )

    return _named_as(make, column)


def by_table(make: Callable[[FeatureInputs], pl.DataFrame]) -> Column:
    """Keep the keys and the column `planted` of what a function of the three tables returns."""

    def column(inputs: FeatureInputs) -> pl.DataFrame:
        return make(inputs).select(*KEY, "planted")

    return _named_as(make, column)


def catalogue(*columns: Column) -> dict[str, Column]:
    return {column.__name__: column for column in columns}


def _named_as(make: Callable, column: Column) -> Column:
    column.__name__, column.__doc__ = make.__name__, make.__doc__
    return column
