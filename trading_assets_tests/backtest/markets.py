"""Small markets and strategies for the tests of this folder."""

from dataclasses import replace
from datetime import date, timedelta

import numpy as np

from trading_assets.backtest.folds import Fold
from trading_assets.simulation.market import Market
from trading_assets.strategy import Strategy

FOLD = Fold(
    key="2020-01-01",
    train_start=date(2017, 1, 1),
    train_end=date(2019, 12, 31),
    validation_start=date(2019, 7, 1),
    test_start=date(2020, 1, 1),
    test_end=date(2020, 12, 31),
)


def market_of(
    close, *, opens=None, ratio=None, cash=None, payout=None, first_day=date(2019, 12, 31)
) -> Market:
    """A market on consecutive days whose first row is the last session before the test window."""
    close = np.asarray(close, dtype=np.float64)
    opens = close.copy() if opens is None else np.asarray(opens, dtype=np.float64)
    days = [first_day + timedelta(days=i) for i in range(len(close))]
    return Market(
        sessions=np.array(days, dtype="datetime64[D]"),
        symbols=tuple("ABCDEFGH"[: close.shape[1]]),
        open=opens,
        close=close,
        volume=np.full(close.shape, 1e6),
        tradable=np.isfinite(close),
        split_ratio=np.ones(close.shape) if ratio is None else np.asarray(ratio, dtype=np.float64),
        cash_per_share=np.zeros(close.shape) if cash is None else np.asarray(cash, np.float64),
        volatility=np.full(close.shape, 0.02),
        adv_usd=np.full(close.shape, 5e7),
        payout_per_share=payout,
    )


def random_market(seed: int, bars: int = 120, symbols: int = 4) -> Market:
    """Random walks with gaps, splits both ways, dividends, missing bars and a delisting."""
    rng = np.random.default_rng(seed)
    returns = rng.normal(0.0003, 0.02, (bars, symbols))
    ratio, cash = np.ones((bars, symbols)), np.zeros((bars, symbols))
    ratio[bars // 3, 0], ratio[bars // 2, 1] = 2.0, 0.1
    cash[bars // 4, 2], cash[bars // 2, 2], cash[bars // 2, 1] = 0.8, 1.1, 0.3
    close = 50.0 * np.exp(np.cumsum(returns, axis=0)) / np.cumprod(ratio, axis=0)
    opens = close * np.exp(rng.normal(0, 0.01, close.shape))
    missing = rng.random(close.shape) < 0.03
    missing[:5] = False
    missing[ratio != 1.0] = False
    missing[cash != 0.0] = False
    close[missing], opens[missing] = np.nan, np.nan
    payout, delisted = np.full(close.shape, np.nan), 3 * bars // 4
    payout[delisted, -1] = 0.7 * close[delisted - 1, -1]
    close[delisted:, -1], opens[delisted:, -1] = np.nan, np.nan
    return market_of(close, opens=opens, ratio=ratio, cash=cash, payout=payout)


def strategy_of(**parts) -> Strategy:
    """A strategy without costs or binding limits, but for the given parts."""
    policy = {"agents": {"ppo": {}}, **parts.pop("policy", {})}
    return Strategy.model_validate(
        {
            "market_data": "any",
            "folds": {"period": "year", "first": "2020-01-01"},
            "costs": {"fee_bps": 0, "half_spread_bps": 0},
            "risk": {"max_weight": 1, "max_gross": 1},
            "policy": policy,
            **parts,
        }
    )


def market_with_past(seed: int, past: int = 260, bars: int = 120, symbols: int = 4) -> Market:
    """A random market with `past` sessions before the test window, the last of them decided at."""
    market = random_market(seed, past + bars, symbols)
    return replace(market, sessions=market.sessions - np.timedelta64(past - 1, "D"))
