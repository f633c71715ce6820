"""Labels: the return of a position entered at the next open.

A label of session t lives from the entry at the open of t+1 to the exit at the close of t+h.
Whoever trains on it has to keep that whole life out of what is later predicted.
"""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from trading_assets.features.adjustment import adjust_forward, list_actions

Array = NDArray[np.float64]

CLASS_NAMES = ("down", "flat", "up")


def compute_labels(bars: pl.DataFrame, actions: pl.DataFrame, horizon_bars: int) -> pl.DataFrame:
    """Return what a position held over the horizon earned, for every row whose exit is in `bars`.

    Parameters
    ----------
    bars : DataFrame
        Table validated_bars.
    actions : DataFrame
        Table corporate_actions; those after the entry session up to the exit are earned.
    horizon_bars : int
        Bars of the symbol from entry to exit, both included.

    Returns
    -------
    DataFrame
        symbol, session, label_start (session of the entry), label_end (session of the exit) and
        forward_return (float64, fraction, total return from open t+1 to close t+h).
    """
    by_symbol = list_actions(actions)
    frames = [_EMPTY_LABELS]
    for (symbol,), rows in (
        bars.sort("symbol", "session").partition_by("symbol", as_dict=True).items()
    ):
        if rows.height <= horizon_bars:
            continue
        own = adjust_forward(rows, by_symbol.get(str(symbol), ()))
        count = rows.height - horizon_bars
        # `open` and `close` carry the same entitlement factor, which cancels at the entry bar.
        earned = own.close[horizon_bars:] / own.open[1 : count + 1] - 1.0
        frames.append(
            rows.head(count).select(
                "symbol",
                "session",
                rows["session"][1 : count + 1].alias("label_start"),
                rows["session"][horizon_bars:].alias("label_end"),
                pl.Series("forward_return", earned),
            )
        )
    return pl.concat(frames)


_EMPTY_LABELS = pl.DataFrame(
    schema={
        "symbol": pl.String,
        "session": pl.Date,
        "label_start": pl.Date,
        "label_end": pl.Date,
        "forward_return": pl.Float64,
    }
)


def class_shares(classes: NDArray[np.int64]) -> Array:
    """Return the share of each class (3,)."""
    return np.bincount(classes, minlength=3) / max(1, len(classes))
