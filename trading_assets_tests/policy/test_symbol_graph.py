from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError

from trading_assets.agent_specs import PpoSpec
from trading_assets.encoder_specs import GraphEncoderSpec
from trading_assets.policy.decision_rules import declared_rules
from trading_assets.policy.rollout import build_task
from trading_assets.policy.symbol_graph import symbol_graph
from trading_assets.policy.training import Training
from trading_assets.risk.limits import numbered_sectors
from trading_assets.simulation.episodes import Episodes
from trading_assets.simulation.market import build_market
from trading_assets_tests.policy.tasks import make_strategy, make_tables
from trading_assets_tests.simulation.markets import make_actions, make_bars, make_sessions

LAST_TRAINED = 120


def make_training(edges="correlation", changed_from=None, sectors=None):
    """Return a training on A and B, which move together, and C against both."""
    rng = np.random.default_rng(0)
    shared, own = rng.normal(0, 0.02, 200), rng.normal(0, 0.005, (3, 200))
    returns = {"A": shared + own[0], "B": shared + own[1], "C": -shared + own[2]}
    if changed_from is not None:
        for moves in returns.values():
            moves[changed_from:] = rng.normal(0, 0.05, 200 - changed_from)
    closes = {name: (100 * np.exp(np.cumsum(moves))).tolist() for name, moves in returns.items()}
    market = build_market(make_bars(closes), make_actions(), tuple("ABC"), make_sessions(200))
    risk = {"max_weight": 0.5, "max_gross": 0.9, "sectors": sectors or {}}
    strategy = make_strategy(risk=risk)
    return Training(
        task=build_task(market, *make_tables(market), strategy),
        episodes=Episodes(first_row=20, last_row=LAST_TRAINED, length_bars=16, reward_scale=1.0),
        rules=declared_rules(strategy, market.symbols),
        agent=PpoSpec(encoder=GraphEncoderSpec(kind="graph", edges=edges)),
        seed=0,
        score=lambda policy: np.zeros(1),
        sectors=numbered_sectors(strategy.risk, market.symbols),
    )


def test_symbols_that_move_together_see_each_other_and_opposites_do_not():
    graph = symbol_graph(make_training())
    assert graph.dtype == np.float32
    np.testing.assert_allclose(graph.sum(axis=1), 1.0, rtol=1e-6)
    # Correlations are shrunk by a fifth toward 0: 0.75 of 1.75.
    assert graph[0, 1] == pytest.approx(0.43, abs=0.02)
    np.testing.assert_array_equal(graph[2], [0.0, 0.0, 1.0])


def test_a_graph_knows_nothing_of_what_comes_after_the_train_window():
    before = symbol_graph(make_training())
    np.testing.assert_array_equal(symbol_graph(make_training(changed_from=LAST_TRAINED)), before)
    changed = symbol_graph(make_training(changed_from=LAST_TRAINED - 20))
    assert np.abs(changed - before).max() > 0.01


def test_a_sector_sees_its_symbols_alike_and_a_symbol_without_one_itself():
    training = make_training("sector", sectors={"A": "tech", "C": "tech"})
    expected = [[0.5, 0.0, 0.5], [0.0, 1.0, 0.0], [0.5, 0.0, 0.5]]
    np.testing.assert_array_equal(symbol_graph(training), expected)
    alone = replace(training, sectors=())
    np.testing.assert_array_equal(symbol_graph(alone), np.eye(3))
    assert training.key != alone.key


def test_an_agent_without_a_graph_has_none():
    assert symbol_graph(replace(make_training(), agent=PpoSpec())) is None


def test_edges_of_sectors_need_sectors():
    policy = {"agents": {"ppo": {"encoder": {"kind": "graph", "edges": "sector"}}}}
    with pytest.raises(ValidationError, match=r"agent ppo had edges sector without risk\.sectors"):
        make_strategy(policy=policy)
    strategy = make_strategy(policy=policy, risk={"sectors": {"A": "tech"}})
    assert strategy.policy.agents["ppo"].encoder.edges == "sector"
