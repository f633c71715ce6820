import hashlib
import json

import numpy as np
import pytest
from safetensors.numpy import load, save

from trading_assets.errors import DataError
from trading_assets.policy.model_cards import canonical_json
from trading_assets.policy.networks import TrainedPolicy
from trading_assets_tests.policy.tasks import broken, make_policy, make_strategy

POLICY = make_policy(make_strategy())


def with_tensors(files, change):
    """Return files whose weights were changed and whose card was made to agree."""
    tensors = load(files["weights.safetensors"])
    change(tensors)
    weights = save(tensors)
    card = json.loads(files["card.json"])
    card["weights_sha256"] = hashlib.sha256(weights).hexdigest()
    card["shapes"] = {name: list(t.shape) for name, t in tensors.items()}
    return {"weights.safetensors": weights, "card.json": canonical_json(card)}


def test_a_policy_read_back_acts_alike_and_writes_the_same_bytes():
    files = POLICY.to_files()
    again = TrainedPolicy.from_files(files)
    seen = np.random.default_rng(0).normal(size=(5, POLICY.rules.n_inputs)).astype(np.float32)
    np.testing.assert_array_equal(again.act(seen), POLICY.act(seen))
    assert again.to_files() == files


def test_an_observation_is_answered_alike_alone_and_in_a_batch():
    seen = np.random.default_rng(0).normal(size=(64, POLICY.rules.n_inputs)).astype(np.float32)
    together = POLICY.act(seen)
    for k in range(len(seen)):
        np.testing.assert_array_equal(POLICY.act(seen[k : k + 1])[0], together[k])
    assert np.abs(together).max() <= 1.0


def test_any_changed_byte_of_the_weights_is_refused():
    files = POLICY.to_files()
    for position in range(0, len(files["weights.safetensors"]), 97):
        damaged = bytearray(files["weights.safetensors"])
        damaged[position] ^= 1
        with pytest.raises(DataError, match="sha256"):
            TrainedPolicy.from_files({**files, "weights.safetensors": bytes(damaged)})


def test_a_weight_that_is_not_finite_is_refused():
    with pytest.raises(DataError, match="finite"):
        broken(POLICY, "hidden_0.weight", np.nan)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda t: t.update({"action.bias": np.zeros(2, np.float32)}), "tensor action"),
        (lambda t: t.update({"hidden_0.weight": np.zeros((8, 3), np.float32)}), "tensor hidden_0"),
        (lambda t: t.pop("hidden_1.bias"), "tensors"),
        (lambda t: t.update({"extra": np.zeros(2, np.float32)}), "tensors"),
        (lambda t: t.update({"action.bias": np.zeros(3, np.float64)}), "float32"),
        (lambda t: t.update({"action.bias": np.full(3, np.inf, np.float32)}), "finite"),
    ],
)
def test_weights_that_do_not_fit_the_rules_are_refused(change, complaint):
    with pytest.raises(DataError, match=complaint):
        TrainedPolicy.from_files(with_tensors(POLICY.to_files(), change))


def test_a_missing_file_or_a_broken_card_is_refused():
    files = POLICY.to_files()
    with pytest.raises(DataError, match=r"expected card\.json"):
        TrainedPolicy.from_files({"card.json": files["card.json"]})
    with pytest.raises(DataError, match="not JSON"):
        TrainedPolicy.from_files({**files, "card.json": b"{"})
    with pytest.raises(DataError, match="JSON object"):
        TrainedPolicy.from_files({**files, "card.json": b"[]"})


def test_nothing_is_loaded_that_could_run_code():
    # A safetensors file is a JSON header and raw numbers; a pickle stream begins with 0x80.
    weights = POLICY.to_files()["weights.safetensors"]
    header = int.from_bytes(weights[:8], "little")
    assert set(json.loads(weights[8 : 8 + header])) == set(POLICY.tensors)
