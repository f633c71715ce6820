"""Bars of all symbols as arrays on which no corporate action is left.

Splits and dividends are worked into prices, so that what is done to returns needs to know nothing
of them.
"""

from dataclasses import dataclass, replace
from datetime import date

import numpy as np
import polars as pl
from numpy.typing import NDArray

from trading_assets.errors import DataError
from trading_assets.features.adjustment import list_actions
from trading_assets.features.inputs import prepare_symbols
from trading_assets.simulation.market import panels_of
from trading_assets.simulation.terms import Floats

PRICES = ("open", "high", "low", "close")


@dataclass(frozen=True, slots=True)
class AdjustedBars:
    """Bars of T sessions and N symbols, those of a test window last.

    Attributes
    ----------
    sessions : datetime64[D] (T,)
        Sessions, ascending.
    symbols : tuple of str
        Symbols in column order, sorted.
    first_row : int
        Row of the test window's first session, above 0; rows before it are never changed.
    open, high, low, close : float64 (T, N)
        Total-return prices, USD a share of the last close before the window; nan without a bar.
    volume : float64 (T, N)
        Such shares traded in the bar; volume times close is the dollar volume as it was traded.
    """

    sessions: NDArray[np.datetime64]
    symbols: tuple[str, ...]
    first_row: int
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats

    @property
    def window_bars(self) -> int:
        """Sessions of the test window, R."""
        return len(self.sessions) - self.first_row

    @property
    def window_sessions(self) -> list[date]:
        """Sessions of the test window."""
        return self.sessions[self.first_row :].tolist()


def adjust_bars(
    bars: pl.DataFrame, actions: pl.DataFrame, test_start: date, test_end: date
) -> AdjustedBars:
    """Work splits and dividends into bars.

    Parameters
    ----------
    bars, actions : DataFrame
        Tables `validated_bars` and `corporate_actions`, by company; later bars are left out.
    test_start, test_end : date
        First and last day of the test window.

    Raises
    ------
    DataError
        If there is no session in the window, or none before it.
    """
    rows = bars.filter(pl.col("session") <= test_end)
    days = rows["session"].unique().sort().to_numpy().astype("datetime64[D]")
    first_row = int(np.searchsorted(days, np.datetime64(test_start, "D")))
    if not 0 < first_row < len(days):
        msg = (
            f"{first_row} sessions before {test_start} and {len(days) - first_row} up to {test_end}"
            " have bars; expected at least one of each: read the bars of both windows"
        )
        raise DataError(msg)
    symbols = tuple(sorted(set(rows["symbol"].to_list())))
    panels = panels_of(rows, symbols, days, ("close", "volume"))
    dollars = panels["close"] * panels["volume"]
    shape = (len(days), len(symbols))
    prices = {name: np.full(shape, np.nan) for name in PRICES}
    for own in prepare_symbols(rows, list_actions(actions)):
        column, at = symbols.index(own.symbol), np.searchsorted(days, own.bars.sessions)
        scale = _scale(panels["close"][at, column], own.bars.close, at, first_row)
        for name in PRICES:
            prices[name][at, column] = getattr(own.bars, name) * scale
    return AdjustedBars(days, symbols, first_row, **prices, volume=dollars / prices["close"])


def bars_table(adjusted: AdjustedBars, bars: pl.DataFrame) -> pl.DataFrame:
    """Return adjusted bars as table `validated_bars`.

    Parameters
    ----------
    adjusted : AdjustedBars
        Prices and volumes; a bar that they lack is left out.
    bars : DataFrame
        The table that was adjusted: whatever else is known of each bar.
    """
    places = {symbol: column for column, symbol in enumerate(adjusted.symbols)}
    known = bars.filter(pl.col("session") <= adjusted.sessions[-1].astype(date))
    row = np.searchsorted(adjusted.sessions, known["session"].to_numpy())
    column = known["symbol"].replace_strict(places, return_dtype=pl.Int64).to_numpy()
    values = {name: getattr(adjusted, name)[row, column] for name in (*PRICES, "volume")}
    placed = known.with_columns(**{name: pl.Series(found) for name, found in values.items()})
    return placed.filter(pl.col("close").is_finite())


def without_effect(actions: pl.DataFrame) -> pl.DataFrame:
    """Return table `corporate_actions` with the same days and renames, and nothing paid or split.

    What is put beside adjusted bars: how long ago an action was is still known.
    """
    return actions.with_columns(split_ratio=pl.lit(1.0), cash_usd=pl.lit(0.0))


def with_prices(adjusted: AdjustedBars, window: dict[str, Floats]) -> AdjustedBars:
    """Return bars with another test window.

    Parameters
    ----------
    adjusted : AdjustedBars
        Whose rows before the window stay.
    window : dict of str to float64 (R, N)
        Prices and volumes of the window by name.
    """
    first = adjusted.first_row
    return replace(
        adjusted,
        **{
            name: np.concatenate([getattr(adjusted, name)[:first], rows])
            for name, rows in window.items()
        },
    )


def _scale(traded: Floats, adjusted: Floats, rows: NDArray[np.intp], first_row: int) -> float:
    """Return what makes the last adjusted close before the window the one that was traded."""
    before = np.flatnonzero(rows < first_row)
    anchor = before[-1] if len(before) else 0
    return float(traded[anchor] / adjusted[anchor])
