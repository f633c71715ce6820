import random
from dataclasses import replace

import numpy as np
import pytest
import torch

from trading_assets.agent_specs import DirectSpec
from trading_assets.errors import DeclarationError
from trading_assets.policy import world_task
from trading_assets.policy.direct import _Ascent, train_direct
from trading_assets.policy.networks import TrainedPolicy
from trading_assets.policy.observation import raw_weights
from trading_assets.policy.rollout import build_task, roll_rows
from trading_assets.policy.training import Training, quiet_torch
from trading_assets.policy.world_task import follow_signals, world_training
from trading_assets.rebalance_specs import NoTradeBandSpec, WeeklySpec
from trading_assets.risk.limits import WeightLimits
from trading_assets.simulation.episodes import Episodes
from trading_assets.simulation.traded_books import TradedBooks
from trading_assets.simulation.worlds.one_asset import WorldOne
from trading_assets_tests.policy.tasks import make_strategy, make_tables, random_market

W1 = WorldOne().with_information(0.3)
ALL = WeightLimits(1.0, 1.0, is_long_only=False)
MARKET = random_market(120)
STEPS = 64 * 8


def agent(paths=64, bars=8, updates=10, **changes):
    declared = {"learning_rate": 0.01, "total_steps": paths * bars * updates, **changes}
    return DirectSpec(algorithm="direct", paths=paths, unroll_bars=bars, **declared)


def make_training(spec, seed=0, market=MARKET, **changes):
    strategy = make_strategy(**changes)
    task = build_task(market, *make_tables(market), strategy)

    def score(policy):
        return roll_rows([policy], task, range(80, 110)).rewards

    return Training(task, Episodes(1, 80, 16, 100.0), task.view.rules, spec, seed, score)


@pytest.fixture(scope="module")
def trained():
    return train_direct(make_training(agent()))


def test_the_same_seed_gives_the_same_bytes_and_leaves_the_caller_alone(trained):
    threads = torch.get_num_threads()
    torch.set_num_threads(threads + 1)
    torch.manual_seed(99)
    states = random.getstate(), torch.get_rng_state(), np.random.get_state()  # noqa: NPY002
    assert train_direct(make_training(agent())).to_files() == trained.to_files()
    assert random.getstate() == states[0]
    assert torch.equal(torch.get_rng_state(), states[1])
    np.testing.assert_array_equal(np.random.get_state()[1], states[2][1])  # noqa: NPY002
    assert torch.get_num_threads() == threads + 1
    torch.set_num_threads(threads)


def test_another_seed_gives_other_weights(trained):
    other = train_direct(make_training(agent(), seed=1))
    assert other.to_files()["weights.safetensors"] != trained.to_files()["weights.safetensors"]


def test_nothing_after_its_window_changes_what_is_trained(trained):
    volume, close, opened = MARKET.volume.copy(), MARKET.close.copy(), MARKET.open.copy()
    for values in (volume, close, opened):
        values[81:] *= 1.1
    later = replace(MARKET, volume=volume, close=close, open=opened)
    training = replace(make_training(agent(), market=later), score=make_training(agent()).score)
    assert train_direct(training).to_files() == trained.to_files()


def test_checkpoints_are_scored_along_the_training(trained):
    assert [point.steps for point in trained.history] == [2 * STEPS * n for n in range(1, 6)]
    assert trained.algorithm == "direct"
    kept = next(p for p in trained.history if p.steps == trained.selected_steps)
    assert make_training(agent()).score(trained).mean() == kept.score


def test_an_earlier_checkpoint_is_kept_if_later_ones_are_worse():
    training = make_training(agent())
    scored = []

    def score(policy):
        scored.append(policy)
        return np.full(4, -abs(len(scored) - 2.0))

    kept = train_direct(replace(training, score=score))
    assert kept.selected_steps == 4 * STEPS
    np.testing.assert_array_equal(kept.tensors["action.bias"], scored[1].tensors["action.bias"])


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"risk": {"max_weight": 0.3, "max_gross": 0.9}},
        {"policy": {"position": "long_short"}},
        {"policy": {"position": "long_short", "sizing": "constant_notional"}},
        {"risk": {"max_weight": 0.5, "max_gross": 0.9, "max_turnover": 0.2}},
    ],
)
def test_the_served_policy_earns_what_training_paid(changes):
    training = make_training(agent(), **changes)
    task = training.task
    ascent = _Ascent(training, agent())
    with torch.no_grad():
        for parameter in ascent.actor.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    rows = 1 + np.arange(30) + np.arange(8)[:, None]
    ascent._rows, ascent._books = rows[0], ascent._market.open_books(30)
    rewards, _ = ascent._unroll(rows)
    policy = TrainedPolicy(training.rules, ascent.actor.tensors(), "direct", 0, (), 0)
    books = TradedBooks(task, 30)
    books.open(slice(None), rows[0])
    raw, weights, earned = [], [], []
    for _ in range(8):
        wanted = raw_weights(policy.act(books.observe()), training.rules)
        raw.append(task.view.size_weights(wanted, books.rows))
        weights.append(task.view.project(raw[-1], books.rows, books.held))
        earned.append(books.trade(weights[-1]))
    bound_share = (np.abs(np.array(raw) - np.array(weights)) > 1e-3).mean()
    assert (bound_share > 0.05) == (changes.get("risk", {}).get("max_weight") != 0.3)
    np.testing.assert_allclose(rewards.detach().numpy(), earned, atol=2e-6)


def test_books_read_all_bars_of_the_window_equally_often():
    training = make_training(agent())
    ascent = _Ascent(training, agent(paths=8, bars=10, updates=80))
    gaps = np.diff(np.sort(ascent._rows))
    assert gaps.max() - gaps.min() <= 1
    seen = np.zeros(120, dtype=int)
    with quiet_torch():
        for _ in range(80):
            np.add.at(seen, (ascent._rows + np.arange(10)[:, None]).ravel(), 1)
            ascent.update(0.0)
    # Bars at both ends belong to fewer stretches.
    inner = seen[11:70]
    assert seen[0] == 0
    assert (seen[80:] == 0).all()
    assert inner.min() > 0.9 * inner.mean()


def test_a_window_shorter_than_a_stretch_is_used_whole():
    training = make_training(agent())
    short = replace(training, episodes=Episodes(5, 9, 16, 100.0))
    policy = train_direct(replace(short, agent=agent(paths=400, bars=8, updates=2)))
    assert [point.steps for point in policy.history] == [400 * 4 * n for n in (1, 2, 3, 4)]


def share_of_optimum(world, policy, n_paths=600):
    signals = world.draw_signals(400, n_paths, np.random.default_rng(5))
    positions = follow_signals([policy], signals)
    return world.mean_reward(signals, positions, 50).mean() / world.optimum


@pytest.fixture
def short_history(monkeypatch):
    monkeypatch.setattr(world_task, "HISTORY_BARS", 50_000)
    monkeypatch.setattr(world_task, "VALIDATION_PATHS", 50)


@pytest.mark.usefixtures("short_history")
def test_w1_is_learned_to_most_of_its_optimum_in_seconds():
    spec = agent(paths=512, bars=24, updates=50, learning_rate=0.02)
    policy = train_direct(world_training(W1, spec, 0, ALL, np.random.default_rng(1)))
    assert share_of_optimum(W1, policy) > 0.9


@pytest.mark.usefixtures("short_history")
def test_a_market_without_a_signal_is_hardly_traded():
    world = replace(W1, information_coefficient=0.0)
    spec = agent(paths=512, bars=24, updates=30, learning_rate=0.02)
    policy = train_direct(world_training(world, spec, 0, ALL, np.random.default_rng(1)))
    signals = world.draw_signals(200, 200, np.random.default_rng(5))
    assert np.abs(follow_signals([policy], signals)).mean() < 0.05


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_w1_is_learned_at_its_declared_information_coefficient(seed):
    spec = agent(paths=1024, bars=32, updates=150)
    training = world_training(WorldOne(), spec, seed, ALL, np.random.default_rng([2, seed]))
    assert share_of_optimum(WorldOne(), train_direct(training), 2_000) > 0.95


def test_a_rule_that_holds_trades_back_is_refused():
    training = make_training(agent())
    rules = replace(training.rules, rebalance=WeeklySpec(kind="weekly"))
    with pytest.raises(DeclarationError, match="rebalance was weekly for algorithm direct"):
        train_direct(replace(training, rules=rules))


def test_a_training_under_another_rule_is_another_training():
    training = make_training(agent())
    keys = {training.key}
    for rule in (
        WeeklySpec(kind="weekly"),
        NoTradeBandSpec(kind="no_trade_band", band=0.1, trade_to="edge"),
    ):
        ruled = replace(training, rules=replace(training.rules, rebalance=rule))
        keys.add(ruled.key)
        market = training.task.market
        later = replace(market, sessions=market.sessions + np.timedelta64(1, "D"))
        keys.add(replace(ruled, task=replace(training.task, market=later)).key)
    assert len(keys) == 5
