"""What portfolios earned in a scenario, as sums that several folds can be added up by."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from trading_assets.backtest.metrics import Series, max_drawdown
from trading_assets.backtest.window import TradedWindow
from trading_assets.schema import TABLES, conform
from trading_assets.simulation.compiled.layout import (
    COSTS,
    DIVIDENDS,
    EQUITY,
    FINANCING,
    PNL,
    TRADED,
)
from trading_assets.simulation.terms import Floats


@dataclass(frozen=True, slots=True)
class Earned:
    """What one portfolio earned bar by bar, float64 (R,) each.

    Attributes
    ----------
    returns : float64 (R,)
        Net simple returns of equity.
    gains_usd, costs_usd, traded_usd : float64 (R,)
        Price gains and corporate cash, costs and financing, and notional bought and sold, USD.
    """

    returns: Series
    gains_usd: Series
    costs_usd: Series
    traded_usd: Series


def earned_by(traded: TradedWindow, initial_usd: float) -> dict[str, Earned]:
    """Return what each portfolio of a traded window earned.

    An account whose equity falls to 0 is closed: it loses all of it at that bar and nothing happens
    to it later.

    Parameters
    ----------
    traded : TradedWindow
        Of either engine.
    initial_usd : float
        Equity before the first bar.
    """
    found: dict[str, Earned] = {}
    for account, portfolio in enumerate(traded.portfolios):
        outcome = traded.outcomes[:, account]
        counts = is_open(outcome[:, EQUITY])
        found[portfolio] = Earned(
            account_returns(outcome[:, EQUITY], initial_usd),
            np.where(counts, outcome[:, PNL] + outcome[:, DIVIDENDS], 0.0),
            np.where(counts, outcome[:, COSTS] + outcome[:, FINANCING], 0.0),
            np.where(counts, outcome[:, TRADED], 0.0),
        )
    return found


def recorded_by(equity: pl.DataFrame, initial_usd: float) -> dict[str, Earned]:
    """Return what each portfolio of table `equity` earned, in order of sessions."""
    found: dict[str, Earned] = {}
    for (portfolio,), own in equity.sort("session").partition_by("portfolio", as_dict=True).items():
        values = own["equity_usd"].to_numpy()
        before = np.concatenate([[initial_usd], values[:-1]])
        found[str(portfolio)] = Earned(
            account_returns(values, initial_usd),
            (own["pnl_usd"] + own["dividends_usd"]).to_numpy(),
            (own["costs_usd"] + own["financing_usd"]).to_numpy(),
            own["turnover"].to_numpy() * before,
        )
    return found


def is_open(equity: Floats) -> NDArray[np.bool_]:
    """Return at which bars an account is open, bool (R,), the one included that closes it."""
    survives = np.logical_and.accumulate(equity > 0.0)
    return np.concatenate([[True], survives[:-1]])


def account_returns(equity: Floats, initial_usd: float) -> Series:
    """Return the net returns of an account, float64 (R,): -1 where it is lost, and 0 later."""
    before = np.concatenate([[initial_usd], equity[:-1]])
    # A lost account's own numbers mean nothing any more.
    base = np.where(before > 0.0, before, 1.0)
    returns = np.maximum(equity / base - 1.0, -1.0)
    return np.where(is_open(equity), returns, 0.0)


def row_of(
    scenario: str,
    level: float,
    portfolio: str,
    earned: Earned,
    where: NDArray[np.bool_] | None = None,
    *,
    is_run: bool = True,
) -> dict[str, object]:
    """Return one row of table `stress`.

    Parameters
    ----------
    scenario, level, portfolio
        Its key.
    earned : Earned
        What the portfolio earned.
    where : bool (R,), optional
        Bars that count, one or more; by default all.
    is_run : bool
        Whether they follow one another; others have no drawdown.
    """
    counts = np.ones(len(earned.returns), dtype=np.bool_) if where is None else where
    returns = earned.returns[counts]
    return {
        "scenario": scenario,
        "level": float(level),
        "portfolio": portfolio,
        "bars": len(returns),
        "sum_return": float(returns.sum()),
        "sum_squared_return": float((returns * returns).sum()),
        "worst_drawdown": max_drawdown(returns) if is_run else None,
        "gains_usd": float(earned.gains_usd[counts].sum()),
        "costs_usd": float(earned.costs_usd[counts].sum()),
        "traded_usd": float(earned.traded_usd[counts].sum()),
    }


def stress_table(rows: Iterable[dict[str, object]]) -> pl.DataFrame:
    """Return rows as table `stress`, sorted by its key."""
    types = TABLES["stress"].empty().schema
    return conform("stress", pl.DataFrame(list(rows), schema=types)).sort(TABLES["stress"].key)
