"""What moves an ensemble's weights: golden values of W1, and how observations are grouped."""

from dataclasses import replace

import numpy as np
import pytest

from trading_assets.encoder_specs import CnnEncoderSpec
from trading_assets.policy.action_attribution import attribute_actions, baseline_observation
from trading_assets.policy.ensemble import Ensemble
from trading_assets.policy.input_names import ObservedInput
from trading_assets.policy.networks import TrainedPolicy
from trading_assets.policy.rollout import build_task
from trading_assets.simulation.worlds.one_asset import WorldOne, trade_rate_and_aim
from trading_assets_tests.policy.tasks import (
    SYMBOLS,
    make_policy,
    make_strategy,
    make_tables,
    random_market,
)

# Within so small a part of its range tanh is linear to 1e-8.
LINEAR = 1e-4


def linear_policy(strategy, gain, keep):
    """Return a policy of one symbol that wants gain x signal + keep x the weight held."""
    policy = make_policy(strategy, ("W1",))
    n_inputs = policy.rules.n_inputs
    weights = np.zeros((2, n_inputs), np.float32)
    weights[0, 0], weights[1, -1] = LINEAR, LINEAR
    scale = policy.rules.limits.max_weight
    tensors = {
        "hidden_0.weight": weights,
        "hidden_1.weight": np.eye(2, dtype=np.float32),
        "action.weight": np.array([[gain, keep * scale]], np.float32) / (LINEAR * scale),
        **{f"hidden_{layer}.bias": np.zeros(2, np.float32) for layer in range(2)},
        "action.bias": np.zeros(1, np.float32),
    }
    # What is held is shown over a quarter of the largest weight in a long-short book.
    tensors["action.weight"][0, 1] /= 4.0
    return TrainedPolicy(policy.rules, tensors, "linear", 0, (), 0)


def w1_strategy():
    return make_strategy(
        policy={
            "position": "long_short",
            "sizing": "constant_notional",
            "observed_features": ["signal"],
            "uses_forecasts": False,
            "confidence_sizing": "none",
        },
        risk={"max_weight": 1.0, "max_gross": 1.0},
    )


def test_the_optimal_policy_of_w1_owes_its_weight_to_signal_and_weight_held():
    kappa, aim = trade_rate_and_aim(WorldOne())
    policy = linear_policy(w1_strategy(), kappa * aim, 1.0 - kappa)
    rng = np.random.default_rng(0)
    signal, held = 0.5 * rng.normal(size=60), 0.2 * rng.normal(size=60)
    seen = np.column_stack([signal, np.ones(60), held / 0.25]).astype(np.float32)
    # Known, no signal, nothing held.
    found = attribute_actions([policy], seen, np.array([0.0, 1.0, 0.0]))
    assert [each.name for each in found.inputs] == ["signal", "is_known", "held_weight"]
    by_signal, by_mask, by_held = np.moveaxis(found.contributions[:, 0], 1, 0)
    np.testing.assert_allclose(by_signal, kappa * aim * signal, rtol=1e-6)
    np.testing.assert_allclose(by_held, (1.0 - kappa) * held, rtol=1e-6)
    np.testing.assert_array_equal(by_mask, 0.0)
    assert found.completeness_error < 1e-6


def tanh_ensemble(strategy, n=3):
    return Ensemble(tuple(make_policy(strategy, seed=seed) for seed in range(n)))


def test_contributions_add_up_to_the_weight_that_acts():
    strategy = make_strategy()
    ensemble = tanh_ensemble(strategy)
    rng = np.random.default_rng(1)
    seen = rng.normal(size=(30, ensemble[0].rules.n_inputs)).astype(np.float32)
    found = attribute_actions(ensemble, seen, np.zeros(seen.shape[1]))
    summed = found.at_baseline + found.contributions.sum(axis=2)
    scale = np.abs(found.raw_weights - found.at_baseline).mean()
    assert np.abs(summed - found.raw_weights).max() / scale < 0.01
    assert found.form_gap < 1e-12
    assert len(found.inputs) == found.contributions.shape[2] == seen.shape[1]


def test_an_input_that_no_weight_reads_adds_nothing():
    strategy = make_strategy()
    policy = make_policy(strategy)
    first = policy.tensors["hidden_0.weight"].copy()
    first[:, 1] = 0.0
    blind = replace(policy, tensors={**policy.tensors, "hidden_0.weight": first})
    seen = np.random.default_rng(2).normal(size=(10, first.shape[1])).astype(np.float32)
    found = attribute_actions([blind], seen, np.zeros(first.shape[1]))
    place = found.inputs.index(ObservedInput("feature", "reversal", "A"))
    np.testing.assert_array_equal(found.contributions[:, :, place], 0.0)


def test_bars_of_a_window_are_summed_by_input():
    spec = CnnEncoderSpec(kind="cnn", channels=3, kernel_bars=3, outputs=2)
    strategy = make_strategy(policy={"window_bars": 12})
    policy = make_policy(strategy, encoder=spec)
    seen = np.random.default_rng(3).normal(size=(8, policy.rules.n_inputs)).astype(np.float32)
    found = attribute_actions([policy], seen, np.zeros(seen.shape[1]))
    assert found.contributions.shape == (8, 3, 3 * policy.rules.n_symbol_inputs + 4)
    assert found.completeness_error < 0.01


def test_what_a_recurrent_policy_remembers_is_part_of_where_it_starts():
    strategy = make_strategy()
    policy = make_policy(strategy, memory_units=5)
    rng = np.random.default_rng(4)
    seen = rng.normal(size=(6, policy.rules.n_inputs)).astype(np.float32)
    baseline = np.zeros(seen.shape[1])
    remembered = attribute_actions([policy], seen, baseline, [rng.normal(size=(6, 10))])
    fresh = attribute_actions([policy], seen, baseline)
    assert np.ptp(fresh.at_baseline, axis=0).max() < 1e-15
    assert np.ptp(remembered.at_baseline, axis=0).min() > 1e-3
    assert remembered.form_gap < 1e-12
    assert max(fresh.completeness_error, remembered.completeness_error) < 0.01


def test_the_baseline_is_the_mean_bar_seen_by_an_account_in_cash():
    market = random_market(80)
    task = build_task(market, *make_tables(market), make_strategy())
    rows = np.arange(10, 60)
    baseline = baseline_observation(task, rows)
    width = task.view.context.shape[1]
    np.testing.assert_allclose(baseline[:width], task.view.context[rows].mean(axis=0), atol=1e-7)
    # Three weights of 0, and all of the equity in cash.
    assert baseline[width:].tolist() == [0.0, 0.0, 0.0, 1.0]


def test_later_rows_change_nothing_of_the_baseline():
    market = random_market(80)
    features, forecasts = make_tables(market)
    task = build_task(market, features, forecasts, make_strategy())
    other = task.view.context.copy()
    other[60:] = 9.0
    changed = replace(task, view=replace(task.view, context=other))
    rows = np.arange(10, 60)
    np.testing.assert_array_equal(
        baseline_observation(task, rows), baseline_observation(changed, rows)
    )


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_each_symbol_has_contributions_of_its_own(symbol):
    ensemble = tanh_ensemble(make_strategy(), 1)
    seen = np.random.default_rng(5).normal(size=(4, ensemble[0].rules.n_inputs))
    found = attribute_actions(ensemble, seen.astype(np.float32), np.zeros(seen.shape[1]))
    place = SYMBOLS.index(symbol)
    others = [other for other in range(len(SYMBOLS)) if other != place]
    for other in others:
        assert not np.allclose(found.contributions[:, place], found.contributions[:, other])
