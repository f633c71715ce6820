import numpy as np
import pytest

from trading_assets.forecast.calibration import wilson_interval
from trading_assets.forecast.independent_rows import count_independent


def draw(
    correlation: float, n_sessions: int, n_symbols: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    common = rng.standard_normal((n_sessions, 1))
    own = rng.standard_normal((n_sessions, n_symbols))
    values = np.sqrt(correlation) * common + np.sqrt(1.0 - correlation) * own
    return values.ravel(), np.repeat(np.arange(n_sessions), n_symbols)


@pytest.mark.parametrize("correlation", [0.0, 0.4, 0.9])
def test_the_error_of_a_mean_is_what_it_is_told_to_be(correlation: float):
    means, told = [], []
    for seed in range(400):
        values, session = draw(correlation, 120, 10, seed)
        means.append(values.mean())
        told.append(1.0 / np.sqrt(count_independent(values, session, 1)))
    assert np.mean(told) == pytest.approx(np.std(means), rel=0.1)


def test_symbols_that_move_as_one_are_one_observation_a_session():
    values = np.repeat(np.random.default_rng(0).standard_normal(100), 7)
    session = np.repeat(np.arange(100), 7)
    assert count_independent(values, session, 1) == pytest.approx(100.0)
    assert count_independent(values, session, 5) == pytest.approx(20.0)


def test_one_symbol_carries_a_row_for_each_horizon():
    values = np.random.default_rng(1).standard_normal(300)
    assert count_independent(values, np.arange(300), 3) == pytest.approx(100.0)


def test_symbols_that_move_against_each_other_count_no_more_than_apart():
    one = np.random.default_rng(2).standard_normal(50)
    values, session = np.concatenate([one, -one]), np.tile(np.arange(50), 2)
    assert count_independent(values, session, 1) == pytest.approx(100.0)


def test_values_that_never_differ_count_a_session_once():
    assert count_independent(np.ones(40), np.repeat(np.arange(10), 4), 1) == pytest.approx(10.0)


def test_few_rows_are_one_observation():
    assert count_independent(np.array([1.0, 2.0]), np.array([0, 1]), 21) == 1.0


def test_an_interval_of_hits_that_come_together_holds_the_truth():
    held = 0
    for seed in range(400):
        values, session = draw(0.4, 60, 30, seed)
        is_right = (values > 0.43).astype(np.float64)
        share = float(is_right.mean())
        low, high = wilson_interval(share, count_independent(is_right, session, 1))
        held += low < 0.3336 < high
    assert 0.90 < held / 400 < 0.99
