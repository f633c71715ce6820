"""Labels: the return of a position entered at the next open, in units of its volatility.

A label of session t lives from the entry at the open of t+1 to the exit at the close of t+h.
Whoever trains on it has to keep that whole life out of what is later predicted.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from trading_assets.errors import DataError
from trading_assets.features.adjustment import adjust_forward, list_actions

Array = NDArray[np.float64]

CLASS_NAMES = ("down", "flat", "up")
# A class with fewer of the train labels than this share cannot be learned.
LEAST_CLASS_SHARE = 0.05


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


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Terciles of the scaled return of the train rows: below `lower` is down, above `upper` up."""

    lower: float
    upper: float

    def classify(self, scaled_returns: Array) -> NDArray[np.int64]:
        """Return the class of each scaled return (n,): 0 down, 1 flat, 2 up."""
        return (scaled_returns > self.lower).astype(np.int64) + (scaled_returns > self.upper)


def fit_thresholds(scaled_returns: Array) -> Thresholds:
    """Return the terciles of the train rows' scaled returns (n,).

    Raises
    ------
    DataError
        If a class holds less than 5 % of them.
    """
    lower, upper = (float(q) for q in np.quantile(scaled_returns, (1.0 / 3.0, 2.0 / 3.0)))
    thresholds = Thresholds(lower, upper)
    shares = class_shares(thresholds.classify(scaled_returns))
    for name, share in zip(CLASS_NAMES, shares, strict=True):
        if share < LEAST_CLASS_SHARE:
            msg = (
                f"class {name} holds {share:.1%} of {len(scaled_returns)} train labels; expected at"
                f" least {LEAST_CLASS_SHARE:.0%}: look for stale prices in the train window, or"
                f" lengthen forecast.horizon_bars or folds.train_months"
            )
            raise DataError(msg)
    return thresholds


def class_shares(classes: NDArray[np.int64]) -> Array:
    """Return the share of each class (3,)."""
    return np.bincount(classes, minlength=3) / max(1, len(classes))
