import numpy as np
import onnx
import pytest
import torch

from trading_assets.forecast.dataset import Rows, gather_windows
from trading_assets.forecast.networks.ensemble import MemberOutputs, combine_members
from trading_assets.forecast.networks.export import OUTPUTS, export_ensemble
from trading_assets.forecast.networks.serving import (
    NetworkEnsemble,
    draw_masks,
    ensemble_shapes,
    restore_ensemble,
)
from trading_assets_tests.forecast.networks.network_cases import (
    PRESETS,
    TINY,
    draw,
    grid,
    make_network,
)

WINDOW = 20


@pytest.mark.parametrize("preset", ["small", "compact", "production"])
def test_the_onnx_model_says_what_torch_says(preset: str):
    networks = [make_network(PRESETS[preset], width=78, seed=seed) for seed in (0, 1)]
    windows = draw(7, 78, 60)
    found = NetworkEnsemble(networks, 60, ()).run(windows.numpy())
    for member, network in enumerate(networks):
        with torch.no_grad():
            expected = network(windows)
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(one[member], other.numpy(), atol=1e-5, rtol=0)
    assert np.abs(found.logits[0] - found.logits[1]).max() > 0.01


def test_passes_are_read_with_their_masks():
    network, windows = make_network(), draw(3, 5, WINDOW)
    masks = draw_masks(TINY, 0.4, 6, seed=0)
    found = NetworkEnsemble([network], WINDOW, masks).run(windows.numpy())
    encoded = network.encode(windows)
    for number, mask in enumerate(masks):
        expected = network.read(encoded * torch.from_numpy(mask))
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(one[number], other.detach().numpy(), atol=1e-5, rtol=0)
    assert found.mean.std(axis=0).min() > 1e-4


def test_masks_keep_their_share_and_their_seed():
    masks = np.stack(draw_masks(PRESETS["production"], 0.3, 50, seed=1))
    assert (masks == 0).mean() == pytest.approx(0.3, abs=0.02)
    assert masks.mean() == pytest.approx(1.0, abs=0.03)
    again = np.stack(draw_masks(PRESETS["production"], 0.3, 50, seed=1))
    np.testing.assert_array_equal(masks, again)


def test_the_model_is_checked_and_names_its_inputs_and_outputs():
    model = onnx.load_from_string(export_ensemble([make_network()], WINDOW))
    assert [value.name for value in model.graph.input] == ["windows"]
    assert [value.name for value in model.graph.output] == list(OUTPUTS)


def test_an_ensemble_survives_its_tensors():
    ensemble = NetworkEnsemble(
        [make_network(seed=seed) for seed in (0, 1)], WINDOW, draw_masks(TINY, 0.2, 3, 0)
    )
    tensors = ensemble.tensors()
    assert {n: tuple(v.shape) for n, v in tensors.items()} == ensemble_shapes(TINY, 5, 2, 3)
    again = restore_ensemble(tensors, TINY, WINDOW, 2)
    windows = draw(4, 5, WINDOW).numpy()
    for one, other in zip(ensemble.run(windows), again.run(windows), strict=True):
        np.testing.assert_array_equal(one, other)


def test_rows_are_predicted_as_their_windows_and_none_as_nothing():
    networks, inputs = [make_network(seed=seed) for seed in (0, 1, 2)], draw(3, 5, 700)
    ensemble = NetworkEnsemble(networks, WINDOW, ())
    rows = grid(3, 19, 400)
    found = ensemble.predict(inputs, rows)
    expected = combine_members(ensemble.run(gather_windows(inputs, rows, WINDOW).numpy()))
    np.testing.assert_allclose(found.probabilities, expected.probabilities, atol=1e-6)
    np.testing.assert_allclose(found.error, expected.error, atol=1e-6)
    none = ensemble.predict(inputs, Rows(np.empty(0, np.int64), np.empty(0, np.int64)))
    assert none.probabilities.shape == (0, 3)
    assert len(none) == 0


def test_members_are_combined_as_a_mixture():
    logits = np.log(np.array([[[0.5, 0.25, 0.25]], [[0.1, 0.3, 0.6]]], np.float32))
    mean, variance = np.array([[0.2], [-0.4]]), np.array([[1.0], [3.0]])
    found = combine_members(MemberOutputs(logits, mean, np.log(variance)))
    np.testing.assert_allclose(found.probabilities, [[0.3, 0.275, 0.425]], rtol=1e-6)
    assert found.mean[0] == pytest.approx(-0.1)
    assert found.noise[0] == pytest.approx(np.sqrt(2.0))
    assert found.error[0] == pytest.approx(np.sqrt(0.18))  # two members 0.3 from their mean
    assert found.deviation[0] == pytest.approx(np.sqrt(2.18))
    each = [-sum(p * np.log(p) for p in row) for row in ([0.5, 0.25, 0.25], [0.1, 0.3, 0.6])]
    whole = -sum(p * np.log(p) for p in (0.3, 0.275, 0.425))
    assert found.mutual_information[0] == pytest.approx(whole - np.mean(each), rel=1e-6)


def test_one_member_has_no_error_of_its_own():
    one = MemberOutputs(np.zeros((1, 4, 3)), np.ones((1, 4)), np.zeros((1, 4)))
    found = combine_members(one)
    assert found.error.tolist() == [0.0] * 4
    assert found.mutual_information.tolist() == [0.0] * 4


@pytest.mark.parametrize("seed", range(5))
def test_the_mixture_loses_no_more_than_its_members_on_average(seed: int):
    rng = np.random.default_rng(seed)
    outputs = MemberOutputs(rng.normal(size=(5, 400, 3)), np.zeros((5, 400)), np.zeros((5, 400)))
    classes = rng.integers(3, size=400)
    chosen = np.arange(400), classes
    mixed = -np.log(combine_members(outputs).probabilities[chosen]).mean()
    each = [
        -np.log(
            combine_members(MemberOutputs(*(c[k : k + 1] for c in outputs))).probabilities[chosen]
        ).mean()
        for k in range(5)
    ]
    assert mixed <= np.mean(each)
