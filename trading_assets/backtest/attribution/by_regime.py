"""Profit by regime: what was earned while the market was calm, usual or wild."""

from collections.abc import Mapping, Sequence
from datetime import date

import polars as pl

from trading_assets.backtest.attribution.profit_parts import ProfitParts, as_parts, sum_by
from trading_assets.backtest.attribution.traded_book import TradedBook, total_net

UNKNOWN = "unknown"


def profit_by_regime(
    books: Sequence[TradedBook], regimes: Mapping[date, str]
) -> tuple[ProfitParts, dict[str, int]]:
    """Return the parts of a net profit by regime, and the sessions of each.

    Parameters
    ----------
    books : sequence of TradedBook
        One or more.
    regimes : mapping of date to str
        Regime of each session, told before it began; others are `unknown`.
    """
    nets = pl.concat([book.session_nets for book in books])
    days: list[date] = nets["session"].to_list()
    told = nets.with_columns(
        regime=pl.Series([regimes.get(day, UNKNOWN) for day in days], dtype=pl.String)
    )
    counts = told.group_by("regime").len().sort("regime")
    parts = as_parts(
        sum_by(told, "regime", "gain_usd"), sum_by(told, "regime", "cost_usd"), total_net(books)
    )
    return parts, {str(regime): int(count) for regime, count in counts.iter_rows()}
