"""Policies as torch functions: the same numbers as those that act."""

from dataclasses import replace

import numpy as np
import pytest

from trading_assets.encoder_specs import CnnEncoderSpec, GraphEncoderSpec, LstmEncoderSpec
from trading_assets.errors import DataError
from trading_assets.policy.differentiable_policy import (
    FORM_TOLERANCE,
    DifferentiableEnsemble,
    DifferentiablePolicy,
)
from trading_assets.policy.ensemble import Ensemble
from trading_assets_tests.policy.tasks import SYMBOLS, make_policy, make_strategy

ENCODERS = {
    "none": None,
    "cnn": CnnEncoderSpec(kind="cnn", channels=3, kernel_bars=3, outputs=2),
    "lstm": LstmEncoderSpec(kind="lstm", hidden_units=4),
    "graph": GraphEncoderSpec(kind="graph", units=4),
    "attending": GraphEncoderSpec(kind="graph", units=4, attention=True),
}


def seen_by(policy, n=50):
    rng = np.random.default_rng(3)
    seen = rng.normal(size=(n, policy.rules.n_inputs)).astype(np.float32)
    return seen, rng.normal(size=(n, policy.n_memory))


def gap_of(policies):
    ensemble = Ensemble(tuple(policies)) if not isinstance(policies, Ensemble) else policies
    seen = seen_by(ensemble[0])[0]
    memories = [seen_by(policy)[1] for policy in ensemble]
    return DifferentiableEnsemble(ensemble).form_gap(seen, memories)


@pytest.mark.parametrize("position", ["long_only", "long_short"])
@pytest.mark.parametrize("output", ["clip", "tanh"])
@pytest.mark.parametrize("memory_units", [0, 5])
def test_a_policy_is_the_one_that_acts(output, memory_units, position):
    strategy = make_strategy(policy={"position": position})
    policy = replace(make_policy(strategy, memory_units=memory_units), output=output)
    assert gap_of([policy]) < 1e-12


@pytest.mark.parametrize("kind", ENCODERS)
@pytest.mark.parametrize("memory_units", [0, 5])
def test_a_policy_of_windows_is_the_one_that_acts(kind, memory_units):
    strategy = make_strategy(policy={"window_bars": 12})
    policy = make_policy(strategy, memory_units=memory_units, encoder=ENCODERS[kind])
    if kind in ("graph", "attending"):
        graph = np.array([[0.7, 0.3, 0.0], [0.4, 0.6, 0.0], [0.0, 0.0, 1.0]], np.float32)
        policy = replace(policy, tensors={**policy.tensors, "encoder.graph": graph})
    assert gap_of([policy]) < 1e-12


def test_members_count_by_their_weights():
    strategy = make_strategy()
    members = tuple(make_policy(strategy, seed=seed) for seed in range(3))
    assert gap_of(Ensemble(members)) < 1e-12
    assert gap_of(Ensemble(members, (0.5, 0.5, 0.0))) < 1e-12
    unequal = Ensemble(members, (0.7, 0.2, 0.1))
    assert gap_of(unequal) < 1e-12
    seen, memory = seen_by(members[0])
    even = DifferentiableEnsemble(Ensemble(members))
    even._ensemble = unequal
    assert even.form_gap(seen, [memory] * 3) > FORM_TOLERANCE


def test_actions_at_their_bound_are_clipped_alike():
    policy = make_policy(make_strategy())
    tensors = {**policy.tensors, "action.bias": np.full(len(SYMBOLS), 3.0, np.float32)}
    assert gap_of([replace(policy, tensors=tensors)]) < 1e-12


def test_levels_have_no_gradient():
    policy = make_policy(make_strategy())
    tensors = dict(policy.tensors)
    tensors["action.weight"] = np.repeat(tensors["action.weight"], 3, axis=0)
    tensors["action.bias"] = np.repeat(tensors["action.bias"], 3)
    choosing = replace(policy, tensors=tensors, output="levels", levels=(-1.0, 0.0, 1.0))
    with pytest.raises(DataError, match="chooses among 3 levels, which have no gradient"):
        DifferentiablePolicy(choosing)
    # One that does not count is not asked.
    DifferentiableEnsemble(Ensemble((policy, choosing), (1.0, 0.0)))
