"""What kernels compute for strips is what torch computes window by window, and its gradients."""

import numpy as np
import pytest
import torch

from trading_assets.forecast.networks.compiled.arithmetic import logistic, tangent
from trading_assets.forecast.networks.network import ForecastNetwork, forecast_loss
from trading_assets.forecast_specs import NetworkSizes
from trading_assets_tests.forecast.networks.network_cases import PRESETS, TINY, draw, make_network

WINDOW = 20
SIZES = [
    TINY,
    PRESETS["small"],
    PRESETS["compact"],
    NetworkSizes(filters=(3, 5), lstm_units=12, attention_heads=3, dense_units=7),
]


def plain(network: ForecastNetwork, strips: torch.Tensor) -> torch.Tensor:
    windows = strips.unfold(2, WINDOW, 1).transpose(1, 2)
    return network.encode(windows.reshape(-1, strips.shape[1], WINDOW))


def gradients(network: ForecastNetwork, encoded: torch.Tensor) -> dict[str, torch.Tensor]:
    network.zero_grad()
    rows = len(encoded)
    output = network.read(encoded)
    loss = forecast_loss(output, torch.arange(rows) % 3, draw(rows, seed=3), torch.ones(rows))
    torch.autograd.backward(loss)
    return {name: p.grad.clone() for name, p in network.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("sizes", SIZES, ids=lambda sizes: f"{sizes.lstm_units} units")
@pytest.mark.parametrize("length", [4, 16])
def test_strips_are_encoded_as_their_windows(sizes: NetworkSizes, length: int):
    network = make_network(sizes)
    strips = draw(3, 5, length + WINDOW - 1)
    torch.testing.assert_close(
        network.encode_strips(strips, WINDOW), plain(network, strips), atol=2e-6, rtol=0
    )


@pytest.mark.parametrize("sizes", SIZES, ids=lambda sizes: f"{sizes.lstm_units} units")
def test_strips_have_the_gradients_of_their_windows(sizes: NetworkSizes):
    network = make_network(sizes)
    strips = draw(3, 5, 8 + WINDOW - 1)
    expected = gradients(network, plain(network, strips))
    found = gradients(network, network.encode_strips(strips, WINDOW))
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        scale = max(float(gradient.abs().max()), 1e-3)
        torch.testing.assert_close(
            found[name],
            gradient,
            atol=2e-5 * scale,
            rtol=0,
            msg=lambda text, n=name: f"{n}: {text}",
        )


def test_a_length_without_kernels_is_encoded_by_torch(monkeypatch: pytest.MonkeyPatch):
    network = make_network()
    asked: list[int] = []
    encode = network.encode
    monkeypatch.setattr(network, "encode", lambda w: asked.append(len(w)) or encode(w))
    network.encode_strips(draw(2, 5, 4 + WINDOW - 1), WINDOW)
    assert asked == []
    network.encode_strips(draw(2, 5, 5 + WINDOW - 1), WINDOW)
    assert asked == [10]


def test_a_window_sees_its_own_bars_only():
    network = make_network()
    strips = draw(1, 5, 8 + WINDOW - 1)
    before = network.encode_strips(strips, WINDOW)
    changed = strips.clone()
    changed[:, :, WINDOW + 2] += 1.0  # the last bar of window 3
    after = network.encode_strips(changed, WINDOW)
    assert torch.equal(before[:3], after[:3])
    assert not torch.isclose(before[3:], after[3:]).all(dim=1).any()
    changed = strips.clone()
    changed[:, :, 2] += 1.0  # the first bar of window 2
    after = network.encode_strips(changed, WINDOW)
    assert torch.equal(before[3:], after[3:])
    assert not torch.isclose(before[:3], after[:3]).all(dim=1).any()


def test_the_tangent_is_exact_to_a_few_bits():
    x = np.concatenate([np.linspace(-12, 12, 20_001), [0.0, 1e-6, -1e-6]]).astype(np.float32)
    found = np.array([tangent(value) for value in x])
    assert np.abs(found - np.tanh(x.astype(np.float64))).max() < 7e-7
    assert np.abs(found).max() <= 1.0 + 2e-7
    share = np.array([logistic(value) for value in x])
    assert np.abs(share - 1.0 / (1.0 + np.exp(-x.astype(np.float64)))).max() < 7e-7
