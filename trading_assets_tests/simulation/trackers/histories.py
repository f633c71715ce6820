"""Trackers and histories of accounts for tests."""

import numpy as np

from trading_assets.simulation.trackers.bars_since_trade import BarsSinceTrade
from trading_assets.simulation.trackers.differential_sharpe import SharpeMoments
from trading_assets.simulation.trackers.drawdown import Drawdown
from trading_assets.simulation.trackers.objective_means import ObjectiveMeans
from trading_assets.simulation.trackers.preference import Preference
from trading_assets.simulation.trackers.recent_turnover import RecentTurnover
from trading_assets.simulation.trackers.tail_threshold import TailThreshold
from trading_assets.simulation.trackers.trailing_return import TrailingReturn
from trading_assets.simulation.trackers.trailing_variance import TrailingVariance

OBJECTIVES = ("return", "variance", "drawdown", "turnover")
TRACKERS = (
    BarsSinceTrade(),
    SharpeMoments(eta=0.05, warm_up_bars=10),
    Drawdown(),
    ObjectiveMeans(OBJECTIVES, (1.0, 2.5, 0.1, 0.001), half_life_bars=15.0),
    Preference(OBJECTIVES, (0.4, 0.3, 0.2, 0.1)),
    RecentTurnover(half_life_bars=5.0),
    TailThreshold(confidence=0.9, memory_bars=50.0),
    TrailingReturn(half_life_bars=7.0),
    TrailingVariance(half_life_bars=7.0),
)


def random_history(n_bars, n_accounts, seed=0, deviation=0.01):
    """Return net returns and traded fractions (n_bars, n_accounts), some bars without a trade."""
    rng = np.random.default_rng(seed)
    returns = rng.normal(0.03 * deviation, deviation, (n_bars, n_accounts))
    traded = rng.exponential(0.05, returns.shape) * (rng.random(returns.shape) < 0.6)
    return returns, traded


def follow(tracker, returns, traded):
    """Return the states (n_bars + 1, n_accounts, n_state), the first of new accounts."""
    states = [np.tile(tracker.start(None), (returns.shape[1], 1))]
    for net_return, share in zip(returns, traded, strict=True):
        states.append(tracker.advance(states[-1], net_return, share))
    return np.stack(states)
