"""Profit by symbol: gains of its shares less what trading them cost."""

from collections.abc import Sequence

import polars as pl

from trading_assets.backtest.attribution.profit_parts import ProfitParts, as_parts, sum_by
from trading_assets.backtest.attribution.traded_book import FINANCING, TradedBook, total_net


def profit_by_symbol(books: Sequence[TradedBook]) -> ProfitParts:
    """Return the parts of a net profit by symbol; financing is the whole account's.

    Parameters
    ----------
    books : sequence of TradedBook
        One or more.
    """
    held = pl.concat([book.holdings for book in books])
    traded = pl.concat([book.trades for book in books])
    financing = sum(float(book.equity["financing_usd"].sum()) for book in books)
    costs = {**sum_by(traded, "symbol", "cost_usd"), FINANCING: financing}
    return as_parts(sum_by(held, "symbol", "gain_usd"), costs, total_net(books))
