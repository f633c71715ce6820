"""The same weights on the same bars, traded four ways: what must agree to the cent."""

from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np

from trading_assets.backtest.engine import fixed_targets, run_backtest
from trading_assets.backtest.folds import Fold
from trading_assets.backtest.vectorised import trade_weights
from trading_assets.paper.record import SessionRecord
from trading_assets.paper.session import run_session
from trading_assets.simulation.compiled.layout import EQUITY
from trading_assets.simulation.episodes import Episodes
from trading_assets.simulation.market import Market
from trading_assets.simulation.rewards.mean_variance import MeanVariance
from trading_assets.simulation.task import DecisionView, TradingTask
from trading_assets.simulation.vector_env import MarketVecEnv
from trading_assets.strategy import Strategy
from trading_assets_tests.paper.fixtures import decide_with, make_inputs, session_at

WAYS = ("training environment", "vectorised backtest", "event-driven backtest", "paper sessions")


def random_weights(strategy: Strategy, market: Market, seed: int = 3) -> dict[date, np.ndarray]:
    """Weights within the limits for each session, 0 where nothing may be traded."""
    rng = np.random.default_rng(seed)
    weights: dict[date, np.ndarray] = {}
    for row in range(len(market.sessions)):
        drawn = rng.uniform(0, 0.32, 3)
        if strategy.policy.position == "long_short":
            drawn = rng.uniform(-0.9, 0.9, 3)
        weights[session_at(market, row)] = np.where(market.tradable[row], drawn, 0.0)
    return weights


def run_sessions(
    folder: Path, market: Market, strategy: Strategy, weights: dict[date, np.ndarray]
) -> list[SessionRecord]:
    """Run every session in its own 'process': state travels through stored files only."""
    records: list[SessionRecord] = []
    for row in range(2, len(market.sessions)):
        previous = None
        if records:
            previous = SessionRecord.from_files(records[-1].tables, records[-1].to_files())
        inputs = make_inputs(
            folder,
            market,
            session_at(market, row),
            previous,
            strategy=strategy,
            decide=decide_with(lambda day: weights[day]),
        )
        records.append(run_session(inputs))
    return records


def equities(
    folder: Path, market: Market, strategy: Strategy, weights: dict[date, np.ndarray]
) -> dict[str, np.ndarray]:
    """Return the equity at each close from the third on, USD, by way of trading."""
    strategy = strategy.model_copy(
        update={
            "backtest": strategy.backtest.model_copy(
                update={"initial_equity_usd": strategy.paper.initial_cash_usd}
            )
        }
    )
    rows = range(1, len(market.sessions) - 1)
    targets = np.array([weights[session_at(market, row)] for row in rows])
    fold = whole_fold(market)
    decided = {"a": fixed_targets(market, fold, targets)}
    by_events = run_backtest(market, decided, strategy, fold).equity["equity_usd"].to_numpy()
    at_once = trade_weights(market, ["a"], targets[:, None], rows, strategy)
    records = run_sessions(folder, market, strategy, weights)
    by_sessions = [float(record.tables["account"]["equity_usd"][0]) for record in records]
    found = (
        environment_equity(market, strategy, targets),
        at_once.outcomes[:, 0, EQUITY],
        by_events,
        np.array(by_sessions),
    )
    return dict(zip(WAYS, found, strict=True))


def whole_fold(market: Market) -> Fold:
    """The fold whose test window begins with the market's third session."""
    days = [session_at(market, row) for row in range(len(market.sessions))]
    return Fold("", days[0], days[1], days[0], days[2], days[-1])


class _Recorded:
    """Trades recorded weights, whatever the action."""

    window_bars = 1
    held_scale = 1.0
    shows_cash = False

    def __init__(self, targets: np.ndarray, first: int) -> None:
        self.targets, self.first = targets, first
        self.context = np.zeros((len(targets) + first + 2, 1), dtype=np.float32)

    def target_weights(self, actions, rows, held):
        return self.targets[rows - self.first]


def environment_equity(market: Market, strategy: Strategy, targets: np.ndarray) -> np.ndarray:
    """Return the equity that each step of a training environment ends with."""
    view = _Recorded(np.vstack([targets, targets[-1:], targets[-1:]]), 1)
    return stepped_equity(market, strategy, view, np.zeros_like(targets))


def stepped_equity(
    market: Market, strategy: Strategy, view: DecisionView, actions: np.ndarray
) -> np.ndarray:
    """Return the equity that each step of an environment with a view ends with."""
    longer = lengthened(market)
    n_steps = len(actions)
    task = TradingTask(
        market=longer,
        view=view,
        covariance=np.zeros((len(longer.sessions), 3, 3)),
        costs=strategy.costs,
        sizing=strategy.policy.sizing,
        is_long_only=strategy.policy.position == "long_only",
        initial_usd=strategy.backtest.initial_equity_usd,
        reward=MeanVariance(0.0),
    )
    # One step more than is looked at: the last one starts a new episode.
    env = MarketVecEnv(task, Episodes(1, n_steps + 2, n_steps + 1, 1.0), n_envs=2)
    env.reset()
    equity = np.empty(n_steps)
    for place in range(n_steps):
        env.step(np.repeat(actions[place : place + 1], 2, axis=0).astype(np.float32))
        books = env.traded.books()
        reached = books.cash + (books.quantity * books.price).sum(axis=1)
        assert reached[0] == reached[1]
        equity[place] = reached[0]
    return equity


def lengthened(market: Market) -> Market:
    """The market with its last row again, twice, so that no episode ends within it."""
    days = market.sessions[-1] + np.arange(1, 3)
    names = ("open", "close", "volume", "tradable", "volatility", "adv_usd")
    rows = {name: getattr(market, name) for name in names}
    return replace(
        market,
        sessions=np.concatenate([market.sessions, days]),
        split_ratio=np.vstack([market.split_ratio, np.ones((2, 3))]),
        cash_per_share=np.vstack([market.cash_per_share, np.zeros((2, 3))]),
        **{name: np.vstack([values, values[-1:], values[-1:]]) for name, values in rows.items()},
    )
