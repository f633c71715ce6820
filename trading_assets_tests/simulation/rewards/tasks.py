"""Tasks over a market with splits, dividends, gaps and a delisting."""

import numpy as np

from trading_assets.policy.rollout import build_task
from trading_assets_tests.backtest.markets import random_market
from trading_assets_tests.policy.tasks import make_strategy, make_tables

MARKET = random_market(3)
TABLES = make_tables(MARKET)
COSTS = {
    "fee_bps": 3.0,
    "impact_coefficient": 0.5,
    "financing_bps_per_year": 400.0,
    "borrow_bps_per_year": 200.0,
}
PENALTIES = [
    {"kind": "drawdown"},
    {"kind": "turnover"},
    {"kind": "value_at_risk", "limit": 0.005},
    {"kind": "expected_shortfall"},
]
OBSERVED = ["bars_since_trade", "recent_turnover", "trailing_return", "differential_sharpe"]
REWARDS = {
    "mean_variance": "mean_variance",
    "log_wealth": {"kind": "log_wealth", "penalties": PENALTIES},
    "differential_sharpe": {"kind": "differential_sharpe", "warm_up_bars": 5, "eta": 0.05},
    "composite": {"kind": "composite", "penalties": PENALTIES},
    "linear": {
        "kind": "multi_objective",
        "preference": {"return": 2.0, "variance": 1.0, "drawdown": 1.0},
        "penalties": [{"kind": "turnover"}],
    },
    "chebyshev": {
        "kind": "multi_objective",
        "preference": {"return": 0.5, "turnover": 0.5},
        "scalarisation": "chebyshev",
    },
}


def strategy_paid(reward, **policy):
    return make_strategy(
        costs=COSTS,
        risk={"max_weight": 0.6, "max_gross": 1.5},
        policy={
            "position": "long_short",
            "reward": reward,
            "observed_account": OBSERVED,
            **policy,
        },
    )


def task_paid(reward, **policy):
    return build_task(MARKET, *TABLES, strategy_paid(reward, **policy))


def random_actions(n_bars, n_books, seed=0):
    """Return actions that follow each other closely, some of them without a trade."""
    rng = np.random.default_rng(seed)
    steps = rng.normal(0.0, 0.3, (n_bars, n_books, len(MARKET.symbols)))
    return np.clip(np.cumsum(steps, axis=0) * 0.5, -1.0, 1.0).astype(np.float32)
