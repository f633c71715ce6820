"""What is known of the market's regimes: filtered from rows so far, fitted on rows before."""

from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from trading_assets.errors import DataError
from trading_assets.features.regime_filter import RegimeFilter, RegimeModel, filter_regimes
from trading_assets.features.regimes import (
    REGIME_FIT_BARS,
    REGIME_MIN_BARS,
    compute_month_regimes,
    fit_regimes,
    observe_market,
)

Array = NDArray[np.float64]
ROWS = 2000


def simulate(*deviations: float, rows: int = ROWS, seed: int = 3) -> tuple[Array, Array]:
    """Return observations (rows, 2) and the true regime of each of them."""
    generator = np.random.default_rng(seed)
    switches = generator.random(rows) < 0.02
    steps = generator.integers(1, len(deviations), rows)
    states = np.cumsum(np.where(switches, steps, 0)) % len(deviations)
    returns = generator.normal(0.0, np.array(deviations)[states])
    return observe_market(returns, volatility_bars=5)[5:], states[5:]


CALM_TO_WILD = (0.004, 0.012, 0.036)
OBSERVATIONS, STATES = simulate(*CALM_TO_WILD)


def smooth(model: RegimeModel, observations: Array) -> Array:
    from hmmlearn.hmm import GaussianHMM

    library = GaussianHMM(n_components=3, covariance_type="diag", init_params="")
    library.startprob_, library.transmat_ = model.start, model.transition
    library.means_, library.covars_ = model.means, model.variances
    return library.predict_proba(observations)


def test_filtered_regimes_agree_with_the_true_ones_on_later_rows() -> None:
    model = fit_regimes(OBSERVATIONS[:1000])
    found = filter_regimes(model, OBSERVATIONS)[1000:].argmax(axis=1)
    assert (found == STATES[1000:]).mean() > 0.8


def test_each_month_of_a_market_of_two_regimes_knows_the_wild_one() -> None:
    observations, states = simulate(0.005, 0.03)
    months = [compute_month_regimes(observations[: a + 21], a) for a in range(400, 1800, 21)]
    wild = np.concatenate(months)[:, 2]
    truth = states[400 : 400 + len(wild)]
    assert wild[truth == 1].mean() - wild[truth == 0].mean() > 0.35


def test_states_are_ordered_by_volatility() -> None:
    for last in range(300, ROWS - 5, 100):
        means = fit_regimes(OBSERVATIONS[last - 300 : last]).means
        assert all(below <= above for below, above in pairwise(means[:, 1]))


def test_filtered_and_smoothed_agree_at_the_last_row_and_nowhere_else() -> None:
    model = fit_regimes(OBSERVATIONS[:500])
    filtered = filter_regimes(model, OBSERVATIONS)
    smoothed = smooth(model, OBSERVATIONS)
    np.testing.assert_allclose(filtered[-1], smoothed[-1], atol=1e-9)
    assert np.abs(filtered - smoothed).max() > 0.2
    for row in (0, 1, 700):
        np.testing.assert_allclose(
            filtered[row], smooth(model, OBSERVATIONS[: row + 1])[-1], atol=1e-9
        )


def test_one_row_at_a_time_gives_the_bytes_of_all_rows() -> None:
    observations = OBSERVATIONS.copy()
    observations[50] = np.nan
    model = fit_regimes(observations[:500])
    stream = RegimeFilter(model)
    rows = np.array([stream.advance(row) for row in observations])
    assert rows.tobytes() == filter_regimes(model, observations).tobytes()


def test_two_filters_of_one_model_do_not_meet() -> None:
    model = fit_regimes(OBSERVATIONS[:500])
    first = RegimeFilter(model).advance(OBSERVATIONS[0])
    assert RegimeFilter(model).advance(OBSERVATIONS[0]).tobytes() == first.tobytes()


def test_later_rows_change_no_earlier_probability() -> None:
    month = compute_month_regimes(OBSERVATIONS[:1021], 1000)
    scrambled = OBSERVATIONS[:1021].copy()
    scrambled[1009:] = np.random.default_rng(0).normal(0, 50, (12, 2))
    assert compute_month_regimes(OBSERVATIONS[:1009], 1000).tobytes() == month[:9].tobytes()
    assert compute_month_regimes(scrambled, 1000)[:9].tobytes() == month[:9].tobytes()
    assert not np.array_equal(compute_month_regimes(scrambled, 1000)[9:], month[9:])


def test_a_month_depends_on_exactly_the_fitted_rows_before_it() -> None:
    first = 1000
    month = compute_month_regimes(OBSERVATIONS[: first + 21], first)
    older, oldest, newest = (OBSERVATIONS[: first + 21].copy() for _ in range(3))
    older[: first - REGIME_FIT_BARS] = 7.0
    oldest[first - REGIME_FIT_BARS] += 0.01
    newest[first - 1] += 0.01
    assert compute_month_regimes(older, first).tobytes() == month.tobytes()
    assert compute_month_regimes(oldest, first).tobytes() != month.tobytes()
    assert compute_month_regimes(newest, first).tobytes() != month.tobytes()


def test_the_recursion_of_a_month_starts_at_the_first_fitted_row() -> None:
    model = fit_regimes(OBSERVATIONS[1000 - REGIME_FIT_BARS : 1000])
    expected = filter_regimes(model, OBSERVATIONS[1000 - REGIME_FIT_BARS : 1021])[REGIME_FIT_BARS:]
    month = compute_month_regimes(OBSERVATIONS[:1021], 1000)
    assert month.tobytes() == expected.tobytes()


def test_too_few_known_rows_before_a_month_give_nan() -> None:
    first = REGIME_MIN_BARS
    assert np.isfinite(compute_month_regimes(OBSERVATIONS[: first + 3], first)).all()
    short = compute_month_regimes(OBSERVATIONS[: first + 2], first - 1)
    assert short.shape == (3, 3)
    assert np.isnan(short).all()
    unknown = OBSERVATIONS[: first + 3].copy()
    unknown[4, 1] = np.nan
    assert np.isnan(compute_month_regimes(unknown, first)).all()


def test_an_unknown_row_has_the_probabilities_predicted_from_the_row_before() -> None:
    model = fit_regimes(OBSERVATIONS[:500])
    for unknown in ([np.nan, np.nan], [0.0, np.nan], [np.inf, -4.0], [1e300, -4.0]):
        observations = OBSERVATIONS[:10].copy()
        observations[7] = unknown
        found = filter_regimes(model, observations)
        np.testing.assert_allclose(found[7], found[6] @ model.transition, rtol=1e-12)
    observations[0] = np.nan
    assert filter_regimes(model, observations)[0].tolist() == model.start.tolist()


def test_a_market_that_does_not_vary_has_even_regimes(caplog: pytest.LogCaptureFixture) -> None:
    for level in (0.0, 0.001):
        found = compute_month_regimes(observe_market(np.full(450, level)), 420)
        np.testing.assert_allclose(found, 1.0 / 3.0, rtol=1e-12)
    still = np.zeros((450, 2))
    still[:, 1] = -np.inf
    np.testing.assert_allclose(compute_month_regimes(still, 420), 1.0 / 3.0, rtol=1e-12)
    returns = np.random.default_rng(1).normal(0.0, 0.01, 450)
    level = np.stack((returns, np.full(450, -4.0)), axis=1)
    np.testing.assert_allclose(compute_month_regimes(level, 420), 1.0 / 3.0, rtol=1e-12)
    assert not caplog.records


def test_odd_samples_give_probabilities_without_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    generator = np.random.default_rng(1)
    noise = generator.normal(0.0, 0.01, 450)
    spike = np.zeros(450)
    spike[200] = 0.3
    samples = {
        "only the return stands still": np.stack((np.zeros(450), noise), axis=1),
        "one spike in a market at rest": observe_market(spike),
        "two volatilities": np.stack((noise, np.where(np.arange(450) % 2, -4.0, -5.0)), axis=1),
        "one other volatility": np.stack((noise, np.where(np.arange(450) == 99, -4, -5)), axis=1),
        "two far clusters": np.stack((noise, np.where(noise > 0, 40.0, -18.0) + noise), axis=1),
        "ruin": observe_market(np.where(np.arange(450) > 300, -20.0, noise)),
    }
    for name, observations in samples.items():
        found = compute_month_regimes(observations, 420)
        np.testing.assert_allclose(found.sum(axis=1), 1.0, rtol=1e-12, err_msg=name)
        model = fit_regimes(observations[21:420])
        assert (model.variances > 0.0).all(), name
        assert (model.transition > 0.0).all(), name
    assert not caplog.records


def test_a_state_that_no_row_supports_keeps_its_start() -> None:
    # Two far volatilities, each of half the rows: the middle tercile has no rows of its own.
    generator = np.random.default_rng(1)
    volatility = np.where(np.arange(378) // 63 % 2, -3.0, -5.0) + generator.normal(0.0, 0.02, 378)
    returns = generator.normal(0.0, 0.01, 378)
    middle = np.argsort(volatility, kind="stable")[126:252]
    rows = np.stack((returns, volatility), axis=1)
    model = fit_regimes(rows)
    np.testing.assert_allclose(model.means[:, 1], [-5.0, -4.0, -3.0], atol=0.01)
    np.testing.assert_allclose(model.means[1], rows[middle].mean(axis=0), rtol=1e-2)
    np.testing.assert_allclose(model.variances[1], 0.1 * rows.var(axis=0), rtol=1e-2)


def test_no_variance_falls_below_the_floor() -> None:
    volatility = np.repeat([-5.0, -4.0, -3.0], 126)
    model = fit_regimes(np.stack((np.zeros(378), volatility), axis=1))
    floor = 5.0 * 0.1 / (5.0 + 378.0) * volatility.var()
    assert (model.variances[:, 1] >= floor).all()
    assert (model.variances[:, 1] < 4.0 * floor).all()


def test_equal_rows_give_an_equal_model_whatever_the_threads() -> None:
    again = fit_regimes(OBSERVATIONS[:400].copy())
    expected = fit_regimes(OBSERVATIONS[:400])
    assert model_bytes(again) == model_bytes(expected)
    for threads in (1, 2):
        with threadpool_limits(threads):
            assert model_bytes(fit_regimes(OBSERVATIONS[:400])) == model_bytes(expected)


def model_bytes(model: RegimeModel) -> bytes:
    parts = (model.start, model.transition, model.means, model.variances)
    return b"".join(part.tobytes() for part in parts)


def test_the_market_is_observed_by_its_return_and_volatility_so_far() -> None:
    returns = np.random.default_rng(5).normal(0.0, 0.01, 60)
    returns[0] = np.nan
    observed = observe_market(returns)
    np.testing.assert_array_equal(observed[:, 0], returns)
    assert np.isnan(observed[:21, 1]).all()
    expected = [np.log(np.sqrt(np.mean(returns[t - 20 : t + 1] ** 2))) for t in range(21, 60)]
    np.testing.assert_allclose(observed[21:, 1], expected, rtol=1e-12)
    assert observe_market(returns[:40]).tobytes() == observed[:40].tobytes()
    np.testing.assert_allclose(observe_market(np.zeros(30))[20:, 1], np.log(1e-8), rtol=1e-12)


def test_observations_of_the_wrong_shape_are_refused() -> None:
    model = fit_regimes(OBSERVATIONS[:400])
    with pytest.raises(DataError, match=r"\(400, 1\); expected \(rows, 2\)"):
        fit_regimes(OBSERVATIONS[:400, :1])
    with pytest.raises(DataError, match=r"\(400,\); expected"):
        filter_regimes(model, OBSERVATIONS[:400, 0])
    with pytest.raises(DataError, match="known rows to fit regimes on were 2; expected at least 3"):
        fit_regimes(OBSERVATIONS[:2])
    for first in (-1, 401):
        with pytest.raises(DataError, match=f"was {first}; expected one from 0 to 400"):
            compute_month_regimes(OBSERVATIONS[:400], first)
