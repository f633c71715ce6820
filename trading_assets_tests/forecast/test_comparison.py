import math

import numpy as np
import pytest

from trading_assets.errors import DataError
from trading_assets.forecast.comparison import (
    LossRows,
    Resampling,
    compare_losses,
    compare_sets,
)
from trading_assets_tests.dependent_series import overlapping

HORIZON = 5
SESSIONS = 250


def resampling(seed: int = 0, samples: int = 199) -> Resampling:
    return Resampling(HORIZON, seed, samples)


def judge(advantage: np.ndarray, seed: int = 0):
    """Compare two models, of which the first is better by `advantage` (sessions, symbols)."""
    sessions, symbols = advantage.shape
    second = 1.1 + 0.1 * np.random.default_rng(seed).normal(size=advantage.size)
    first = second - advantage.ravel()
    return compare_losses(first, second, np.repeat(np.arange(sessions), symbols), resampling(seed))


def noise(seed: int, sessions: int = SESSIONS) -> np.ndarray:
    rng = np.random.default_rng([seed, sessions])
    return 0.05 * overlapping(rng, sessions, HORIZON)


@pytest.mark.parametrize("sessions", [60, SESSIONS])
def test_models_that_are_equally_good_seldom_differ(sessions: int):
    found = [judge(noise(seed, sessions)[:, None], seed) for seed in range(800)]
    assert 0.01 <= np.mean([one.p_value <= 0.05 for one in found]) <= 0.08
    assert np.mean([one.low <= 0.0 <= one.high for one in found]) >= 0.9


def test_a_better_model_is_found():
    # The mean of 250 such sessions varies by 0.007.
    found = [judge(0.03 + noise(seed)[:, None], seed) for seed in range(100)]
    assert np.mean([one.p_value <= 0.05 for one in found]) >= 0.95
    worse = [judge(noise(seed)[:, None] - 0.03, seed) for seed in range(20)]
    assert min(one.p_value for one in worse) > 0.5


def test_a_session_counts_once_however_many_rows_it_has():
    session = np.array([0] * 9 + list(range(1, 41)))
    second = np.where(session == 0, 8.2, 0.0)
    found = compare_losses(np.zeros(len(session)), second, session, resampling())
    assert found.difference == pytest.approx(8.2 / 41)
    assert found.sessions == 41


def test_many_symbols_that_move_together_prove_no_more_than_one():
    shared = np.repeat(0.01 + noise(3)[:, None], 20, axis=1)
    one, many = judge(shared[:, :1]), judge(shared)
    assert many.p_value == one.p_value
    assert many.high - many.low == pytest.approx(one.high - one.low)


def test_the_same_seed_gives_the_same_figures_and_another_does_not():
    one = compare_losses(np.zeros(60), noise(1, 60), np.arange(60), resampling(1))
    assert compare_losses(np.zeros(60), noise(1, 60), np.arange(60), resampling(1)) == one
    assert compare_losses(np.zeros(60), noise(1, 60), np.arange(60), resampling(2)) != one


def test_a_model_is_no_better_than_itself():
    loss = noise(0)
    found = compare_losses(loss, loss, np.arange(SESSIONS), resampling())
    assert (found.difference, found.low, found.high, found.p_value) == (0.0, 0.0, 0.0, 1.0)


def test_too_few_sessions_say_nothing():
    found = compare_losses(np.zeros(14), np.ones(14), np.arange(14), resampling())
    assert found.difference == 1.0
    assert math.isnan(found.p_value)
    assert math.isnan(found.low)
    assert compare_losses(np.zeros(15), np.ones(15), np.arange(15), resampling()).p_value < 0.01


@pytest.mark.parametrize("loss", [np.array([]), np.array([0.1, math.nan])])
def test_losses_that_are_none_are_refused(loss: np.ndarray):
    with pytest.raises(DataError, match="losses were nan or infinite"):
        compare_losses(loss, loss, np.arange(len(loss)), resampling())


def sets(seed: int, overlap: int, advantage: float = 0.0) -> tuple[LossRows, LossRows]:
    """Return losses of 400 sessions, lower by `advantage`, and of 120 that end `overlap` later."""
    series = noise(seed, 640)
    other = noise(seed + 10_000, 640)
    first = np.arange(400)
    second = np.arange(400 - overlap, 520 - overlap)
    own = 0.5 * series + math.sqrt(0.75) * other
    return LossRows(series[first] - advantage, first), LossRows(own[second], second)


@pytest.mark.parametrize("overlap", [0, 120])
def test_sets_of_rows_that_are_equally_easy_seldom_differ(overlap: int):
    found = [compare_sets(*sets(seed, overlap), resampling(seed)) for seed in range(300)]
    assert 0.01 <= np.mean([one.p_value <= 0.05 for one in found]) <= 0.08
    assert np.mean([one.low <= 0.0 <= one.high for one in found]) >= 0.9


def test_forecasts_that_do_too_well_on_their_own_rows_are_found():
    found = [compare_sets(*sets(seed, 0, 0.05), resampling(seed)) for seed in range(60)]
    assert np.mean([one.p_value <= 0.05 for one in found]) >= 0.9
    assert np.mean([one.difference for one in found]) == pytest.approx(0.05, abs=0.01)
    assert found[0].sessions == 120


def test_sets_without_noise_differ_by_what_they_differ():
    first, second = np.arange(400), np.arange(300, 360)
    found = compare_sets(
        LossRows(np.full(400, 0.2), first), LossRows(np.full(60, 0.5), second), resampling()
    )
    assert (found.difference, found.low, found.high) == pytest.approx((0.3, 0.3, 0.3))
    assert found.sessions == 60


def test_what_moves_both_sets_cancels():
    series = noise(1, 400)
    session = np.arange(400)
    first, second = LossRows(series - 0.01, session), LossRows(series, session)
    found = compare_sets(first, second, resampling())
    assert (found.low, found.high) == pytest.approx((0.01, 0.01), abs=1e-4)
    assert found.p_value < 0.01
