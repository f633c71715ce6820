"""Profit by kind of cost: what was gained, and what each kind took of it."""

from collections.abc import Sequence

import polars as pl

from trading_assets.backtest.attribution.profit_parts import ProfitParts, as_parts
from trading_assets.backtest.attribution.traded_book import TradedBook, total_net

GAINS = "gains before costs"
COST_KINDS = {
    "fee_usd": "commission",
    "spread_usd": "half spread",
    "impact_usd": "market impact",
    "quadratic_usd": "quadratic cost",
    "interest_usd": "interest",
    "borrow_usd": "borrow fees",
}


def profit_by_cost(books: Sequence[TradedBook]) -> ProfitParts:
    """Return the parts of a net profit: gains before costs, then each kind of cost.

    Parameters
    ----------
    books : sequence of TradedBook
        One or more.
    """
    traded = pl.concat([book.trades for book in books])
    equity = pl.concat([book.equity for book in books])
    costs = {
        title: float((traded if column in traded.columns else equity)[column].sum())
        for column, title in COST_KINDS.items()
    }
    gained = float(equity["pnl_usd"].sum()) + float(equity["dividends_usd"].sum())
    return as_parts({GAINS: gained}, costs, total_net(books))
