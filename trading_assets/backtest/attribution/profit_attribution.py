"""Where a portfolio's profit came from, over all folds that hold what it takes to say so."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl

from trading_assets.backtest.attribution.by_cost import profit_by_cost
from trading_assets.backtest.attribution.by_regime import profit_by_regime
from trading_assets.backtest.attribution.by_sector import ActiveReturn, active_return
from trading_assets.backtest.attribution.by_side import profit_by_side
from trading_assets.backtest.attribution.by_symbol import profit_by_symbol
from trading_assets.backtest.attribution.factor_regression import FactorFit, regress_on_factors
from trading_assets.backtest.attribution.factor_returns import FACTORS
from trading_assets.backtest.attribution.profit_parts import ProfitParts
from trading_assets.backtest.attribution.traded_book import TradedBook, read_books
from trading_assets.backtest.explanation.fold_explanation import deployed_portfolio
from trading_assets.backtest.steady_groups import sum_groups
from trading_assets.backtest.track_record import FoldRecord
from trading_assets.strategy import Strategy


@dataclass(frozen=True)
class ProfitAttribution:
    """A portfolio's profit over all folds that hold it, by what it came from.

    Attributes
    ----------
    portfolio : str
        Its name.
    folds, explained_folds : tuple of str
        Folds of which symbols, sides and costs are told, and those of which the rest is.
    symbols, sides, costs : ProfitParts
        By symbol, long and short, kind of cost; of `folds`.
    regimes : mapping of str to (ProfitParts, sessions by regime)
        By volatility and, where it is computed, hidden regime; of `explained_folds`.
    members : mapping of str to float
        Gain before costs by member, USD; of `explained_folds`.
    factors : FactorFit, optional
        Net returns on factors; of `explained_folds`.
    active : ActiveReturn, optional
        Against equal weights by sector, where sectors are declared; of `explained_folds`.
    """

    portfolio: str
    folds: tuple[str, ...]
    explained_folds: tuple[str, ...]
    symbols: ProfitParts
    sides: ProfitParts
    costs: ProfitParts
    regimes: Mapping[str, tuple[ProfitParts, Mapping[str, int]]]
    members: Mapping[str, float]
    factors: FactorFit | None
    active: ActiveReturn | None


def attribute_profit(folds: Sequence[FoldRecord], strategy: Strategy) -> ProfitAttribution | None:
    """Return where the deployed portfolio's profit came from; None where no fold holds it.

    Parameters
    ----------
    folds : sequence of FoldRecord
        In any order.
    strategy : Strategy
        Its agents say which portfolio is deployed, its limits what sectors there are.
    """
    portfolio = deployed_portfolio(strategy)
    books, _ = read_books(folds, portfolio, strategy.backtest.initial_equity_usd)
    if not books:
        return None
    tables = {f.fold.key: f.explanation.tables for f in folds if f.explanation is not None}
    explained = [book for book in books if book.fold in tables]
    states = [tables[book.fold]["market_states"] for book in explained]
    sectors = strategy.risk.sectors
    returns = {book.fold: tables[book.fold]["symbol_returns"] for book in explained}
    return ProfitAttribution(
        portfolio=portfolio,
        folds=tuple(book.fold for book in books),
        explained_folds=tuple(book.fold for book in explained),
        symbols=profit_by_symbol(books),
        sides=profit_by_side(books),
        costs=profit_by_cost(books),
        regimes=_regimes(explained, states),
        members=_members([tables[book.fold]["member_gains"] for book in explained], portfolio),
        factors=_factors(explained, states),
        active=active_return(explained, returns, sectors) if sectors and explained else None,
    )


def _regimes(
    books: Sequence[TradedBook], states: Sequence[pl.DataFrame]
) -> dict[str, tuple[ProfitParts, Mapping[str, int]]]:
    found: dict[str, tuple[ProfitParts, Mapping[str, int]]] = {}
    for column, title in (
        ("volatility_regime", "volatility"),
        ("hidden_regime", "hidden state"),
    ):
        told: dict[date, str] = {
            session: regime
            for table in states
            for session, regime in table.select("session", column).drop_nulls().iter_rows()
        }
        if told:
            found[title] = profit_by_regime(books, told)
    return found


def _members(tables: Sequence[pl.DataFrame], portfolio: str) -> dict[str, float]:
    own = [table.filter(pl.col("portfolio") == portfolio) for table in tables]
    if not own:
        return {}
    gains = {"gain_usd": pl.col("gain_usd")}
    summed = sum_groups(pl.concat(own), ["member"], gains).sort("member")
    return {str(name): float(usd) for name, usd in summed.iter_rows()}


def _factors(books: Sequence[TradedBook], states: Sequence[pl.DataFrame]) -> FactorFit | None:
    if not books:
        return None
    nets = pl.concat([book.session_nets for book in books])
    told = nets.join(pl.concat(states), on="session", how="left", maintain_order="left")
    factors = told.select(pl.col(FACTORS).cast(pl.Float64).fill_null(np.nan)).to_numpy()
    return regress_on_factors(told["return"].to_numpy(), factors, FACTORS)
