"""Profit by side: long and short, by the sign of the shares that gained.

A session's gain is that of the shares held over the night, up to the fill, and of those held
after it. Where a trade crosses 0, each side pays for its part of the trade.
"""

from collections.abc import Sequence

import polars as pl

from trading_assets.backtest.attribution.profit_parts import ProfitParts, as_parts, sum_by
from trading_assets.backtest.attribution.traded_book import TradedBook, total_net

LONG, SHORT, INTEREST = "long", "short", "interest"
_CELL = ["session", "symbol"]


def profit_by_side(books: Sequence[TradedBook]) -> ProfitParts:
    """Return the parts of a net profit by side; borrow fees are of the short one.

    Parameters
    ----------
    books : sequence of TradedBook
        One or more.
    """
    cells = pl.concat([_cells(book) for book in books])
    gains = {LONG: 0.0, SHORT: 0.0}
    costs = {LONG: 0.0, SHORT: 0.0}
    for part in ("night", "day"):
        for side, usd in sum_by(cells, f"{part}_side", f"{part}_usd").items():
            gains[side] += usd
        for side, usd in sum_by(cells, f"{part}_side", f"{part}_cost_usd").items():
            costs[side] += usd
    equity = pl.concat([book.equity for book in books])
    costs[SHORT] += float(equity["borrow_usd"].sum())
    costs[INTEREST] = float(equity["interest_usd"].sum())
    return as_parts(gains, costs, total_net(books))


def _cells(book: TradedBook) -> pl.DataFrame:
    """Return gain and cost of each session and symbol, before and after the fill, with sides."""
    held = book.holdings.with_columns(
        before=pl.col("quantity").shift(1, fill_value=0.0).over("symbol", order_by="session")
    )
    trades = book.trades.select(*_CELL, pl.col("quantity").alias("trade"), "price_usd", "cost_usd")
    cells = held.join(trades, on=_CELL, how="left")
    is_traded = pl.col("trade").fill_null(0.0) != 0.0
    after = pl.col("quantity")
    since_fill = after * (pl.col("close_usd") - pl.col("price_usd"))
    # Without a trade the session is one stretch, on the side of the shares held through it.
    cells = cells.with_columns(
        day_usd=pl.when(is_traded).then(since_fill).otherwise(0.0),
        cost=pl.col("cost_usd").fill_null(0.0),
        # Shares of today: a split moves no side.
        started=pl.when(is_traded).then(after - pl.col("trade")).otherwise(pl.col("before")),
    ).with_columns(night_usd=pl.col("gain_usd") - pl.col("day_usd"))
    started = pl.col("started")
    is_crossing = is_traded & (started * after < 0.0)
    closing = pl.when(is_crossing).then(started.abs() / pl.col("trade").abs())
    # A trade that only opens is of the side it opens, any other of the side it leaves.
    share = closing.otherwise(pl.when(started == 0.0).then(0.0).otherwise(1.0))
    return cells.with_columns(
        night_cost_usd=pl.col("cost") * share,
        day_cost_usd=pl.col("cost") * (1.0 - share),
        night_side=_side(started, after),
        day_side=_side(after, started),
    ).select("night_usd", "day_usd", "night_cost_usd", "day_cost_usd", "night_side", "day_side")


def _side(shares: pl.Expr, otherwise: pl.Expr) -> pl.Expr:
    # What is left of rounding where nothing is held goes with the shares beside it.
    sign = pl.when(shares != 0.0).then(shares.sign()).otherwise(otherwise.sign())
    return pl.when(sign < 0.0).then(pl.lit(SHORT)).otherwise(pl.lit(LONG))
