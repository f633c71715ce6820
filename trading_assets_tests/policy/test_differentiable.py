from dataclasses import replace

import numpy as np
import pytest
import torch

from trading_assets.errors import DataError
from trading_assets.policy.book_tensors import join_fills
from trading_assets.policy.differentiable import DifferentiableMarket
from trading_assets.policy.rollout import build_task
from trading_assets.simulation.covariance import causal_covariance
from trading_assets.simulation.market import ewma_volatility, total_returns_of
from trading_assets.simulation.rewards.mean_variance import MeanVariance
from trading_assets.simulation.traded_books import TradedBooks
from trading_assets_tests.policy.tasks import make_strategy, make_tables, random_market

N_ROWS, LISTED, GONE = 90, 40, 70
STARTS = np.array([1, 7, 20, 35, 39, 60])
FREE = {"fee_bps": 0, "half_spread_bps": 0}
LONG_SHORT = {"position": "long_short"}
NOTIONAL = {**LONG_SHORT, "sizing": "constant_notional"}
WIDE = {"max_weight": 2.0, "max_gross": 4.0}


def eventful_market():
    """Return five symbols: B lists late, C is delisted, D splits and pays, E misses bars."""
    market = random_market(N_ROWS, ("A", "B", "C", "D", "E"))
    rng = np.random.default_rng(0)
    prices = {name: getattr(market, name).copy() for name in ("open", "close", "volume")}
    prices["volume"] = rng.uniform(1e4, 2e5, prices["volume"].shape)
    split_ratio, cash = market.split_ratio.copy(), market.cash_per_share.copy()
    payout = np.full(market.close.shape, np.nan)
    split_ratio[45, 3], cash[[30, 45], 3] = 2.0, 0.8
    # A split while a symbol has no bar counts from its next one on.
    split_ratio[24, 4] = 0.5
    for name in ("open", "close"):
        prices[name][45:, 3] /= 2.0
        prices[name][24:, 4] /= 0.5
    for values in prices.values():
        values[:LISTED, 1] = np.nan
        values[GONE:, 2] = np.nan
        values[22:26, 4] = np.nan
    payout[GONE, 2] = 0.7 * prices["close"][GONE - 1, 2]
    has_bar = np.isfinite(prices["close"])
    dollars = np.where(has_bar, prices["close"] * prices["volume"], 1e6)
    return replace(
        market,
        **prices,
        split_ratio=split_ratio,
        cash_per_share=cash,
        payout_per_share=payout,
        tradable=has_bar & (np.cumsum(has_bar, axis=0) > 1),
        adv_usd=dollars,
        volatility=ewma_volatility(total_returns_of(prices["close"], split_ratio, cash)),
    )


def make_task(reward=None, **changes):
    market = eventful_market()
    strategy = make_strategy(**changes)
    task = build_task(market, *make_tables(market), strategy)
    task = replace(task, covariance=causal_covariance(market))
    return task if reward is None else replace(task, reward=reward)


def draw_raw(task, n_bars, seed=0):
    limit = task.view.rules.limits.max_weight
    low = 0.0 if task.is_long_only else -limit
    shape = (n_bars, len(STARTS), len(task.market.symbols))
    raw = np.random.default_rng(seed).uniform(low, limit, shape)
    # Some targets repeat, so that nothing but drift is traded.
    raw[5::7] = raw[4::7][: len(raw[5::7])]
    return raw


def trade_in_core(task, raw):
    books = TradedBooks(task, len(STARTS))
    books.open(slice(None), STARTS)
    weights, rewards, seen = [], [], []
    for wanted in raw:
        seen.append(books.observe())
        weights.append(task.view.project(wanted, books.rows, books.held))
        rewards.append(books.trade(weights[-1]))
    return np.array(weights), np.array(rewards), np.array(seen)


def trade_in_tensors(task, weights, dtype=torch.float64):
    market = DifferentiableMarket(task, 1, N_ROWS - 1, dtype)
    rows = STARTS + np.arange(len(weights))[:, None]
    bars, books = market.bars(rows), market.open_books(len(STARTS))
    fills, seen = [], []
    for bar, at, wanted in zip(bars.each(), rows, weights, strict=True):
        seen.append(torch.cat([market.context(at), market.account_rows(books)], dim=-1))
        books, fill = market.trade(books, torch.as_tensor(wanted, dtype=dtype), bar)
        fills.append(fill)
    return market.rewards(join_fills(fills), bars, rows), torch.stack(seen)


TASKS = {
    "quadratic cost on constant notional": {
        "policy": NOTIONAL,
        "costs": {**FREE, "quadratic_lambda": 250},
    },
    "fee, spread and impact on equity": {
        "policy": LONG_SHORT,
        "costs": {"fee_bps": 3, "half_spread_bps": 4, "impact_coefficient": 1.0},
    },
    "long-only books that cannot afford their costs": {
        "costs": {"fee_bps": 50, "half_spread_bps": 0, "impact_coefficient": 0.5},
        "risk": {"max_weight": 0.6, "max_gross": 1.0},
    },
    "borrowed cash and shares": {
        "policy": LONG_SHORT,
        "costs": {"financing_bps_per_year": 900, "borrow_bps_per_year": 1500},
        "risk": WIDE,
    },
    "borrowed cash on constant notional": {
        "policy": NOTIONAL,
        "costs": {"financing_bps_per_year": 900, "quadratic_lambda": 20},
        "risk": WIDE,
    },
    "orders that take three bars": {
        "policy": LONG_SHORT,
        "costs": {"latency_bars": 3, "quadratic_lambda": 20},
    },
    "trades capped by volume": {
        "policy": LONG_SHORT,
        "costs": {"max_participation": 0.02, "quadratic_lambda": 20},
    },
    "prices at ticks": {"policy": LONG_SHORT, "costs": {"tick_usd": 0.5}},
    "turnover, net and gross limits": {
        "policy": LONG_SHORT,
        "risk": {"max_weight": 0.5, "max_gross": 0.9, "max_net": 0.2, "max_turnover": 0.3},
    },
    "a charge on the covariance of trades": {
        "policy": NOTIONAL,
        "costs": FREE,
        "reward": MeanVariance(25.0, 250.0),
    },
}


@pytest.mark.parametrize("name", TASKS)
def test_rewards_and_observations_are_those_of_the_core(name):
    task = make_task(**TASKS[name])
    weights, expected, expected_seen = trade_in_core(task, draw_raw(task, 28))
    rewards, seen = trade_in_tensors(task, weights)
    assert np.median(np.abs(expected)) > 1e-4
    np.testing.assert_allclose(rewards.numpy(), expected, rtol=1e-5, atol=1e-10)
    np.testing.assert_allclose(seen.numpy(), expected_seen, rtol=1e-5, atol=1e-6)


def test_single_precision_keeps_what_a_training_needs():
    task = make_task(**TASKS["fee, spread and impact on equity"])
    weights, expected, _ = trade_in_core(task, draw_raw(task, 28))
    rewards, _ = trade_in_tensors(task, weights, torch.float32)
    assert np.abs(rewards.numpy() - expected).max() < 1e-5 * np.abs(expected).max()


@pytest.mark.parametrize(
    "name",
    [
        "quadratic cost on constant notional",
        "fee, spread and impact on equity",
        "long-only books that cannot afford their costs",
        "orders that take three bars",
        "a charge on the covariance of trades",
    ],
)
def test_gradients_are_the_cores_differences(name):
    task = make_task(**TASKS[name])
    weights, _, _ = trade_in_core(task, draw_raw(task, 12))
    tensor = torch.tensor(weights, requires_grad=True)
    rewards, _ = trade_in_tensors(task, tensor)
    rewards.sum().backward()
    assert tensor.grad is not None
    rng = np.random.default_rng(1)
    for _ in range(6):
        direction = rng.normal(size=weights.shape) * (weights != 0.0)
        step = 1e-6
        sums = [unlimited_rewards(task, weights + side * direction).sum() for side in (step, -step)]
        difference = (sums[0] - sums[1]) / (2.0 * step)
        assert float((tensor.grad.numpy() * direction).sum()) == pytest.approx(
            difference, rel=2e-4, abs=1e-6
        )


def unlimited_rewards(task, weights):
    books = TradedBooks(task, len(STARTS))
    books.open(slice(None), STARTS)
    return np.array([books.trade(wanted) for wanted in weights])


def test_what_is_not_traded_leaves_gradients_finite():
    task = make_task(**TASKS["fee, spread and impact on equity"])
    weights = torch.zeros(8, len(STARTS), 5, dtype=torch.float64, requires_grad=True)
    rewards, _ = trade_in_tensors(task, weights)
    rewards.sum().backward()
    assert weights.grad is not None
    assert torch.isfinite(weights.grad).all()
    assert (rewards == 0.0).all()


def test_a_ruined_book_leaves_rewards_and_gradients_finite():
    task = make_task(policy=LONG_SHORT, risk={"max_weight": 300.0, "max_gross": 900.0})
    weights = torch.full((10, len(STARTS), 5), 300.0, dtype=torch.float64, requires_grad=True)
    rewards, _ = trade_in_tensors(task, weights)
    rewards.sum().backward()
    assert float(rewards.detach().min()) < -1.0
    assert weights.grad is not None
    assert torch.isfinite(rewards).all()
    assert torch.isfinite(weights.grad).all()


def test_a_ruined_book_trades_on_with_a_thousandth_of_its_first_cash():
    task = make_task(policy=LONG_SHORT)
    market = DifferentiableMarket(task, 1, N_ROWS - 1, torch.float64)
    books = replace(market.open_books(2), cash=torch.tensor([-2.0, 0.0], dtype=torch.float64))
    weights = torch.tensor([[0.5, 0, 0, 0.2, 0]] * 2, dtype=torch.float64)
    after, _ = market.trade(books, weights, market.bars(np.array([5, 5])))
    torch.testing.assert_close(after.value / 1e-3, weights, rtol=0.2, atol=0.0)


def test_books_are_carried_over_at_their_weights_with_the_first_equity():
    task = make_task(policy=LONG_SHORT, costs={"latency_bars": 3})
    market = DifferentiableMarket(task, 1, N_ROWS - 1, torch.float64)
    books = market.open_books(2)
    weights = torch.tensor([[0.3, 0, -0.2, 0.1, 0]] * 2, dtype=torch.float64, requires_grad=True)
    for row in range(1, 6):
        books, _ = market.trade(books, weights, market.bars(np.array([row, row])))
    carried = market.carry_over(books, torch.tensor([False, True]))
    before, after = market.account_rows(books), market.account_rows(carried)
    torch.testing.assert_close(after[0], before[0], rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(after[1], market.account_rows(market.open_books(1))[0])
    assert not after.requires_grad
    equity = carried.cash + carried.value.sum(-1)
    torch.testing.assert_close(equity, torch.ones(2, dtype=torch.float64))


class _OtherReward:
    needs = ()

    def pay(self, bar, before, after):
        raise NotImplementedError


def test_a_reward_that_is_not_known_is_refused():
    task = make_task(reward=_OtherReward())
    with pytest.raises(DataError, match=r"paid _OtherReward.*mean-variance"):
        DifferentiableMarket(task, 1, 20)


@pytest.mark.parametrize(("field", "said"), [("volatility", "volatility"), ("adv_usd", "dollar")])
def test_a_cost_that_is_not_known_is_refused(field, said):
    task = make_task(policy=LONG_SHORT)
    values = getattr(task.market, field).copy()
    values[12, 3] = np.nan
    task = replace(task, market=replace(task.market, **{field: values}))
    with pytest.raises(DataError, match=rf"D may be traded .* {said}"):
        DifferentiableMarket(task, 1, 20)
    DifferentiableMarket(task, 13, 20)
