"""An agent that learns to sell a block (world W6) through the differentiable market core.

At each close it sees the time left, the share left and how far the price has moved, and sells a
part of what is left; what the last trade finds is sold whole. It ascends the gradient of the reward
of the core: minus implementation shortfall minus lambda times variance.
"""

import time
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from trading_assets.policy.book_tensors import BookTensors, join_fills
from trading_assets.policy.decision_rules import DecisionRules
from trading_assets.policy.differentiable import DifferentiableMarket
from trading_assets.policy.observation import PolicyView
from trading_assets.policy.training import quiet_torch
from trading_assets.risk.limits import WeightLimits
from trading_assets.simulation.core import Floats
from trading_assets.simulation.rewards.mean_variance import MeanVariance
from trading_assets.simulation.task import TradingTask
from trading_assets.simulation.worlds.drawing import market_of_returns
from trading_assets.simulation.worlds.execution import (
    Liquidation,
    best_holdings,
    evaluate_schedule,
)
from trading_assets.strategy import CostsSpec

EXECUTOR = "w6_executor"
UPDATES, PATHS, HIDDEN, LEARNING_RATE = 300, 128, 16, 1e-2
HISTORY_BARS, TEST_PATHS = 20_000, 2_000


@dataclass(frozen=True)
class Executed:
    """What a trained executor came to on prices that it has not seen.

    Attributes
    ----------
    excess : float
        Mean of cost plus lambda times variance over that of the closed form, less 1.
    half_time_gap : float
        Absolute difference to the closed form's holdings at half the time, as a share of the block.
    seconds : float
        Of the training.
    """

    excess: float
    half_time_gap: float
    seconds: float


class _Executor(nn.Module):
    def __init__(self, world: Liquidation) -> None:
        super().__init__()
        self._world = world
        self._part = nn.Sequential(
            nn.Linear(3, HIDDEN), nn.Tanh(), nn.Linear(HIDDEN, HIDDEN), nn.Tanh(),
            nn.Linear(HIDDEN, 1), nn.Sigmoid(),
        )  # fmt: skip

    def forward(self, bar: int, left: Tensor, moved: Tensor) -> Tensor:
        """Return the share of the block (K, 1) to hold from trade `bar` on."""
        n_trades = self._world.n_trades
        if bar == n_trades - 1:
            return torch.zeros_like(left)
        time_left = torch.full_like(left, 1.0 - bar / n_trades)
        scale = self._world.bar_volatility * n_trades**0.5
        return left * (1.0 - self._part(torch.cat([time_left, left, moved / scale], dim=-1)))


def make_task(world: Liquidation, n_bars: int, rng: np.random.Generator) -> TradingTask:
    """Return prices of W6 as a trading task whose weights are shares of the block."""
    returns = world.bar_volatility * rng.standard_normal((n_bars, 1))
    market = market_of_returns(returns, (world.bar_volatility,), ("W6",), world.price_usd)
    rules = DecisionRules(
        ("W6",), (), False, "constant_notional", WeightLimits(1.0, 1.0, is_long_only=False)
    )
    context = np.zeros((n_bars, 0), dtype=np.float32)
    return TradingTask(
        market=market,
        view=PolicyView(rules, context, market.tradable),
        covariance=np.array([[[world.bar_volatility**2]]]),
        costs=CostsSpec(fee_bps=0.0, half_spread_bps=0.0, quadratic_lambda=world.quadratic_lambda),
        sizing="constant_notional",
        is_long_only=False,
        initial_usd=world.notional_usd,
        reward=MeanVariance(world.reward_aversion),
    )


def train_executor(seed: int, world: Liquidation | None = None) -> Executed:
    """Train an executor of W6 and hold its schedules against Almgren and Chriss."""
    world = world or Liquidation()
    rng = np.random.default_rng([6, seed])
    task = make_task(world, HISTORY_BARS, rng)
    market = DifferentiableMarket(task, 0, HISTORY_BARS - 1)
    close = torch.from_numpy(task.market.close).float()
    started = time.perf_counter()
    with quiet_torch():
        torch.manual_seed(seed)
        executor = _Executor(world)
        optimizer = torch.optim.Adam(executor.parameters())
        for update in range(UPDATES):
            for group in optimizer.param_groups:
                group["lr"] = LEARNING_RATE * (1.0 - update / UPDATES)
            first = rng.integers(0, HISTORY_BARS - world.n_trades - 1, PATHS)
            rewards, _ = sell(executor, world, market, close, first)
            optimizer.zero_grad()
            (-rewards.sum(dim=0).mean()).backward()
            optimizer.step()
    seconds = time.perf_counter() - started
    return Executed(*_evaluate(executor, world, np.random.default_rng(20_261)), seconds)


def sell(
    executor: _Executor,
    world: Liquidation,
    market: DifferentiableMarket,
    close: Tensor,
    first: np.ndarray,
) -> tuple[Tensor, Tensor]:
    """Sell a block from each row of `first` on; return rewards (n, K) and shares left (n+1, K)."""
    rows = first + np.arange(world.n_trades)[:, None]
    bars, books = market.bars(rows), _open_full(market, len(first))
    fills, held = [], [books.target_weight]
    for place, (bar, at) in enumerate(zip(bars.each(), rows, strict=True)):
        moved = close[at] / close[first] - 1.0
        held.append(executor(place, held[-1], moved))
        books, fill = market.trade(books, held[-1], bar)
        fills.append(fill)
    return market.rewards(join_fills(fills), bars, rows), torch.stack(held)[..., 0]


def _open_full(market: DifferentiableMarket, n_books: int) -> BookTensors:
    flat = market.open_books(n_books)
    whole = torch.ones_like(flat.value)
    return BookTensors(torch.zeros_like(flat.cash), whole, whole, ())


def _evaluate(
    executor: _Executor, world: Liquidation, rng: np.random.Generator
) -> tuple[float, float]:
    n_bars = world.n_trades * TEST_PATHS + 1
    task = make_task(world, n_bars, rng)
    market = DifferentiableMarket(task, 0, n_bars - 1)
    first = world.n_trades * np.arange(TEST_PATHS)
    with torch.no_grad():
        close = torch.from_numpy(task.market.close).float()
        _, left = sell(executor, world, market, close, first)
    holdings: Floats = world.shares * left.double().numpy()
    best = best_holdings(world)
    found = [evaluate_schedule(world, path).objective_usd for path in holdings.T]
    excess = float(np.mean(found)) / evaluate_schedule(world, best).objective_usd - 1.0
    half = world.n_trades // 2
    return excess, float(np.abs(holdings[half] - best[half]).max()) / world.shares


def execute_and_print(seed: int) -> Executed:
    """Train one seed of the executor, and print its line of the table."""
    found = train_executor(seed)
    print(
        f"| {EXECUTOR} | {seed} | {found.excess:.4f} | {found.half_time_gap:.4f} |"
        f" {found.seconds:.1f} |",
        flush=True,
    )
    return found
