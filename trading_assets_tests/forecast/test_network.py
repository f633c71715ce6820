import numpy as np
import pytest
import torch

from trading_assets.forecast.dataset import (
    Rows,
    build_panel,
    gather_windows,
    last_bars,
    rows_at,
)
from trading_assets.forecast.fit_network import one_seeded_thread, run_network
from trading_assets.forecast.gate_model import Samples, fit_gate_model
from trading_assets.forecast.network import ForecastNetwork, attention_heads, forecast_loss
from trading_assets.forecast.transforms import FoldTransforms
from trading_assets.strategy import ForecastSpec
from trading_assets_tests.forecast.planted_market import NAMES, make_market


def small_network(seed: int = 0) -> ForecastNetwork:
    with one_seeded_thread(seed):
        network = ForecastNetwork(4, 4, 8)
        for head in (network.classes, network.moments):
            torch.nn.init.normal_(head.weight)
    return network.eval()


def test_an_untrained_network_gives_equal_probabilities_and_unit_variance():
    with one_seeded_thread(0):
        output = ForecastNetwork(4, 4, 8)(torch.randn(5, 8, 12))
    assert torch.equal(output.logits, torch.zeros(5, 3))
    assert torch.equal(output.mean, torch.zeros(5))
    assert torch.equal(output.log_variance, torch.zeros(5))


def test_the_convolution_sees_no_later_bar():
    network = small_network()
    windows = torch.randn(2, 8, 12, generator=torch.Generator().manual_seed(1))
    changed = windows.clone()
    changed[:, :4, 7:] += 1.0
    states: list[torch.Tensor] = []
    network.lstm.register_forward_pre_hook(lambda _, inputs: states.append(inputs[0].detach()))
    network(windows)
    network(changed)
    before, after = states
    assert torch.equal(before[:, :7], after[:, :7])
    assert not torch.equal(before[:, 7], after[:, 7])


@pytest.mark.parametrize(("hidden", "heads"), [(16, 8), (8, 4), (12, 4), (10, 2), (5, 1), (4, 2)])
def test_heads_divide_the_hidden_units(hidden: int, heads: int):
    assert attention_heads(hidden) == heads
    assert ForecastNetwork(2, 2, hidden)(torch.zeros(1, 4, 6)).logits.shape == (1, 3)


def test_the_loss_of_an_untrained_network_is_that_of_equal_classes_and_unit_variance():
    output = ForecastNetwork(4, 4, 8)(torch.zeros(3, 8, 12))
    loss = forecast_loss(output, torch.tensor([0, 1, 2]), torch.tensor([1.0, -1.0, 2.0]))
    assert loss.item() == pytest.approx(np.log(3.0) + 0.5 * 0.5 * 2.0)


def test_windows_end_at_their_row_and_hold_null_as_zero_with_a_mask():
    market = make_market(0.1, count=60)
    features = market.features.with_columns(market.features["noise_1"].shift(9).alias("noise_1"))
    panel = build_panel(features, NAMES)
    rows = rows_at(panel, market.train, 8, np.ones(4, np.bool_))
    assert rows.session.min() == 7
    values = panel.values[rows.symbol, :, rows.session]
    transforms = FoldTransforms.fit(values, NAMES, ForecastSpec(clip_quantile=0.0))
    inputs = transforms.apply(panel.values)
    window = gather_windows(inputs, Rows(np.array([0]), np.array([10])), 8)[0]
    assert window.shape == (5, 8)
    assert window[4].tolist() == [0.0] * 6 + [1.0] * 2
    assert window[1, :6].tolist() == [0.0] * 6
    standard = (panel.values[0, 0, 3:11] - transforms.centre[0]) / transforms.scale[0]
    np.testing.assert_allclose(window[0], standard, rtol=1e-5)
    own = last_bars(inputs, Rows(np.array([0]), np.array([10])))[0]
    assert torch.equal(own.float(), window[:, -1])


def test_batches_do_not_change_what_a_row_gives():
    network = small_network()
    inputs = torch.randn(3, 8, 40, generator=torch.Generator().manual_seed(2))
    rows = Rows(np.repeat(np.arange(3), 20), np.tile(np.arange(20, 40), 3))
    whole = run_network(network, inputs, rows, 10)
    pieces = run_network(network, inputs, rows, 10, batch_rows=7)
    torch.testing.assert_close(whole.logits, pieces.logits, atol=1e-6, rtol=0)


def test_no_rows_give_an_empty_output():
    none = Rows(np.empty(0, np.int64), np.empty(0, np.int64))
    assert run_network(small_network(), torch.zeros(1, 8, 9), none, 4).logits.shape == (0, 3)


def test_the_gate_model_recovers_a_linear_signal_and_ignores_a_constant_input():
    rng = np.random.default_rng(3)
    inputs = np.column_stack([rng.normal(size=(4000, 3)), np.zeros(4000)])
    returns = 0.4 * inputs[:, 0] + rng.normal(size=4000)
    classes = np.digitize(returns, np.quantile(returns, (1 / 3, 2 / 3)))
    halves = [
        Samples(torch.from_numpy(inputs[part]), classes[part], returns[part])
        for part in (slice(0, 3000), slice(3000, None))
    ]
    gate = fit_gate_model(halves[0], halves[1], 1)
    assert gate.mean_weight[0].item() == pytest.approx(0.4, abs=0.06)
    assert gate.class_weight[2, 0] > 0.2 > -0.2 > gate.class_weight[0, 0]
    assert gate.mean_weight[3].item() == 0.0
    assert torch.equal(gate.class_weight[:, 3], torch.zeros(3, dtype=torch.float64))
