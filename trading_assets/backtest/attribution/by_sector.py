"""A portfolio's active return by sector, linked over sessions and folds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from trading_assets.backtest.attribution.brinson_fachler import sector_effects
from trading_assets.backtest.attribution.carino import compound, link_effects
from trading_assets.backtest.attribution.profit_parts import relative_gap
from trading_assets.backtest.attribution.traded_book import TradedBook

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ActiveReturn:
    """Compounded net return less that of equal weights, by sector.

    Attributes
    ----------
    sectors : tuple of str
        Sectors, `cash` last.
    allocation, selection : tuple of float
        Linked effects of each, fractions.
    costs : float
        Linked effect of costs and financing, negative where they took something.
    portfolio, benchmark : float
        Compounded returns.
    """

    sectors: tuple[str, ...]
    allocation: tuple[float, ...]
    selection: tuple[float, ...]
    costs: float
    portfolio: float
    benchmark: float

    @property
    def active(self) -> float:
        """What the effects add up to."""
        return self.portfolio - self.benchmark

    @property
    def gap(self) -> float:
        """How far the effects are from the active return, relative to what is summed."""
        return relative_gap((*self.allocation, *self.selection, self.costs), self.active)


def active_return(
    books: Sequence[TradedBook],
    returns: Mapping[str, pl.DataFrame],
    sectors: Mapping[str, str],
) -> ActiveReturn:
    """Return a portfolio's active return against equal weights of the universe, by sector.

    Parameters
    ----------
    books : sequence of TradedBook
        One or more, oldest first.
    returns : mapping of str to DataFrame
        Table `symbol_returns` of each book's fold.
    sectors : mapping of str to str
        Sector of each symbol; one that is left out is a sector of its own.
    """
    symbols = sorted({symbol for book in books for symbol in book.holdings["symbol"].unique()})
    parts = [_panels(book, returns[book.fold], symbols) for book in books]
    gains, weights, earned = (np.vstack(panels) for panels in zip(*parts, strict=True))
    nets = pl.concat([book.session_nets for book in books])
    effects = sector_effects(
        gains, weights, earned, tuple(sectors.get(symbol, symbol) for symbol in symbols)
    )
    own = nets["return"].to_numpy()
    # What gains leave of the net return is costs and financing.
    costs = own - gains.sum(axis=1)
    table = np.hstack([effects.allocation, effects.selection, costs[:, None]])
    linked = link_effects(table, own, effects.benchmark).tolist()
    count = len(effects.sectors)
    return ActiveReturn(
        effects.sectors,
        tuple(linked[:count]),
        tuple(linked[count : 2 * count]),
        linked[-1],
        compound(own),
        compound(effects.benchmark),
    )


def _panels(
    book: TradedBook, returns: pl.DataFrame, symbols: Sequence[str]
) -> tuple[Array, Array, Array]:
    """Return gains over equity, weights at the close before, and returns of symbols, (T, N)."""
    before = book.equity["before_usd"].to_numpy()[:, None]
    days = pl.DataFrame({"session": book.equity["session"]})
    gain, value = (_lay(book.holdings, days, symbols, name) for name in ("gain_usd", "value_usd"))
    held = np.vstack([np.zeros((1, len(symbols))), np.nan_to_num(value[:-1])])
    return (
        np.nan_to_num(gain) / before,
        held / before,
        _lay(returns, days, symbols, "total_return"),
    )


def _lay(rows: pl.DataFrame, days: pl.DataFrame, symbols: Sequence[str], value: str) -> Array:
    grid = days.join(pl.DataFrame({"symbol": symbols}), how="cross")
    laid = grid.join(
        rows.select("session", "symbol", value),
        on=["session", "symbol"],
        how="left",
        maintain_order="left",
    )
    return laid[value].fill_null(np.nan).to_numpy().reshape(len(days), len(symbols))
