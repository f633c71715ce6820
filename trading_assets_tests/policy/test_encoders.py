"""Encoders: the same in training and where a policy acts, and refused where they do not fit."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from trading_assets.agent_specs import DirectSpec, PpoSpec, SacSpec
from trading_assets.encoder_specs import CnnEncoderSpec, GraphEncoderSpec, LstmEncoderSpec
from trading_assets.errors import DataError
from trading_assets.policy.encoders import WindowEncoder
from trading_assets.policy.encoding import encode
from trading_assets.policy.model_cards import canonical_json
from trading_assets.policy.networks import TrainedPolicy
from trading_assets.policy.trainers import train
from trading_assets.policy.world_task import follow_signals, world_training
from trading_assets.policy_specs import PolicySpec
from trading_assets.risk.limits import WeightLimits
from trading_assets.simulation.episodes import Episodes
from trading_assets.simulation.worlds.one_asset import WorldOne

CNN = CnnEncoderSpec(kind="cnn", channels=3, kernel_bars=3, outputs=2)
LSTM = LstmEncoderSpec(kind="lstm", hidden_units=4)
GRAPH = GraphEncoderSpec(kind="graph", units=4)
ATTENDING = GraphEncoderSpec(kind="graph", units=4, attention=True)
SPECS = {"cnn": CNN, "lstm": LSTM, "graph": GRAPH, "attending": ATTENDING}
# The first symbol is bound to the second, and the third to none.
BONDS = np.array([[0.7, 0.3, 0.0], [0.4, 0.6, 0.0], [0.0, 0.0, 1.0]], dtype=np.float32)
LIMITS = WeightLimits(1.0, 1.0, is_long_only=False)
SMALL = {"total_steps": 1_024, "n_envs": 8, "hidden_units": 8, "episode_bars": 16}
AGENTS = {
    "ppo": PpoSpec(**SMALL, n_steps=16, batch_size=64, n_epochs=2),
    "sac": SacSpec(**SMALL, algorithm="sac", batch_size=64, learning_starts=256, buffer_size=2_000),
    "direct": DirectSpec(
        algorithm="direct", total_steps=1_024, paths=16, unroll_bars=8, hidden_units=8
    ),
}


def make_windows(n=6, window=12, n_symbols=3, n_inputs=2):
    return np.random.default_rng(0).normal(size=(n, window, n_symbols, n_inputs))


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_a_window_is_encoded_alike_in_training_and_in_trading(spec):
    windows = make_windows()
    torch.manual_seed(0)
    module = WindowEncoder(spec, 12, 3, 2, BONDS)
    tensors = {name: value.detach().numpy() for name, value in module.state_dict().items()}
    trained = module(torch.from_numpy(windows.astype(np.float32))).detach().numpy()
    traded = encode(spec, tensors, windows)
    assert traded.shape == (6, module.n_features)
    assert np.abs(traded).max() > 0.01
    np.testing.assert_allclose(traded, trained, atol=2e-6)


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_a_window_is_encoded_to_the_same_bits_in_any_batch(spec):
    windows = make_windows(n=33)
    module = WindowEncoder(spec, 12, 3, 2, BONDS)
    tensors = {name: value.detach().numpy() for name, value in module.state_dict().items()}
    together = encode(spec, tensors, windows)
    for place in range(len(windows)):
        alone = encode(spec, tensors, windows[place : place + 1])
        np.testing.assert_array_equal(alone[0], together[place])


@pytest.mark.parametrize("spec", [CNN, LSTM], ids=["cnn", "lstm"])
def test_every_symbol_passes_the_same_weights(spec):
    windows = make_windows(n=2)
    module = WindowEncoder(spec, 12, 3, 2, BONDS)
    tensors = {name: value.detach().numpy() for name, value in module.state_dict().items()}
    order = [2, 0, 1]
    seen = encode(spec, tensors, windows).reshape(2, 3, -1)
    swapped = encode(spec, tensors, windows[:, :, order]).reshape(2, 3, -1)
    np.testing.assert_array_equal(swapped, seen[:, order])


@pytest.mark.parametrize("spec", [GRAPH, ATTENDING], ids=["graph", "attending"])
def test_a_symbol_sees_those_that_it_is_bound_to_and_no_others(spec):
    windows = make_windows(n=2)
    module = WindowEncoder(spec, 12, 3, 2, BONDS)
    tensors = {name: value.detach().numpy() for name, value in module.state_dict().items()}
    seen = encode(spec, tensors, windows).reshape(2, 3, -1)
    for symbol, sees in enumerate(BONDS.T > 0.0):
        changed = windows.copy()
        changed[:, :, symbol] += 1.0
        moved = encode(spec, tensors, changed).reshape(2, 3, -1) != seen
        np.testing.assert_array_equal(moved.any(axis=(0, 2)), sees)


@pytest.mark.parametrize("spec", [GRAPH, ATTENDING], ids=["graph", "attending"])
def test_a_graph_encoder_knows_no_order_of_symbols(spec):
    windows = make_windows(n=2)
    module = WindowEncoder(spec, 12, 3, 2, BONDS)
    tensors = {name: value.detach().numpy() for name, value in module.state_dict().items()}
    order = [2, 0, 1]
    seen = encode(spec, tensors, windows).reshape(2, 3, -1)
    other = tensors | {"graph": BONDS[np.ix_(order, order)]}
    swapped = encode(spec, other, windows[:, :, order]).reshape(2, 3, -1)
    np.testing.assert_allclose(swapped, seen[:, order], rtol=1e-12)


def test_a_symbol_attends_to_those_it_is_bound_to_however_loud_others_are():
    module = WindowEncoder(ATTENDING, 12, 3, 2, BONDS)
    tensors = {name: value.detach().numpy().copy() for name, value in module.state_dict().items()}
    tensors["first.score.weight"] *= 1e6
    windows = make_windows(n=2)
    assert np.isfinite(encode(ATTENDING, tensors, windows)).all()
    module.load_state_dict({name: torch.from_numpy(value) for name, value in tensors.items()})
    assert torch.isfinite(module(torch.from_numpy(windows.astype(np.float32)))).all()


def make_training(agent, encoder, window_bars=8):
    training = world_training(
        WorldOne(),
        agent.model_copy(update={"encoder": encoder}),
        0,
        LIMITS,
        np.random.default_rng(0),
        window_bars=window_bars,
    )
    signals = WorldOne().draw_signals(20, 4, np.random.default_rng(2))

    def score(policy):
        return WorldOne().mean_reward(signals, follow_signals([policy], signals), 5)

    episodes = Episodes(window_bars - 1, 400, 16, 100.0)
    return replace(training, episodes=episodes, score=score)


@pytest.mark.parametrize("spec", [CNN, LSTM, ATTENDING], ids=["cnn", "lstm", "attending"])
@pytest.mark.parametrize("name", list(AGENTS))
def test_agents_learn_their_encoders_and_act_from_files(name, spec):
    training = make_training(AGENTS[name], spec)
    policy = train(training)
    fresh = train(replace(training, seed=1))
    learned = {n for n in policy.tensors if n.startswith("encoder.")}
    assert len(learned) >= 4
    assert any((policy.tensors[n] != fresh.tensors[n]).any() for n in learned)
    again = TrainedPolicy.from_files(policy.to_files())
    signals = np.random.default_rng(1).normal(size=(12, 4, 1, 1))
    positions = follow_signals([policy], signals)
    np.testing.assert_array_equal(follow_signals([again], signals), positions)
    # What was seen seven bars ago is in the window, and eight bars ago is not.
    for bar, matters in ((4, True), (3, False)):
        changed = signals.copy()
        changed[bar] += 1.0
        held = positions[10]
        seen = _decide_at(policy, changed, held) != _decide_at(policy, signals, held)
        assert seen.any() == matters, bar


def _decide_at(policy, signals, held):
    context = np.concatenate(
        [np.column_stack([signals[bar][:, 0, 0], np.ones(4)]) for bar in range(4, 12)], axis=1
    )
    return policy.act(np.column_stack([context, held]).astype(np.float32))


def test_encoder_weights_are_trained_and_not_left_as_they_were_drawn():
    first = train(make_training(AGENTS["direct"], LSTM))
    longer = AGENTS["direct"].model_copy(update={"total_steps": 4_096})
    last = train(make_training(longer, LSTM))
    assert (
        first.tensors["encoder.lstm.weight_hh_l0"] != last.tensors["encoder.lstm.weight_hh_l0"]
    ).any()


def test_a_window_too_short_for_an_encoder_is_refused_when_declared():
    agents = {"ppo": {"encoder": {"kind": "cnn", "kernel_bars": 5}}}
    with pytest.raises(ValidationError, match=r"window_bars was 12 .* expected at least 13"):
        PolicySpec(agents=agents, window_bars=12)
    PolicySpec(agents=agents, window_bars=13)
    with pytest.raises(ValidationError, match="window_bars was 1 "):
        PolicySpec(agents={"ppo": {"encoder": {"kind": "lstm"}}})


def test_episodes_that_start_before_their_window_are_refused():
    training = make_training(AGENTS["ppo"], LSTM)
    early = replace(training, episodes=Episodes(5, 400, 16, 100.0))
    with pytest.raises(DataError, match=r"observations show 8 bars .* is bar 6"):
        train(early)


def test_observations_that_are_not_finite_are_refused_before_training():
    training = make_training(AGENTS["ppo"], None, window_bars=1)
    context = training.task.view.context.copy()
    context[17, 0] = np.nan
    view = replace(training.task.view, context=context)
    with pytest.raises(DataError, match=r"observations at .* hold 1 numbers that are nan"):
        train(replace(training, task=replace(training.task, view=view)))


def test_a_card_with_another_encoder_is_refused():
    policy = train(make_training(AGENTS["direct"], LSTM))
    files = policy.to_files()
    card = json.loads(files["card.json"])
    card["encoder"] = {"kind": "lstm", "hidden_units": 5}
    with pytest.raises(DataError, match=r"expected .* train again"):
        TrainedPolicy.from_files({**files, "card.json": canonical_json(card)})
    card["encoder"] = {"kind": "attention"}
    with pytest.raises(DataError, match="which is none of this version"):
        TrainedPolicy.from_files({**files, "card.json": canonical_json(card)})
