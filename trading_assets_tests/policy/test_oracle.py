import json
from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from trading_assets.agent_specs import PpoSpec
from trading_assets.errors import DeclarationError
from trading_assets.policy import oracle, world_task
from trading_assets.policy.decision_rules import DecisionRules
from trading_assets.policy.ladder import plot_ladder
from trading_assets.policy.networks import TrainedPolicy
from trading_assets.policy.oracle import climb_oracle_ladder
from trading_assets.policy.world_task import declared_world, follow_signals
from trading_assets.risk.limits import WeightLimits
from trading_assets.simulation.worlds.one_asset import WorldOne, best_policy, draw_signal
from trading_assets.source_specs import WorldSource
from trading_assets.strategy import Strategy

SOURCE = WorldSource(kind="world")
AGENT = PpoSpec()


def w1_strategy(**changes):
    declared = {
        "market_data": "w1_daily",
        "costs": {"fee_bps": 0, "half_spread_bps": 0, "quadratic_lambda": 250},
        "policy": {
            "agents": {"ppo": {}},
            "position": "long_short",
            "sizing": "constant_notional",
            "observed_features": ["signal"],
            "uses_forecasts": False,
            "risk_aversion": 25,
        },
        "risk": {"max_weight": 1.0, "max_gross": 1.0},
        "folds": {"first": date(2023, 1, 1)},
    }
    for section, values in changes.items():
        declared[section] = {**declared.get(section, {}), **values}
    return Strategy.model_validate(declared)


def test_the_declared_world_is_that_of_the_closed_form():
    assert declared_world(w1_strategy(), SOURCE) == WorldOne()


@pytest.mark.parametrize(
    ("changes", "demand"),
    [
        ({"policy": {"position": "long_only"}}, "long_short"),
        ({"policy": {"sizing": "equity"}}, "constant_notional"),
        ({"policy": {"risk_aversion": 0}}, "risk_aversion"),
        ({"costs": {"quadratic_lambda": 0}}, "quadratic_lambda"),
        ({"costs": {"fee_bps": 1}}, "no fee"),
        ({"risk": {"max_turnover": 0.1}}, "sectors or turnover"),
        ({"rebalance": {"kind": "weekly"}}, "rebalance every_bar"),
    ],
)
def test_a_strategy_without_a_closed_form_is_refused(changes, demand):
    with pytest.raises(DeclarationError, match=demand):
        declared_world(w1_strategy(**changes), SOURCE)


def test_a_network_that_is_the_best_policy_takes_its_path():
    # Two tanh layers in their linear range around 0, scaled up again: x = keep x + gain f.
    best = best_policy(WorldOne())
    small = 1e-4
    hidden = np.zeros((4, 3), dtype=np.float32)
    # Inputs are signal, mask and held weight over a quarter of its limit.
    hidden[0] = [small * best.gain, 0.0, small * best.keep * 0.25]
    tensors = {
        "hidden_0.weight": hidden,
        "hidden_0.bias": np.zeros(4, np.float32),
        "hidden_1.weight": np.eye(4, dtype=np.float32),
        "hidden_1.bias": np.zeros(4, np.float32),
        "action.weight": np.array([[1 / small, 0, 0, 0]], dtype=np.float32),
        "action.bias": np.zeros(1, np.float32),
    }
    limits = WeightLimits(1.0, 1.0, is_long_only=False)
    rules = DecisionRules(("W1",), ("signal",), False, "constant_notional", limits)
    policy = TrainedPolicy(rules, tensors, "ppo", 0, (), 0)
    signal = draw_signal(WorldOne(), 30, 20, np.random.default_rng(0))
    followed = follow_signals([policy], signal[:, :, None, None])[..., 0]
    held = np.zeros(20)
    for bar in range(30):
        held = np.clip(best.keep * held + best.gain * signal[bar], -1, 1)
        np.testing.assert_allclose(followed[bar], held, atol=1e-5)


def test_a_short_climb_learns_something(monkeypatch):
    monkeypatch.setattr(world_task, "HISTORY_BARS", 20_000)
    monkeypatch.setattr(world_task, "VALIDATION_PATHS", 50)
    monkeypatch.setattr(oracle, "TEST_PATHS", 400)
    result = climb_oracle_ladder(w1_strategy(), AGENT, SOURCE, [0], total_steps=8_000)
    full, declared, zero = result.rungs
    assert [rung.name for rung in result.rungs] == ["full", "declared", "zero"]
    assert full.information_coefficient == 0.3
    assert full.optimum == pytest.approx(3 * 1.239697e-4, rel=1e-5)
    assert declared.optimum == pytest.approx(1.239697e-4, rel=1e-5)
    assert full.shares[0] > 0.1
    assert full.shares == (full.ensemble_share,)
    assert zero.shares == ()
    assert zero.ensemble_share is None
    assert zero.mean_absolute_positions[0] < full.mean_absolute_positions[0]
    assert result.myopic_share == pytest.approx(0.768, abs=5e-4)
    assert json.loads(json.dumps(result.to_card()))["total_steps"] == 8_000
    plot = plot_ladder(result)
    assert plot.startswith(b"\x89PNG")
    at_rest = replace(result, rungs=(full, declared, replace(zero, mean_absolute_positions=())))
    assert plot_ladder(at_rest) != plot


@pytest.mark.slow
def test_the_agent_reaches_most_of_the_optimum_and_rests_without_a_signal():
    result = climb_oracle_ladder(w1_strategy(), AGENT, SOURCE, [0, 1, 2], total_steps=100_000)
    full, declared, zero = result.rungs
    assert full.ensemble_share > 0.9
    assert min(full.shares) > 0.85
    assert declared.ensemble_share > result.myopic_share
    assert max(zero.mean_absolute_positions) < 0.05
