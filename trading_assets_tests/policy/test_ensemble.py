from dataclasses import replace

import numpy as np
import pytest
from pydantic import TypeAdapter

from trading_assets.agent_specs import DeclaredAgent, PpoSpec
from trading_assets.backtest.folds import Fold
from trading_assets.ensemble_specs import DeclaredEnsemble
from trading_assets.errors import DataError
from trading_assets.policy import fold as fold_module
from trading_assets.policy.acting import Acting
from trading_assets.policy.bundle import MANIFEST_FILE, Bundle
from trading_assets.policy.ensemble import (
    Ensemble,
    ValidationTrack,
    exponentiated_gradient,
    member_weights,
    traded_ensembles,
    weights_by_member,
)
from trading_assets.policy.fold import TrainingTables, read_seeds, read_tracks, train_seeds
from trading_assets.policy.model_cards import parse_json
from trading_assets.policy.networks import TrainedPolicy
from trading_assets.policy.observation import assemble_context, build_observation
from trading_assets.policy.rollout import roll_rows
from trading_assets.policy.world_task import follow_signals, world_rules, world_training
from trading_assets.risk.limits import WeightLimits
from trading_assets.simulation.worlds.one_asset import WorldOne, best_policy
from trading_assets_tests.policy.tasks import (
    days_of,
    make_policy,
    make_strategy,
    make_tables,
    random_market,
)

STRATEGY = make_strategy()
RULES = ("mean_action", "trailing_sharpe", "exponentiated_gradient")
POLICIES = {
    "a2c": [make_policy(STRATEGY, seed=seed) for seed in (3, 4)],
    "ppo": [make_policy(STRATEGY, seed=seed) for seed in (0, 1, 2)],
}


def spec_of(rule, **values):
    return TypeAdapter(DeclaredEnsemble).validate_python({"rule": rule, **values})


def track(returns):
    return ValidationTrack(np.asarray(returns), np.asarray(returns))


def tracks_of(skill, n_bars=126):
    rng = np.random.default_rng(0)
    drawn = {a: {p.seed: rng.normal(0, 0.01, n_bars) for p in s} for a, s in POLICIES.items()}
    return {a: {s: track(r + skill[a]) for s, r in seeds.items()} for a, seeds in drawn.items()}


@pytest.mark.parametrize("rule", RULES)
def test_weights_of_a_rule_sum_to_one_and_keep_the_floor(rule):
    tracks = tracks_of({"ppo": 0.004, "a2c": -0.004})
    numbers = {"floor": 0.05} if rule == "exponentiated_gradient" else {}
    weights = member_weights(spec_of(rule, **numbers), tracks)
    assert list(weights) == ["a2c/seed-3", "a2c/seed-4", "ppo/seed-0", "ppo/seed-1", "ppo/seed-2"]
    assert sum(weights.values()) == pytest.approx(1.0, abs=1e-12)
    if rule == "exponentiated_gradient":
        assert min(weights.values()) == pytest.approx(0.05, abs=1e-12)
        assert max(weights.values()) > 0.3
    if rule == "trailing_sharpe":
        assert weights["a2c/seed-3"] == weights["a2c/seed-4"] == 0.0
        assert weights["ppo/seed-1"] == 1 / 3


def test_equal_members_weigh_the_same():
    rewards = np.repeat(np.random.default_rng(1).normal(size=(80, 1)), 3, axis=1)
    np.testing.assert_array_equal(exponentiated_gradient(rewards, 0.5, 0.05), np.full(3, 1 / 3))
    np.testing.assert_array_equal(exponentiated_gradient(np.ones((9, 2)), 0.5, 0.05), [0.5, 0.5])


def test_updates_are_those_of_the_formula():
    rewards = np.array([[1.0, -1.0], [3.0, 1.0], [0.0, 0.5]])
    utilities = rewards / rewards.std()
    expected = np.exp(0.2 * utilities.sum(axis=0))
    found = exponentiated_gradient(rewards, 0.2, 0.0)
    np.testing.assert_allclose(found, expected / expected.sum(), rtol=1e-12)
    # The unit of rewards does not matter.
    np.testing.assert_allclose(exponentiated_gradient(1e-4 * rewards, 0.2, 0.0), found, rtol=1e-12)


def test_a_floor_raises_the_least_weights_and_leaves_the_others_ratio():
    rewards = np.array([[0.0, 1.0, 1.1, -1.0]])
    free = exponentiated_gradient(rewards, 2.0, 0.0)
    found = exponentiated_gradient(rewards, 2.0, 0.1)
    assert (free < 0.1).tolist() == [True, False, False, True]
    assert found[[0, 3]].tolist() == [0.1, 0.1]
    assert found[1] / found[2] == pytest.approx(free[1] / free[2])
    assert found.sum() == pytest.approx(1.0)
    # Raising one can bring another below.
    steps = exponentiated_gradient(np.log([[0.2, 0.255, 0.545]]), 1.0, 0.25)
    assert steps.min() >= 0.25 - 1e-12
    many = exponentiated_gradient(np.eye(30), 5.0, 0.05)
    np.testing.assert_allclose(many, np.full(30, 1 / 30), rtol=1e-12)


def test_the_agent_with_the_best_sharpe_ratio_is_traded_not_the_one_that_earns_most():
    even = np.tile([0.002, 0.001], 50)
    wild = np.tile([0.05, -0.04], 50)
    tracks = {"a2c": {3: track(even), 4: track(even)}, "ppo": {s: track(wild) for s in range(3)}}
    weights = member_weights(spec_of("trailing_sharpe"), tracks)
    assert weights["a2c/seed-3"] == 0.5
    still = {"idle": {0: track(np.zeros(4))}, "loser": {0: track([-0.1, 0.05, -0.1, 0.05])}}
    assert member_weights(spec_of("trailing_sharpe"), still)["idle/seed-0"] == 1.0


def test_a_weighted_action_is_the_weighted_mean_and_equal_weights_are_the_plain_mean():
    seen = np.random.default_rng(0).normal(size=(5, RULES_INPUTS)).astype(np.float32)
    members = tuple(POLICIES["ppo"])
    actions = np.stack([policy.act(seen) for policy in members])
    found = Ensemble(members, (0.7, 0.0, 0.3)).mix(list(actions))
    np.testing.assert_allclose(found, 0.7 * actions[0] + 0.3 * actions[2], atol=1e-15)
    plain = Acting(members, 5).raw_weights(seen)
    equal = Acting(Ensemble(members, (1 / 3,) * 3), 5).raw_weights(seen)
    np.testing.assert_array_equal(equal, plain)
    assert (Acting(Ensemble(members, (0.7, 0.0, 0.3)), 5).raw_weights(seen) != plain).any()


RULES_INPUTS = POLICIES["ppo"][0].rules.n_inputs


@pytest.mark.parametrize(
    "weights", [(0.5, 0.5), (0.5, 0.6, 0.0), (1.5, -0.5, 0.0), (float("nan"), 0.5, 0.5)]
)
def test_weights_that_do_not_fit_are_refused(weights):
    with pytest.raises(DataError, match="expected as many numbers of at least 0 with sum 1"):
        Ensemble(tuple(POLICIES["ppo"]), weights)
    with pytest.raises(DataError, match="had no member"):
        Ensemble(())


def test_tracks_that_do_not_fit_are_refused():
    spec = spec_of("exponentiated_gradient")
    for tracks in (
        {},
        {"ppo": {}},
        {"ppo": {0: track([0.1]), 1: track([0.1, 0.2])}},
        {"ppo": {0: track([np.nan, 0.1])}},
    ):
        with pytest.raises(DataError, match="on the same bars for each"):
            member_weights(spec, tracks)


def test_a_fold_trades_each_agent_and_all_of_them():
    tracks = tracks_of({"ppo": 0.004, "a2c": -0.004})
    spec = spec_of("exponentiated_gradient")
    found = traded_ensembles(spec, POLICIES, tracks)
    assert sorted(found) == ["a2c/ensemble", "ensemble", "ppo/ensemble"]
    whole = member_weights(spec, tracks)
    assert weights_by_member(found, POLICIES) == whole
    assert found["a2c/ensemble"].weights == tuple(
        member_weights(spec, {"a2c": tracks["a2c"]}).values()
    )
    single = traded_ensembles(spec_of("mean_action"), {"ppo": POLICIES["ppo"]}, {})
    assert list(single) == ["ppo/ensemble"]
    assert single["ppo/ensemble"].weights is None


def weighted_bundle(rule="exponentiated_gradient"):
    strategy = make_strategy(policy={"uses_forecasts": False, "ensemble": rule})
    policies = {"ppo": [make_policy(strategy, seed=seed) for seed in (10, 2)]}
    weights = {"ppo/seed-10": 0.9, "ppo/seed-2": 0.1}
    return Bundle.from_parts(strategy, ["momentum", "reversal"], None, policies, weights)


def test_a_bundle_keeps_its_weights():
    bundle = weighted_bundle()
    files = bundle.to_files()
    assert parse_json(files[MANIFEST_FILE], "")["format"] == 2
    again = Bundle.from_files(files, bundle.digest)
    assert dict(zip([m.seed for m in again.members], again.members.weights or (), strict=True)) == {
        2: 0.1,
        10: 0.9,
    }
    assert again.ensemble_rule == "exponentiated_gradient"
    assert again.to_files() == files
    seen = np.random.default_rng(0).normal(size=(3, again.rules.n_inputs)).astype(np.float32)
    first, second = (Acting(b.members, 3).raw_weights(seen) for b in (bundle, again))
    np.testing.assert_allclose(first, second, rtol=1e-15)


def test_a_bundle_of_equal_members_is_written_as_before():
    manifest = parse_json(weighted_bundle("mean_action").to_files()[MANIFEST_FILE], "")
    assert (manifest["format"], manifest["ensemble_rule"]) == (1, "mean_action")
    assert "member_weights" not in manifest
    assert weighted_bundle("mean_action").members.weights is None


def test_a_bundle_without_its_weights_is_refused():
    bundle = weighted_bundle()
    with pytest.raises(DataError, match="had weights of"):
        replace(bundle, weights={"ppo/seed-2": 1.0})
    with pytest.raises(DataError, match="had weights of"):
        replace(bundle, ensemble_rule="mean_action")
    with pytest.raises(DataError, match="with sum 1"):
        replace(bundle, weights={"ppo/seed-2": 1.0, "ppo/seed-10": 0.5})
    files = bundle.to_files()
    old = files[MANIFEST_FILE].replace(b'"format":2', b'"format":1')
    with pytest.raises(DataError, match="format 1 and ensemble rule exponentiated_gradient"):
        Bundle.from_files({**files, MANIFEST_FILE: old})


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ("median", "exponentiated_gradient"),
        ({"rule": "exponentiated_gradient", "floor": 1.0}, "less than 1"),
        ({"rule": "exponentiated_gradient", "learning_rate": 0.0}, "greater than 0"),
        ({"rule": "trailing_sharpe", "floor": 0.1}, "Extra inputs"),
    ],
)
def test_a_rule_that_is_not_known_is_refused(declared, message):
    with pytest.raises(ValueError, match=message):
        make_strategy(policy={"ensemble": declared})


def test_weights_use_nothing_after_the_validation_window(monkeypatch):
    market = random_market(160)
    monkeypatch.setattr(fold_module, "market_of", lambda *_: market_now)
    days = days_of(market)
    window = Fold("2020", days[0], days[139], days[100], days[140], days[159])
    strategy = make_strategy(policy={"ensemble": "exponentiated_gradient"})
    agent = TypeAdapter(DeclaredAgent).validate_python(
        {"algorithm": "a2c", "total_steps": 1_000, "episode_bars": 16, "seeds": 2, "n_envs": 8}
    )
    found = []
    for scale in (1.0, 1.3):
        close = market.close.copy()
        close[140:] *= scale
        market_now = replace(market, close=close)
        features, forecasts = make_tables(market)
        tables = TrainingTables(features, features, features, forecasts)
        trained = train_seeds(tables, window, strategy, None, agent)
        files = trained.to_files()
        tracks = read_tracks(files)
        assert [len(t.returns) for t in tracks.values()] == [39, 39]
        assert [policy.seed for policy in read_seeds(files)] == [0, 1]
        found.append(member_weights(strategy.policy.ensemble, {"ppo": tracks}))
        for seed, one in trained.tracks.items():
            np.testing.assert_array_equal(one.returns, tracks[seed].returns)
    assert found[0] == found[1]
    assert len(set(found[0].values())) == 2
    with pytest.raises(DataError, match=r"expected validation\.json"):
        read_tracks({"seed-0/card.json": b"{}"})


WORLD = WorldOne().with_information(0.3)
WORLD_RULES = world_rules(WORLD, WeightLimits(1.0, 1.0, is_long_only=False))


def world_member(seed, *, is_fitted=False):
    """A network of random weights, or one whose last layer follows the best policy."""
    rng = np.random.default_rng(seed)
    tensors, before = {}, WORLD_RULES.n_inputs
    for name, after in (("hidden_0", 32), ("hidden_1", 32), ("action", 1)):
        weight = rng.normal(0, 1 / np.sqrt(before), (after, before))
        tensors[f"{name}.weight"] = weight.astype(np.float32)
        tensors[f"{name}.bias"] = np.zeros(after, dtype=np.float32)
        before = after
    if is_fitted:
        signal, held = rng.normal(size=4_000), rng.normal(0, 0.3, 4_000)
        context = assemble_context(signal[:, None, None], np.ones((4_000, 1), dtype=bool))
        layer = build_observation(context, held[:, None], WORLD_RULES).astype(np.float64)
        for name in ("hidden_0", "hidden_1"):
            layer = np.tanh(layer @ tensors[f"{name}.weight"].T.astype(np.float64))
        rule = best_policy(WORLD)
        target = rule.keep * held + rule.gain * signal
        last = np.linalg.lstsq(layer, target, rcond=1e-6)[0]
        tensors["action.weight"] = last[None, :].astype(np.float32)
    return TrainedPolicy(WORLD_RULES, tensors, "ppo", seed, (), 0)


def test_in_w1_both_rules_reach_the_best_member_where_the_plain_mean_does_not():
    policies = {"able": [world_member(0, is_fitted=True)], "noise": [world_member(1)]}
    training = world_training(WORLD, PpoSpec(), 0, WORLD_RULES.limits, np.random.default_rng(0))
    tracks = {}
    for agent, (policy,) in policies.items():
        rewards = roll_rows([policy], training.task, range(100, 352)).rewards
        tracks[agent] = {policy.seed: track(rewards)}
    signals = WORLD.draw_signals(300, 100, np.random.default_rng(1))

    def share(members):
        return (
            WORLD.mean_reward(signals, follow_signals(members, signals), 50).mean() / WORLD.optimum
        )

    best = share(policies["able"])
    plain = share([*policies["able"], *policies["noise"]])
    assert best > 0.9
    for rule in RULES[1:]:
        found = share(traded_ensembles(spec_of(rule), policies, tracks)["ensemble"])
        assert found > plain + 0.5
        assert found > 0.98 * best
