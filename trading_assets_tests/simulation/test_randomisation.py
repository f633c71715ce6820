from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from trading_assets.policy.observation import PolicyView
from trading_assets.policy.rollout import build_task, roll_rows
from trading_assets.randomisation_specs import RandomisationSpec
from trading_assets.simulation.compiled.layout import (
    LATENCY_BARS,
    LINEAR,
    TARGET_WEIGHT,
)
from trading_assets.simulation.core import equity_of
from trading_assets.simulation.episodes import Episodes
from trading_assets.simulation.market import build_market
from trading_assets.simulation.traded_books import TradedBooks
from trading_assets.simulation.vector_env import MarketVecEnv
from trading_assets_tests.policy.tasks import make_policy, make_strategy, make_tables
from trading_assets_tests.simulation.markets import (
    make_actions,
    make_bars,
    make_sessions,
    random_market,
)
from trading_assets_tests.simulation.trajectories import require_equal_trajectories

EPISODES = Episodes(first_row=1, last_row=80, length_bars=16, reward_scale=100.0)
ALL = {"cost_factor": [0.5, 2.0], "start_weights": True, "latency": True}
LATENCY = 4
MARKET = random_market(100)
TABLES = make_tables(MARKET)


def make_task(drawn=ALL, market=MARKET, tables=TABLES, costs=None, **changes):
    policy = {"randomisation": drawn, **changes.pop("policy", {})}
    costs = {"impact_coefficient": 0.5, "latency_bars": LATENCY, **(costs or {})}
    return build_task(market, *tables, make_strategy(policy=policy, costs=costs, **changes))


def start_books(task, n_books=50, row=20):
    books = TradedBooks(task, n_books)
    rows = np.full(n_books, row)
    books.open(slice(None), rows, [np.random.default_rng(k) for k in range(n_books)])
    return books


def random_actions(count, shape):
    return np.random.default_rng(1).uniform(-1, 1, (count, *shape)).astype(np.float32)


@pytest.mark.parametrize("position", ["long_only", "long_short"])
@pytest.mark.parametrize("sizing", ["equity", "constant_notional"])
def test_one_environment_follows_a_row_of_the_vector_exactly(position, sizing):
    task = make_task(policy={"position": position, "sizing": sizing})
    require_equal_trajectories(task, EPISODES)


def test_an_environment_goes_on_from_its_state():
    task = make_task()
    env, again = (MarketVecEnv(task, EPISODES, 5) for _ in range(2))
    env.seed(1)
    env.reset()
    actions = random_actions(40, (5, 3))
    for action in actions[:20]:
        env.step(action)
    arrays, values = env.get_state()
    again.reset()
    again.set_state(arrays, values)
    for action in actions[20:]:
        for one, other in zip(env.step(action)[:3], again.step(action)[:3], strict=True):
            np.testing.assert_array_equal(one, other)


def test_costs_and_latencies_are_drawn_for_each_episode_within_their_bounds():
    task = make_task()
    books = start_books(task, 400)
    terms = books.get_state()["terms"]
    factors = terms[:, LINEAR] / task.terms[0, LINEAR]
    assert 0.5 <= factors.min() < 0.52
    assert 1.9 < factors.max() <= 2.0
    # As likely to be halved as doubled.
    assert np.abs(np.log(factors)).mean() == pytest.approx(np.log(2.0) / 2, rel=0.1)
    assert np.log(factors).mean() == pytest.approx(0.0, abs=0.06)
    assert {*terms[:, LATENCY_BARS]} == {1.0, 2.0, 3.0, 4.0}
    books.open(np.array([7]), np.array([30]), [np.random.default_rng(1_000)])
    after = books.get_state()["terms"]
    assert (after[7] != terms[7]).any()
    np.testing.assert_array_equal(np.delete(after, 7, axis=0), np.delete(terms, 7, axis=0))


@pytest.mark.parametrize("position", ["long_only", "long_short"])
@pytest.mark.parametrize("lot", [0.0, 10.0])
@pytest.mark.parametrize("limits", [{"max_gross": 0.9}, {"max_gross": 0.9, "max_turnover": 0.01}])
def test_books_start_within_limits_with_the_equity_of_a_flat_one(position, lot, limits):
    task = make_task(
        costs={"lot_shares": lot},
        risk={"max_weight": 0.5, **limits},
        policy={"position": position},
    )
    books = start_books(task)
    np.testing.assert_allclose(equity_of(books.books()), task.initial_usd, atol=2e-6)
    held = books.held
    assert np.abs(held).sum(axis=1).max() <= 0.9 + 1e-9
    assert np.abs(held).max() <= 0.5 + 1e-9
    assert np.abs(held).sum(axis=1).mean() > 0.1
    assert (held < 0.0).any() == (position == "long_short")
    if position == "long_only":
        assert (books.books().cash >= 0.0).all()
    if lot:
        assert not (books.books().quantity % lot).any()
    target = books.get_state()["positions"][:, TARGET_WEIGHT]
    np.testing.assert_allclose(target, held, atol=1e-11)


def test_no_rule_that_holds_trades_back_is_asked_for_a_first_weight(monkeypatch):
    drawn, costs = {"start_weights": True}, {"latency_bars": 1}
    plain = start_books(make_task(drawn, costs=costs)).held
    asked = []
    monkeypatch.setattr(PolicyView, "project", lambda *_: asked.append(1))
    weekly = start_books(make_task(drawn, costs=costs, rebalance="weekly")).held
    assert not asked
    assert np.abs(plain).sum() > 0.0
    np.testing.assert_array_equal(weekly, plain)


def test_what_a_book_starts_with_is_not_traded_away_before_its_first_decision_is_due():
    task = make_task(policy={"position": "long_short"}, costs={"quadratic_lambda": 50.0})
    books = start_books(task)
    latency = books.get_state()["terms"][:, LATENCY_BARS]
    first = books.held.copy()
    for bar in range(LATENCY):
        waiting = np.abs(books.accounts().pending).sum(axis=(1, 2))
        assert (waiting[latency > bar + 1] > 0.0).all()
        books.trade(np.zeros_like(first))
        traded = np.abs(books.result().trade).sum(axis=1)
        is_due = latency == bar + 1
        assert (traded[is_due] > 0.0).all()
        assert (traded[latency > bar + 1] == 0.0).all()
        if bar == 0:
            # Later prices have moved, so that the same shares are another target weight.
            assert (books.result().costs[latency > 1] == 0.0).all()
    assert np.abs(first).sum() > 0.0


def test_the_weights_that_wait_are_seen_as_what_they_are():
    task = make_task({"start_weights": True}, costs={"latency_bars": 2})
    books = start_books(task)
    np.testing.assert_allclose(books.accounts().pending[:, 0], books.held, rtol=1e-9)


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    is_long_only=st.booleans(),
    sizing=st.sampled_from(["equity", "constant_notional"]),
    latency=st.integers(2, 5),
    lot=st.sampled_from([0.0, 1.0]),
)
def test_the_change_of_equity_is_explained(seed, is_long_only, sizing, latency, lot):
    task = make_task(
        market=EVENTFUL,
        tables=EVENTFUL_TABLES,
        policy={
            "position": "long_only" if is_long_only else "long_short",
            "sizing": sizing,
        },
        costs={
            "latency_bars": latency,
            "lot_shares": lot,
            "quadratic_lambda": 5.0,
            "financing_bps_per_year": 300,
            "borrow_bps_per_year": 100,
        },
    )
    rng = np.random.default_rng(seed)
    books = TradedBooks(task, 4)
    books.open(slice(None), rng.integers(2, 20, 4), [np.random.default_rng(seed)] * 4)
    before = equity_of(books.books())
    for _ in range(25):
        actions = rng.uniform(-1, 1, (4, 3))
        books.trade(task.view.target_weights(actions, books.rows, books.held))
        result = books.result()
        np.testing.assert_array_equal(result.equity_before, before)
        explained = result.pnl + result.dividends - result.costs - result.financing
        np.testing.assert_allclose(result.equity - before, explained, atol=1e-5)
        before = result.equity
        if is_long_only:
            assert (result.books.cash >= 0.0).all()


def eventful_market():
    """Return a market with splits, dividends and missing bars."""
    rng = np.random.default_rng(5)
    closes = {s: (100 * np.exp(np.cumsum(rng.normal(0, 0.02, 60)))).tolist() for s in "ABC"}
    closes["B"][30] = np.nan
    # A split that prices did not follow would be a return of ln 2, and the volatility after it such
    # that the quadratic cost of a target, which is due without a trade, exceeds all there is.
    closes["A"][25:] = [close / 2.0 for close in closes["A"][25:]]
    days = make_sessions(60)
    events = [("A", days[25], "split", 2.0, 0.0), ("C", days[22], "cash_dividend", 1.0, 1.5)]
    assert days[1] - days[0] == timedelta(days=1)
    return build_market(make_bars(closes), make_actions(events), tuple("ABC"), days)


EVENTFUL = eventful_market()
EVENTFUL_TABLES = make_tables(EVENTFUL)


def test_a_shorter_latency_fills_like_a_declared_one():
    drawn = make_task({"latency": True})
    books = start_books(drawn, 30)
    latency = books.get_state()["terms"][:, LATENCY_BARS]
    # Fixed weights: what is decided does not depend on what was filled.
    weights = np.random.default_rng(2).dirichlet(np.ones(4), 10)[:, :3]
    steps = []
    for decided in weights:
        books.trade(np.tile(decided, (30, 1)))
        steps.append(books.held.copy())
    for own in (1, 2, 3, 4):
        declared = make_task(None, costs={"latency_bars": own})
        alone = start_books(declared, 1)
        for decided, together in zip(weights, steps, strict=True):
            alone.trade(decided[None])
            for k in np.flatnonzero(latency == own):
                np.testing.assert_array_equal(together[k], alone.held[0])


def test_rollouts_use_the_declared_values():
    strategy = make_strategy(costs={"latency_bars": LATENCY})
    task = build_task(MARKET, *TABLES, strategy)
    drawn = replace(task, randomisation=RandomisationSpec.model_validate(ALL))
    policy = make_policy(strategy)
    expected, found = (roll_rows([policy], each, range(10, 60)) for each in (task, drawn))
    np.testing.assert_array_equal(found.rewards, expected.rewards)
    np.testing.assert_array_equal(found.weights, expected.weights)


def test_books_used_again_without_generators_have_the_declared_terms():
    task = make_task()
    books = start_books(task, 3)
    books.open(slice(None), np.full(3, 5))
    np.testing.assert_array_equal(books.get_state()["terms"], np.repeat(task.terms, 3, axis=0))
    assert not books.held.any()


@pytest.mark.parametrize(
    ("drawn", "costs", "message"),
    [
        ({"cost_factor": [2.0, 0.5]}, {}, "the smaller one first"),
        ({"cost_factor": [0.0, 0.5]}, {}, "above 0"),
        ({"latency": True}, {}, "latency_bars above 1"),
    ],
)
def test_what_cannot_be_drawn_is_refused(drawn, costs, message):
    with pytest.raises(ValidationError, match=message):
        make_strategy(policy={"randomisation": drawn}, costs=costs)
