"""One portfolio's tables of the folds that hold them whole, as attributions read them."""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from trading_assets.backtest.track_record import FoldRecord

FINANCING = "interest and borrow fees"


@dataclass(frozen=True, slots=True)
class TradedBook:
    """What one portfolio did in one fold, each table by session and symbol.

    Attributes
    ----------
    fold : str
        Key of the fold.
    holdings, trades, equity : DataFrame
        Rows of these tables of the portfolio; the last with `before_usd`, the equity at the close
        before.
    """

    fold: str
    holdings: pl.DataFrame
    trades: pl.DataFrame
    equity: pl.DataFrame

    @property
    def net_usd(self) -> float:
        """Change of equity over the fold."""
        before, after = self.equity["before_usd"], self.equity["equity_usd"]
        return float(after[-1]) - float(before[0])

    @property
    def session_nets(self) -> pl.DataFrame:
        """Change of equity (`net_usd`), and its parts `gain_usd` and `cost_usd`, by session."""
        return self.equity.select(
            "session",
            (pl.col("equity_usd") - pl.col("before_usd")).alias("net_usd"),
            (pl.col("pnl_usd") + pl.col("dividends_usd")).alias("gain_usd"),
            (pl.col("costs_usd") + pl.col("financing_usd")).alias("cost_usd"),
            (pl.col("equity_usd") / pl.col("before_usd") - 1.0).alias("return"),
            "before_usd",
        )


def read_books(
    folds: Sequence[FoldRecord], portfolio: str, initial_usd: float
) -> tuple[list[TradedBook], list[str]]:
    """Return a portfolio's books, oldest fold first, and the folds that lack one.

    A fold without the portfolio, or with a session that holdings and equity do not share, is
    lacking; nothing is filled in.

    Parameters
    ----------
    folds : sequence of FoldRecord
        In any order.
    portfolio : str
        Its name.
    initial_usd : float
        Equity before a fold's first session.
    """
    books: list[TradedBook] = []
    lacking: list[str] = []
    for record in sorted(folds, key=lambda each: each.fold.key):
        tables = record.tables
        holdings, trades, equity = (
            frame.filter(pl.col("portfolio") == portfolio).sort("session")
            for frame in (tables.holdings, tables.trades, tables.equity)
        )
        days = equity["session"].unique().sort().to_list()
        if not days or holdings["session"].unique().sort().to_list() != days:
            lacking.append(record.fold.key)
            continue
        before = pl.col("equity_usd").shift(1).fill_null(initial_usd)
        books.append(
            TradedBook(
                record.fold.key,
                holdings.sort("session", "symbol"),
                trades.sort("session", "symbol"),
                equity.with_columns(before_usd=before),
            )
        )
    return books, lacking


def total_net(books: Sequence[TradedBook]) -> float:
    """Return the sum of the net profits of folds, USD."""
    return float(sum(book.net_usd for book in books))
