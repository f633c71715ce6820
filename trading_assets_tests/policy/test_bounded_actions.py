import numpy as np
import pytest
import torch

from trading_assets.policy.bounded_actions import LEAK, bound_actions, limit_weights
from trading_assets.risk.limits import WeightLimits
from trading_assets.risk.projection import project_weights

LIMITS = {
    "box alone": WeightLimits(0.5, 10.0, is_long_only=False),
    "gross": WeightLimits(0.5, 0.9, is_long_only=False),
    "long only and gross": WeightLimits(0.5, 0.9, is_long_only=True),
    "net": WeightLimits(0.5, 1.2, is_long_only=False, min_net=-0.1, max_net=0.2),
    "turnover": WeightLimits(0.5, 0.9, is_long_only=False, max_turnover=0.4),
}


def test_actions_are_clipped_and_keep_a_small_share_of_their_gradient_beyond_a_bound():
    values = torch.tensor([[-3.0, -0.5, 0.0, 0.9, 1.5]], requires_grad=True)
    bounded = bound_actions(values)
    assert bounded.tolist() == [[-1.0, -0.5, 0.0, pytest.approx(0.9), 1.0]]
    slopes = torch.tensor([[1.0, 2.0, 3.0, 4.0, -5.0]])
    (bounded * slopes).sum().backward()
    assert values.grad is not None
    expected = slopes * torch.tensor([[LEAK, 1.0, 1.0, 1.0, LEAK]])
    torch.testing.assert_close(values.grad, expected)


def test_a_saturated_action_finds_back():
    value = torch.tensor([[4.0]], requires_grad=True)
    optimizer = torch.optim.Adam([value], lr=0.1)
    for _ in range(100):
        optimizer.zero_grad()
        (bound_actions(value) - 0.3).square().sum().backward()
        optimizer.step()
    assert float(value.detach()) == pytest.approx(0.3, abs=0.05)


@pytest.mark.parametrize("name", LIMITS)
def test_limited_weights_are_the_projection_and_have_its_gradient(name):
    limits = LIMITS[name]
    rng = np.random.default_rng(0)
    raw = rng.normal(0.0, 0.4, (40, 6))
    tradable = rng.random((40, 6)) < 0.8
    held = 0.5 * project_weights(rng.normal(0.0, 0.4, raw.shape), limits, tradable, raw)

    def project(weights):
        return project_weights(weights, limits, tradable, held)

    wanted = torch.tensor(raw, requires_grad=True)
    weights = limit_weights(wanted, project)
    np.testing.assert_array_equal(weights.detach().numpy(), project(raw))
    assert (np.abs(project(raw) - raw) > 1e-3).any()
    slopes = rng.normal(size=raw.shape)
    (weights * torch.from_numpy(slopes)).sum().backward()
    assert wanted.grad is not None
    expected = np.empty_like(raw)
    step = 1e-6
    for symbol in range(6):
        moved = np.zeros(6)
        moved[symbol] = step
        change = (project(raw + moved) - project(raw - moved)) / (2.0 * step)
        expected[:, symbol] = (change * slopes).sum(axis=1)
    # A few of 40 rows may lie beside a kink, where a short step and a shorter one differ.
    is_equal = np.abs(wanted.grad.numpy() - expected).max(axis=1) < 1e-3
    assert is_equal.mean() > 0.9


def test_a_loss_without_a_slope_has_no_gradient():
    limits = LIMITS["gross"]
    tradable = np.ones((2, 3), dtype=np.bool_)
    raw = torch.full((2, 3), 0.4, requires_grad=True)
    weights = limit_weights(raw, lambda w: project_weights(w, limits, tradable))
    (0.0 * weights).sum().backward()
    assert raw.grad is not None
    assert (raw.grad == 0.0).all()
