"""Figures of the environments: steps a second with random actions, by form and size."""

import statistics
import time
from dataclasses import dataclass

import numpy as np

from trading_assets.policy.decision_rules import DecisionRules
from trading_assets.policy.observation import PolicyView
from trading_assets.risk.limits import WeightLimits
from trading_assets.simulation.episodes import Episodes
from trading_assets.simulation.market import Market
from trading_assets.simulation.rewards.mean_variance import MeanVariance
from trading_assets.simulation.task import TradingTask
from trading_assets.simulation.vector_env import MarketVecEnv
from trading_assets.strategy import CostsSpec
from trading_assets_tests.benchmarks.environment_peers import PEERS, measure_peers
from trading_assets_tests.benchmarks.figures import REPOSITORY, Figure, keep

ENVIRONMENT = REPOSITORY / ".bench" / "environments"
N_FEATURES, EPISODE_BARS, N_ACTIONS = 20, 128, 16
ROUNDS, SECONDS = 5, 1.0


@dataclass(frozen=True)
class Size:
    """What is stepped: N symbols, windows of so many bars, T rows of history, K books."""

    figure: str
    n_symbols: int
    window_bars: int
    n_bars: int
    n_books: int
    limit: float | None = None


SIZES = (
    Size("simulation.env1_steps_per_s", 1, 60, 100_000, 256, 1.5e6),
    Size("simulation.env1_row_steps_per_s", 1, 1, 100_000, 256, 8e6),
    Size("simulation.env1_row_steps_per_s_4096", 1, 1, 100_000, 4_096),
    Size("simulation.env1_row_steps_per_s_1m_bars", 1, 1, 1_000_000, 256),
    Size("simulation.env30_steps_per_s", 30, 1, 10_000, 256, 3e5),
    Size("simulation.env30_window_steps_per_s", 30, 60, 10_000, 64, 6e4),
)


def make_market(n_bars: int, n_symbols: int) -> Market:
    """Return random walks that open at the close before."""
    rng = np.random.default_rng(0)
    close = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.01, (n_bars, n_symbols)), axis=0))
    full = np.ones(close.shape)
    return Market(
        sessions=np.datetime64("0001-01-01", "D") + np.arange(n_bars),
        symbols=tuple(f"S{place}" for place in range(n_symbols)),
        open=np.vstack([close[:1], close[:-1]]),
        close=close,
        volume=full * 1e6,
        tradable=full > 0.0,
        split_ratio=full,
        cash_per_share=full * 0.0,
        volatility=full * 0.01,
        adv_usd=full * 1e9,
    )


def make_task(n_bars: int, n_symbols: int, window_bars: int) -> TradingTask:
    """Return a task with fee and half spread, equity sizing and the mean-variance reward."""
    market = make_market(n_bars, n_symbols)
    is_single = n_symbols == 1
    names = tuple(f"feature_{place}" for place in range(N_FEATURES))
    limits = WeightLimits(1.0 if is_single else 0.35, 1.0, is_long_only=not is_single)
    rules = DecisionRules(market.symbols, names, False, "equity", limits, window_bars=window_bars)
    shape = (n_bars, n_symbols * N_FEATURES)
    context = np.random.default_rng(1).standard_normal(shape).astype(np.float32)
    return TradingTask(
        market=market,
        view=PolicyView(rules, context, market.tradable),
        covariance=1e-4 * np.eye(n_symbols)[None],
        costs=CostsSpec(),
        sizing="equity",
        is_long_only=not is_single,
        initial_usd=1e6,
        reward=MeanVariance(5.0),
    )


def steps_per_second(size: Size) -> float:
    """Return the median rate of several rounds, whole observations copied out at every step."""
    task = make_task(size.n_bars, size.n_symbols, size.window_bars)
    episodes = Episodes(size.window_bars, size.n_bars - 2, EPISODE_BARS, 1.0)
    env = MarketVecEnv(task, episodes, size.n_books)
    env.reset()
    rng = np.random.default_rng(2)
    shape = (N_ACTIONS, size.n_books, size.n_symbols)
    actions = rng.uniform(-1.0, 1.0, shape).astype(np.float32)
    for step in range(2 * EPISODE_BARS):
        env.step(actions[step % N_ACTIONS])
    rates: list[float] = []
    for _ in range(ROUNDS):
        started, steps = time.perf_counter(), 0
        while time.perf_counter() - started < SECONDS:
            for action in actions:
                env.step(action)
            steps += N_ACTIONS * size.n_books
        rates.append(steps / (time.perf_counter() - started))
    return statistics.median(rates)


def measure_environments() -> None:
    """Measure every size beside its peer, and hold a long history against a short one."""
    rates = {size.figure: steps_per_second(size) for size in SIZES}
    others = measure_peers(ENVIRONMENT)
    beside = {figure: peer for peer, (_, figure) in PEERS.items()}
    short = rates["simulation.env1_row_steps_per_s"]
    for size in SIZES:
        rate = rates[size.figure]
        peer = beside.get(size.figure)
        if peer is not None:
            told, ratio = PEERS[peer][0], rate / others[peer]
            keep(Figure(size.figure, rate, "steps/s", told, ratio, size.limit))
        elif size.n_bars == 1_000_000:
            keep(Figure(size.figure, rate, "steps/s", "100,000 bars", rate / short))
        else:
            keep(Figure(size.figure, rate, "steps/s", limit=size.limit))
    for peer, (told, _) in PEERS.items():
        keep(Figure(f"simulation.peer_{peer}_steps_per_s", others[peer], "steps/s", told))


STAGES = {"simulation": measure_environments}
