import numpy as np
import pytest
import torch

from trading_assets.forecast.networks.network import ForecastNetwork, forecast_loss
from trading_assets.forecast_specs import NetworkSizes
from trading_assets_tests.forecast.networks.network_cases import PRESETS, TINY, draw, make_network


# The wish's two networks: 19,843 parameters, and filters 32/64 with 256 units and 8 heads.
@pytest.mark.parametrize(
    ("preset", "count"), [("small", 6_141), ("compact", 19_843), ("production", 641_189)]
)
def test_a_preset_has_as_many_parameters_as_it_is_known_for(preset: str, count: int):
    network = ForecastNetwork(78, 0, PRESETS[preset])
    assert sum(p.numel() for p in network.parameters()) == count


def test_production_has_the_wished_sizes():
    sizes = PRESETS["production"]
    assert (sizes.filters, sizes.lstm_units, sizes.attention_heads) == ((32, 64), 256, 8)


def test_an_untrained_network_gives_equal_probabilities_and_unit_variance():
    output = ForecastNetwork(4, 4, TINY)(draw(5, 8, 12))
    assert torch.equal(output.logits, torch.zeros(5, 3))
    assert torch.equal(output.mean, torch.zeros(5))
    assert torch.equal(output.log_variance, torch.zeros(5))


def test_masks_change_nothing_before_training():
    network = make_network(width=8, n_masks=4)
    windows = draw(5, 8, 12)
    changed = windows.clone()
    changed[:, 4:] += 1.0
    torch.testing.assert_close(network(windows).logits, network(changed).logits)
    changed[:, 0] += 1.0
    assert not torch.allclose(network(windows).logits, network(changed).logits)


def test_the_convolutions_see_no_later_bar():
    network = make_network()
    windows = draw(2, 5, 20)
    changed = windows.clone()
    changed[:, :, 11:] += 1.0
    states: list[torch.Tensor] = []
    network.lstm.register_forward_pre_hook(lambda _, inputs: states.append(inputs[0].detach()))
    network(windows)
    network(changed)
    before, after = states
    # The first convolved bar is the window's fifth.
    assert torch.equal(before[:, : 11 - 4], after[:, : 11 - 4])
    assert not torch.equal(before[:, 11 - 4], after[:, 11 - 4])


def test_the_loss_of_an_untrained_network_is_that_of_equal_classes_and_unit_variance():
    output = ForecastNetwork(4, 4, TINY)(torch.zeros(3, 8, 12))
    loss = forecast_loss(
        output, torch.tensor([0, 1, 2]), torch.tensor([1.0, -1.0, 2.0]), torch.ones(3)
    )
    assert loss.item() == pytest.approx(np.log(3.0) + 0.5 * 0.5 * 2.0)


def test_the_loss_is_a_weighted_mean():
    network = make_network()
    output = network(draw(4, 5, 12))
    classes, returns = torch.tensor([0, 1, 2, 0]), draw(4)
    each = [
        forecast_loss(
            network.read(network.encode(draw(4, 5, 12)[k : k + 1])),
            classes[k : k + 1],
            returns[k : k + 1],
            torch.ones(1),
        ).item()
        for k in range(4)
    ]
    found = forecast_loss(output, classes, returns, torch.tensor([1.0, 0.0, 2.0, 1.0]))
    assert found.item() == pytest.approx((each[0] + 2.0 * each[2] + each[3]) / 4.0, rel=1e-5)


def test_sizes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="lstm_units was 10 with attention_heads 4"):
        NetworkSizes(filters=(4, 4), lstm_units=10, attention_heads=4, dense_units=4)
    with pytest.raises(ValueError, match="filters were"):
        NetworkSizes(filters=(0, 4), lstm_units=8, attention_heads=4, dense_units=4)
