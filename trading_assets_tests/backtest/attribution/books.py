"""Portfolios traded over random markets, as attributions read them."""

from dataclasses import replace

import numpy as np

from trading_assets.backtest.attribution.traded_book import TradedBook, read_books
from trading_assets.backtest.engine import BacktestTables, fixed_targets, run_backtest
from trading_assets.backtest.track_record import FoldRecord
from trading_assets_tests.backtest.markets import FOLD, random_market, strategy_of

COSTS = {
    "fee_bps": 3,
    "half_spread_bps": 5,
    "impact_coefficient": 0.5,
    "financing_bps_per_year": 300,
    "borrow_bps_per_year": 200,
}


def trade(seed: int, *, is_long_only: bool = False, bars: int = 60, latency: int = 1):
    """Return market, strategy and tables of random targets with changing signs and no trades."""
    market = random_market(seed, bars)
    strategy = strategy_of(
        costs={**COSTS, "latency_bars": latency},
        policy={"position": "long_only" if is_long_only else "long_short"},
        risk={"max_weight": 0.6, "max_gross": 1.8 if not is_long_only else 1.0},
    )
    rng = np.random.default_rng(seed)
    targets = rng.normal(0.0, 0.4, (bars - 1, 4))
    targets[rng.random(targets.shape) < 0.2] = 0.0
    decisions = {"mine": fixed_targets(market, FOLD, targets)}
    return market, strategy, run_backtest(market, decisions, strategy, FOLD)


def books_of(tables: BacktestTables, strategy, portfolio: str = "mine") -> list[TradedBook]:
    initial = strategy.backtest.initial_equity_usd
    return read_books([FoldRecord(FOLD, tables)], portfolio, initial)[0]


def two_folds(seed: int, **changes):
    """Return the books of two folds of one portfolio."""
    strategy = trade(seed, **changes)[1]
    records = [
        FoldRecord(replace(FOLD, key=key), trade(seed + place, **changes)[2])
        for place, key in enumerate(("2020-01-01", "2021-01-01"))
    ]
    return read_books(records, "mine", strategy.backtest.initial_equity_usd)[0]
