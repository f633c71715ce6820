"""Contributions by hand, on world W1 among others, and that they add up."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from trading_assets.integrated_gradients import (
    COMPLETENESS_TOLERANCE,
    Attributions,
    integrate_gradients,
)
from trading_assets.simulation.worlds.one_asset import WorldOne, trade_rate_and_aim

RNG = np.random.default_rng(5)
SEEN = RNG.normal(size=(20, 3))


def weighted(values: torch.Tensor) -> torch.Tensor:
    return torch.stack([values @ torch.tensor([2.0, -1.0, 0.5]).double(), values[:, 0]], dim=1)


def test_the_optimal_policy_of_w1_owes_its_position_to_signal_and_position_held():
    # x = (1 - kappa) x_before + kappa g f: the signal adds kappa g f, what is held (1 - kappa) x.
    kappa, aim = trade_rate_and_aim(WorldOne())
    signal, held = RNG.normal(size=100), 0.3 * RNG.normal(size=100)

    def optimal(seen: torch.Tensor) -> torch.Tensor:
        return (kappa * aim * seen[:, 0] + (1.0 - kappa) * seen[:, 1])[:, None]

    found = integrate_gradients(optimal, np.column_stack([signal, held]), np.zeros(2))
    np.testing.assert_allclose(found.contributions[:, 0, 0], kappa * aim * signal, rtol=1e-12)
    np.testing.assert_allclose(found.contributions[:, 0, 1], (1.0 - kappa) * held, rtol=1e-12)
    assert (kappa, aim) == (pytest.approx(0.270156, rel=1e-5), pytest.approx(0.314922, rel=1e-5))


def test_contributions_are_measured_from_the_baseline():
    baseline = np.array([1.0, 2.0, 3.0])
    found = integrate_gradients(weighted, SEEN, baseline)
    expected = (SEEN - baseline) * np.array([2.0, -1.0, 0.5])
    np.testing.assert_allclose(found.contributions[:, 0], expected, atol=1e-13)
    np.testing.assert_allclose(found.at_baseline[:, 0], 1.5, atol=1e-13)


def test_factors_of_a_product_share_it_alike():
    # The integral of a b over the line from 0 is a b / 2 for each factor.
    found = integrate_gradients(lambda x: x[:, :1] * x[:, 1:2], SEEN, np.zeros(3))
    half = 0.5 * SEEN[:, 0] * SEEN[:, 1]
    np.testing.assert_allclose(found.contributions[:, 0, 0], half, atol=1e-13)
    np.testing.assert_allclose(found.contributions[:, 0, 1], half, atol=1e-13)
    np.testing.assert_array_equal(found.contributions[:, 0, 2], 0.0)


def test_lines_over_a_kink_are_cut_until_contributions_add_up():
    # Only the part of the line above 0 counts: 16 points miss where it begins by up to 3 %.
    def rectified(seen: torch.Tensor) -> torch.Tensor:
        return torch.relu(seen.sum(dim=1, keepdim=True))

    baseline = np.array([-1.0, -0.7, 0.1])
    found = integrate_gradients(rectified, 3.0 * np.abs(SEEN), baseline)
    assert 0.0 < found.completeness_error <= 0.1 * COMPLETENESS_TOLERANCE
    # On a straight line inputs share the part above 0 as they share the whole line.
    run = 3.0 * np.abs(SEEN) - baseline
    shares = found.outputs * run / run.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found.contributions[:, 0], shares, atol=0.002 * found.outputs.mean())
    rough = integrate_gradients(rectified, 3.0 * np.abs(SEEN), baseline, tolerance=1.0)
    assert rough.completeness_error > 2.0 * found.completeness_error


def test_what_is_carried_is_held_fixed():
    carried = RNG.normal(size=(20, 1))

    def function(seen: torch.Tensor, held: torch.Tensor) -> torch.Tensor:
        return seen[:, :1] * held

    found = integrate_gradients(function, SEEN, np.zeros(3), [carried])
    np.testing.assert_allclose(found.contributions[:, 0, 0], SEEN[:, 0] * carried[:, 0], rtol=1e-12)
    np.testing.assert_array_equal(found.at_baseline, 0.0)


def test_inputs_whose_moves_cancel_have_their_contributions_all_the_same():
    # The output of the second row does not change at all.
    seen = np.array([[1.0, 2.0, 0.0], [1.0, -1.0, 0.0]])
    found = integrate_gradients(lambda x: x.sum(dim=1, keepdim=True), seen, np.zeros(3))
    np.testing.assert_allclose(found.contributions[:, 0], seen, atol=1e-14)


def test_single_precision_stays_single():
    found = integrate_gradients(
        lambda x: torch.tanh(x.sum(dim=1, keepdim=True)), SEEN.astype(np.float32), np.zeros(3)
    )
    assert found.completeness_error < 1e-3


def test_an_output_that_nothing_moves_has_no_error():
    found = integrate_gradients(lambda x: 1.0 + 0.0 * x[:, :1], SEEN, np.zeros(3))
    np.testing.assert_array_equal(found.contributions, 0.0)
    assert found.completeness_error == 0.0


def test_the_error_is_the_largest_remainder_over_the_mean_change():
    outputs, start = np.array([[1.0], [3.0]]), np.zeros((2, 1))
    found = Attributions(np.array([[[1.0]], [[2.9]]]), outputs, start)
    assert found.completeness_error == pytest.approx(0.1 / 2.0)


def test_an_output_that_hardly_changes_is_measured_by_the_one_that_does():
    outputs = np.array([[1.0, 1e-9]])
    found = Attributions(np.array([[[1.0], [0.0]]]), outputs, np.zeros((1, 2)))
    # A hundredth of the mean change of 1.
    assert found.completeness_error == pytest.approx(1e-9 / 0.01)


def test_no_row_has_no_contribution():
    found = integrate_gradients(weighted, SEEN[:0], np.zeros(3))
    assert found.contributions.shape == (0, 2, 3)
    assert found.completeness_error == 0.0


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.floats(0.1, 3.0))
def test_contributions_to_smooth_networks_add_up(seed: int, width: int, scale: float):
    rng = np.random.default_rng(seed)
    first = torch.from_numpy(rng.normal(0.0, scale, (6, width)))
    second = torch.from_numpy(rng.normal(0.0, scale, (2, 6)))

    def network(seen: torch.Tensor) -> torch.Tensor:
        return torch.tanh(seen @ first.T) @ second.T

    found = integrate_gradients(network, rng.normal(size=(5, width)), rng.normal(size=width))
    assert found.completeness_error <= COMPLETENESS_TOLERANCE
